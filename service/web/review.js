// An answer to look through: the video with its people, the timeline below it, and the action that was chosen.

import { askJson } from "./api.js";
import { count, find, make, percent, readable, seconds, show } from "./dom.js";
import { Downloads } from "./downloads.js";
import { Player } from "./player.js";
import { showSegment } from "./segment.js";
import { drawPeople, figureOf, personAt } from "./skeleton.js";
import { Thumbnails } from "./thumbnails.js";
import { Timeline } from "./timeline.js";

// How joints hang together in each layout that an answer may have.
export const loadFigures = async () => {
  const { layouts } = await askJson("/v1/layouts");
  return new Map(layouts.map((layout) => [layout.name, figureOf(layout)]));
};

export class Review {
  constructor({ answer, job, file, figures }) {
    Object.assign(this, { answer, figures, chosen: null });
    this.timeline = new Timeline(answer, {
      onSeek: (timeS) => this.player.seek(timeS),
      onChoose: (entry) => this._choose(entry),
    });
    this.thumbnails = new Thumbnails(answer.video, figures);
    show("review");
    this._describe(job, file);
    this.player = new Player(answer.video, {
      paint: (...where) => this._paint(...where),
      onTime: (timeS) => this.timeline.show(timeS),
    });
    new Downloads({ answer, job, name: file.name }, (copy) => this._play(copy, { isDrawn: true }));
    this._play(file);
  }

  close() {
    this.player.close();
    this.thumbnails.close();
    for (const id of ["review", "segment"]) show(id, false);
  }

  async _play(file, options) {
    const loading = this.player.load(file, options);
    this.thumbnails.use(this.player.address);
    if (this.chosen) this._explain();
    show("unplayable", !(await loading));
  }

  _choose(entry) {
    this.chosen = entry;
    this.player.seek(entry.segment.start_s);
    this._explain();
  }

  _explain() {
    showSegment(this.chosen, { onSeek: (timeS) => this.player.seek(timeS), thumbnails: this.thumbnails });
  }

  _paint(pen, pixel, timeS, parts) {
    const seen = this.answer.tracks.map((track) => this._seen(track, timeS)).filter(Boolean);
    // All of an answer's people have the layout of the one backend that found them.
    if (seen.length) drawPeople(pen, seen, this.figures.get(seen[0].layout), { pixel, parts });
  }

  _seen(track, timeS) {
    const person = track.keypoints && personAt(track.keypoints, timeS);
    if (!person) return null;
    const segment = runningIn(track, timeS);
    return {
      ...person,
      layout: track.keypoints.layout,
      labelId: segment?.label_id ?? null,
      caption: segment ? `${track.track_id} ${readable(segment.label)} ${percent(segment.score)}` : `${track.track_id}`,
      key: segment && segment === this.chosen?.segment ? segment.explanation.key_joints : [],
    };
  }

  _describe(job, file) {
    const { video, tracks, model, timings_ms: timings, warnings, request_id: request } = this.answer;
    const actions = tracks.reduce((sum, track) => sum + track.segments.length, 0);
    find("title").textContent = file.name;
    find("summary").textContent =
      `${count(tracks.length, "person", "people")} and ${count(actions, "action", "actions")} in ${seconds(video.duration_s)}`;
    find("warnings").replaceChildren(...warnings.map((warning) => make("li", { textContent: warning })));
    find("provenance").textContent =
      `${model.name} ${model.version} on ${model.provider}, ${seconds(timings.total / 1000)} of work. Request ${request}.`;
    find("kept").textContent = job ? keptUntil(job.state.expires_at) : "The service has kept nothing of this video.";
    show("timeline", tracks.length > 0);
    show("nobody", !tracks.length);
  }
}

// The surest action of somebody at a time.
const runningIn = ({ segments }, timeS) =>
  segments
    .filter((segment) => segment.start_s <= timeS && timeS < segment.end_s)
    .reduce((best, segment) => (best && best.score >= segment.score ? best : segment), null);

const keptUntil = (expires) => {
  const when = expires && new Date(expires).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return `The service keeps this video and its result ${when ? `until ${when}` : "for a while"}, or until you remove it or open another.`;
};
