// Small pictures of somebody at a moment, taken from a second copy of the video so that the one on show stays put.

import { make } from "./dom.js";
import { drawPeople, personAt } from "./skeleton.js";

const SIDE_PX = 240;
const MARGIN = 0.08; // of the person's larger side, around them
const PARTS = { skeletons: true, boxes: false, labels: false };

export class Thumbnails {
  constructor({ width, height }, layouts) {
    this._size = { width, height };
    this._layouts = layouts;
    this._video = make("video", { muted: true, preload: "auto", playsInline: true });
    this._turn = Promise.resolve();
    this._isOpen = true;
  }

  // Take pictures from this address from now on.
  use(address) {
    this._turn = this._turn.then(() => {
      this._video.src = address;
      return heard(this._video, ["loadeddata", "error"]);
    });
  }

  draw(canvas, { track, segment, timeS }) {
    this._turn = this._turn.then(async () => {
      if (!this._isOpen) return;
      if (this._video.videoWidth) {
        const found = heard(this._video, ["seeked", "error"]);
        this._video.currentTime = timeS;
        await found;
      }
      this._paint(canvas, track, segment, timeS);
    });
  }

  close() {
    this._isOpen = false;
    this._video.removeAttribute("src");
    this._video.load();
  }

  _paint(canvas, track, segment, timeS) {
    const figure = track.keypoints && this._layouts.get(track.keypoints.layout);
    const person = figure && personAt(track.keypoints, timeS);
    const [left, top, side] = person ? squareAround(person.box) : squareAround([0, 0, this._size.width, this._size.height], 0);
    canvas.width = canvas.height = SIDE_PX;
    const pen = canvas.getContext("2d");
    const scale = SIDE_PX / side;
    pen.fillStyle = "#101214";
    pen.fillRect(0, 0, SIDE_PX, SIDE_PX);
    pen.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    if (this._video.videoWidth) pen.drawImage(this._video, 0, 0, this._size.width, this._size.height);
    if (!person) return;
    const { label_id: labelId, explanation } = segment;
    drawPeople(pen, [{ ...person, labelId, key: explanation.key_joints }], figure, { pixel: 2 / scale, parts: PARTS });
  }
}

const squareAround = ([left, top, right, bottom], margin = MARGIN) => {
  const side = Math.max(right - left, bottom - top) * (1 + 2 * margin);
  return [(left + right - side) / 2, (top + bottom - side) / 2, side];
};

const heard = (target, events) =>
  new Promise((resolve) => {
    for (const event of events) target.addEventListener(event, resolve, { once: true });
  });
