// What can be taken away: the answer as JSON, its segments as a table, and the video with people drawn into it.

import { askBlob } from "./api.js";
import { find, save } from "./dom.js";
import { showProblem } from "./problems.js";

const COLUMNS = ["track_id", "label", "score", "start_s", "end_s", "key_joints"]; // as /v1/jobs/{id}/segments.csv

export const segmentsCsv = ({ tracks }) => {
  const rows = tracks.flatMap(({ track_id, segments }) =>
    segments.map((segment) => ({ ...segment, track_id, key_joints: segment.explanation.key_joints.join(" ") })),
  );
  return [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))].map((line) => `${line.join(",")}\r\n`).join("");
};

// `playCopy(blob)` shows an annotated video on the page once it has been made.
export class Downloads {
  constructor({ answer, job, name }, playCopy) {
    const stem = name.replace(/\.[^.]*$/, "") || "video";
    this._job = job;
    find("save-json").onclick = () =>
      save(new Blob([JSON.stringify(answer, null, 1)], { type: "application/json" }), `${stem}.actions.json`);
    find("save-csv").onclick = () => save(new Blob([segmentsCsv(answer)], { type: "text/csv" }), `${stem}.actions.csv`);
    find("save-mp4").hidden = find("make-copy").hidden = !job;
    find("save-mp4").onclick = () =>
      this._make(find("save-mp4"), (copy) => save(copy, `${stem}.annotated.mp4`));
    find("make-copy").onclick = () => this._make(find("make-copy"), playCopy);
  }

  async _make(pressed, use) {
    const text = pressed.textContent;
    const buttons = [find("save-mp4"), find("make-copy")];
    for (const one of buttons) one.disabled = true;
    pressed.textContent = "Drawing people into the video ...";
    pressed.setAttribute("aria-busy", "true");
    try {
      this._copy ??= await askBlob(`${this._job.path}/annotated.mp4`);
      await use(this._copy);
    } catch (problem) {
      showProblem(problem);
    } finally {
      pressed.textContent = text;
      pressed.removeAttribute("aria-busy");
      for (const one of buttons) one.disabled = false;
    }
  }
}
