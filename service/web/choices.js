// What may be chosen before a video is sent or the camera is opened, in words.

import { askJson } from "./api.js";
import { find, make, readable } from "./dom.js";
import { swatch } from "./segment.js";

const POSES = {
  movenet: "Everybody in one look at the whole picture, up to six people. Ready at once.",
  tinypose: "Finds each person first, then their joints: light, and quick for few people.",
  "rtmpose-t": "Finds each person first. The quickest of its family.",
  "rtmpose-s": "Finds each person first. Between quick and accurate.",
  "rtmpose-m": "Finds each person first. The most accurate, also for small and crowded people.",
  mmpose: "MMPose's own, where it is installed beside the service.",
};

export class Choices {
  constructor() {
    this.models = [];
    for (const id of ["model", "pose"]) find(id).addEventListener("change", () => this._describe());
  }

  async load() {
    const { models, poses, default_pose: defaultPose } = await askJson("/v1/models");
    this.models = models;
    this._defaults = { model: models.find((model) => model.default)?.name, pose: defaultPose };
    fill(find("model"), models.map((model) => model.name), this._defaults.model);
    fill(find("pose"), poses, defaultPose);
    this._describe();
  }

  // As the service understands them; what was left alone is left out.
  get options() {
    const chosen = {};
    for (const id of ["model", "pose"]) {
      if (find(id).value && find(id).value !== this._defaults?.[id]) chosen[id] = find(id).value;
    }
    for (const id of ["threshold", "max_people"]) if (find(id).value) chosen[id] = Number(find(id).value);
    return chosen;
  }

  _describe() {
    const card = this.models.find((model) => model.name === find("model").value);
    const labels = card ? card.labels.filter((label) => !card.silent_labels.includes(label)) : [];
    find("model-about").textContent = card ? `${card.description}. Looks at ${card.window_s} s at a time.` : "";
    find("pose-about").textContent = POSES[find("pose").value] ?? "";
    find("chosen").textContent = card ? `${card.name}, ${find("pose").value}` : "";
    find("known").hidden = !labels.length;
    find("known-labels").replaceChildren(...labels.sort().map((label) => labelChip(label, card.labels.indexOf(label))));
  }
}

const fill = (select, names, chosen) => {
  const kept = select.value || chosen;
  select.replaceChildren(...names.map((name) => new Option(name === chosen ? `${name} (as configured)` : name, name)));
  select.value = names.includes(kept) ? kept : chosen;
};

const labelChip = (label, labelId) => make("li", { className: "chip" }, swatch(labelId), readable(label));
