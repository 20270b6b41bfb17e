// The last minute of a live view: a lane for each person, moving to the left, and what happened in words.

import { clock, find, make, percent, readable } from "./dom.js";
import { segmentBar } from "./timeline.js";

const SPAN_S = 60;
const MAX_LINES = 30;
// As LINGER_S in service/streams/view.py: what was last seen longer ago has stopped, though its end is not settled.
const LINGER_S = 0.5;

export class Rolling {
  constructor() {
    this._lanes = new Map();
    find("live-lanes").replaceChildren();
    find("log").replaceChildren();
  }

  // Somebody was seen.
  see(trackId, timeS) {
    const lane = this._lanes.get(trackId) ?? this._newLane(trackId, timeS);
    lane.endS = Math.max(lane.endS, timeS);
  }

  // An action started, goes on, or ended; one that is taken back ends where it started.
  take({ type, ...action }) {
    this.see(action.track_id, action.decided_s);
    const { actions, element } = this._lanes.get(action.track_id);
    const known = actions.get(action.action_id);
    const bar = known?.bar ?? element.appendChild(segmentBar("div", action));
    bar.title = `${readable(action.label)} ${percent(action.score)}`;
    bar.classList.toggle("provisional", action.provisional);
    actions.set(action.action_id, { ...action, bar, isOpen: type !== "action.end" });
    if (type === "action.end" && action.end_s <= action.start_s) this._forget(actions, action.action_id);
    if (type !== "action.update") this._log(type, action);
  }

  draw(nowS) {
    for (const [trackId, lane] of this._lanes) {
      if (lane.endS < nowS - SPAN_S) {
        lane.row.remove();
        this._lanes.delete(trackId);
        continue;
      }
      place(lane.present, nowS, lane.startS, lane.endS);
      for (const [actionId, { bar, start_s: startS, end_s: endS, isOpen }] of lane.actions) {
        if (!isOpen && endS < nowS - SPAN_S) this._forget(lane.actions, actionId);
        else place(bar, nowS, startS, isOpen && lane.endS - endS <= LINGER_S ? lane.endS : endS);
      }
    }
  }

  _forget(actions, actionId) {
    actions.get(actionId).bar.remove();
    actions.delete(actionId);
  }

  _newLane(trackId, startS) {
    const present = make("div", { className: "present" });
    const element = make("div", { className: "lane" }, present);
    const row = make("li", { className: "row" }, make("span", { className: "name", textContent: `Person ${trackId}` }), element);
    const lane = { row, element, present, startS, endS: startS, actions: new Map() };
    this._lanes.set(trackId, lane);
    find("live-lanes").append(row);
    return lane;
  }

  _log(type, { track_id: trackId, label, start_s: startS, end_s: endS }) {
    const wasWrong = type === "action.end" && endS <= startS;
    const verb = wasWrong ? "did not do it after all:" : type === "action.end" ? "ended" : "started";
    const words = `Person ${trackId} ${verb} ${readable(label)}`;
    const time = make("time", { textContent: clock(type === "action.end" ? endS : startS) });
    find("log").prepend(make("li", {}, time, ` ${words}`));
    while (find("log").children.length > MAX_LINES) find("log").lastChild.remove();
  }
}

const place = (element, nowS, startS, endS) => {
  const left = Math.max(0, 1 - (nowS - startS) / SPAN_S);
  const right = Math.min(1, Math.max(0, 1 - (nowS - endS) / SPAN_S));
  element.style.left = `${100 * left}%`;
  element.style.width = `${100 * Math.max(0, right - left)}%`;
};
