// A lane for each person with their actions, a ruler to seek with, and the playhead across them all.

import { colour } from "./colours.js";
import { clamp, clock, count, find, make, percent, readable, seconds } from "./dom.js";

export class Timeline {
  constructor({ tracks, video }, { onSeek, onChoose }) {
    this.durationS = video.duration_s || 1;
    this.entries = tracks
      .flatMap((track) => track.segments.map((segment) => ({ track, segment })))
      .sort((one, other) => one.segment.start_s - other.segment.start_s || one.track.track_id - other.track.track_id);
    this._onSeek = onSeek;
    this._onChoose = onChoose;
    this._buttons = new Map(this.entries.map((entry) => [entry.segment, this._segmentButton(entry)]));
    find("lanes").replaceChildren(...tracks.map((track) => this._lane(track)));
    find("ticks").replaceChildren(...ticksOf(this.durationS).map((timeS) => this._tick(timeS)));
    find("seek").max = this.durationS;
    find("seek").oninput = (event) => onSeek(Number(event.target.value));
  }

  show(timeS) {
    find("timeline").style.setProperty("--share", clamp(timeS / this.durationS, 0, 1));
    find("seek").value = timeS;
    find("seek").setAttribute("aria-valuetext", seconds(timeS));
    for (const { segment } of this.entries) {
      this._buttons.get(segment).classList.toggle("running", segment.start_s <= timeS && timeS < segment.end_s);
    }
  }

  // Choose the first action that starts after a time, or (-1) the last that starts before it.
  chooseNext(timeS, direction) {
    const margin = 0.01;
    const entry =
      direction > 0
        ? this.entries.find(({ segment }) => segment.start_s > timeS + margin)
        : this.entries.findLast(({ segment }) => segment.start_s < timeS - margin);
    if (!entry) return;
    this._choose(entry);
    this._buttons.get(entry.segment).focus();
  }

  _choose(entry) {
    for (const [segment, button] of this._buttons) button.setAttribute("aria-pressed", segment === entry.segment);
    this._onChoose(entry);
  }

  _lane(track) {
    const lane = make("div", { className: "lane" }, this._place(make("div", { className: "present" }), track));
    lane.append(...track.segments.map((segment) => this._buttons.get(segment)));
    lane.addEventListener("click", (event) => {
      if (event.target.closest("button")) return;
      const { left, width } = lane.getBoundingClientRect();
      this._onSeek(((event.clientX - left) / width) * this.durationS);
    });
    const name = make("span", { className: "name", textContent: `Person ${track.track_id}` });
    const actions = track.segments.length ? count(track.segments.length, "action", "actions") : "no action";
    name.append(make("small", { textContent: actions }));
    return make("li", { className: "row", "aria-label": `Person ${track.track_id}, ${actions}` }, name, lane);
  }

  _segmentButton({ track, segment }) {
    const button = segmentBar("button", segment);
    button.title = `${readable(segment.label)} ${percent(segment.score)}, ${seconds(segment.start_s)} to ${seconds(segment.end_s)}`;
    button.setAttribute("aria-label", `Person ${track.track_id}: ${button.title}`);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => this._choose({ track, segment }));
    return this._place(button, segment);
  }

  _place(element, { start_s: startS, end_s: endS }) {
    element.style.left = `${(100 * startS) / this.durationS}%`;
    element.style.width = `${(100 * (endS - startS)) / this.durationS}%`;
    return element;
  }

  _tick(timeS) {
    const tick = make("span", { textContent: clock(timeS, 0) });
    tick.style.left = `${(100 * timeS) / this.durationS}%`;
    return tick;
  }
}

// A coloured bar for an action, the same on every timeline.
export const segmentBar = (tag, { label, label_id: labelId }) =>
  colour(make(tag, { className: "segment", textContent: readable(label) }), labelId);

// Round times, few enough to be read.
const ticksOf = (durationS) => {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((one) => durationS / one <= 8) ?? 3600;
  return Array.from({ length: Math.floor((0.97 * durationS) / step) + 1 }, (_, place) => place * step);
};
