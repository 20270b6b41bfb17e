// The live view: the camera's picture with people drawn over it as soon as the service has seen them.

import { Grabber, listCameras, openCamera } from "./camera.js";
import { clamp, find, make, percent, readable, show } from "./dom.js";
import { Overlay } from "./overlay.js";
import { Rolling } from "./rolling.js";
import { drawPeople, figureOf } from "./skeleton.js";
import { Stream } from "./stream.js";

const FPS = 15;
const HOLD_MS = 1000; // people are drawn no longer than this after they were seen
const PARTS = { skeletons: true, boxes: false, labels: true };

export class Live {
  // `onEnd(problem)` hears that the service ended it, or null once it was stopped.
  constructor(options, onEnd) {
    Object.assign(this, { _options: options, _onEnd: onEnd, _people: [], _seenMs: 0, _sentMs: 0, _isOpen: true });
    this._video = find("camera");
    this._grabber = new Grabber(this._video);
    this._rolling = new Rolling();
    this._overlay = new Overlay(find("camera-overlay"), this._video, (pen, pixel) => this._paint(pen, pixel));
    find("mirror").onchange = () => this._mirror();
    find("cameras").onchange = () => this._turnTo(find("cameras").value).catch((problem) => this._end(problem));
  }

  // Open the camera, then the stream; throws a Problem if there is no camera to be had.
  async start() {
    await this._turnTo();
    if (!this._isOpen) return;
    show("live");
    this._mirror();
    this._readOut("Connecting");
    const config = { ...this._options, fps: FPS, drop: "oldest" };
    this._stream = new Stream(config, { hear: (message) => this._hear(message), onClose: (problem) => this._end(problem) });
    this._draw();
  }

  stop() {
    this._stream?.close();
    this._end(null);
  }

  async _turnTo(deviceId = "") {
    const media = await openCamera(deviceId);
    if (!this._isOpen) return stopTracks(media);
    stopTracks(this._video.srcObject);
    this._video.srcObject = media;
    await this._video.play();
    find("live-stage").style.aspectRatio = `${this._video.videoWidth} / ${this._video.videoHeight}`;
    const cameras = await listCameras();
    find("cameras").replaceChildren(
      ...cameras.map(({ label, deviceId: id }, place) => new Option(label || `Camera ${place + 1}`, id)),
    );
    find("cameras").value = media.getVideoTracks()[0].getSettings().deviceId ?? "";
    show("cameras", cameras.length > 1);
  }

  _end(problem) {
    if (!this._isOpen) return;
    this._isOpen = false;
    stopTracks(this._video.srcObject);
    this._video.srcObject = null;
    this._overlay.close();
    show("live", false);
    this._onEnd(problem);
  }

  _hear(message) {
    if (message.type === "ready") this._begin(message);
    else if (message.type === "poses") this._see(message);
    else if (message.type === "stats") this._stats = message;
    else if (message.type.startsWith("action.")) this._rolling.take(message);
  }

  _begin(ready) {
    this._figure = figureOf(ready);
    this._labels = ready.labels;
    if (ready.max_side) this._grabber.maxSidePx = ready.max_side;
    this._readOut("Live");
  }

  _see({ time_s: timeS, people, width, height, takenMs }) {
    this._people = people ?? [];
    this._seenMs = performance.now();
    this._startMs = takenMs - 1000 * timeS;
    const lagMs = this._seenMs - takenMs;
    this._lagMs = this._lagMs === undefined ? lagMs : 0.9 * this._lagMs + 0.1 * lagMs;
    this._overlay.size = { width, height };
    for (const person of this._people) this._rolling.see(person.track_id, timeS);
    this._showNow();
  }

  // Each refresh of the screen: what is known is drawn, and the next picture is taken if it is due.
  _draw() {
    if (!this._isOpen) return;
    const nowMs = performance.now();
    this._overlay.refresh();
    if (this._startMs !== undefined) this._rolling.draw((nowMs - this._startMs) / 1000);
    if (this._stats) this._readOut("Live");
    if (this._stream.canSend && !this._grabber.isBusy && nowMs - this._sentMs >= 1000 / FPS) this._send(nowMs);
    requestAnimationFrame(() => this._draw());
  }

  async _send(nowMs) {
    this._sentMs = nowMs;
    const picture = await this._grabber.grab();
    if (picture && this._stream.canSend) this._stream.send(picture, nowMs);
  }

  _paint(pen, pixel) {
    if (performance.now() - this._seenMs > HOLD_MS) return;
    const { width } = this._overlay.size;
    const across = find("mirror").checked ? (x) => width - x : (x) => x;
    const people = this._people.map(({ track_id: trackId, box, points, action }) => {
      const [left, right] = [across(box[0]), across(box[2])].sort((one, other) => one - other);
      return {
        box: [left, box[1], right, box[3]],
        points: points.map(([x, y, score]) => [across(x), y, score]),
        labelId: action ? this._labels.indexOf(action.label) : null,
        caption: action ? `${trackId} ${readable(action.label)} ${percent(action.score)}` : `${trackId}`,
      };
    });
    drawPeople(pen, people, this._figure, { pixel, parts: PARTS });
  }

  _showNow() {
    const doing = this._people.map(({ track_id: trackId, action }) =>
      make("li", { textContent: `Person ${trackId}: ${action ? `${readable(action.label)} ${percent(action.score)}` : "no action"}` }),
    );
    find("now").replaceChildren(...(doing.length ? doing : [make("li", { className: "quiet", textContent: "Nobody is seen." })]));
  }

  _readOut(state) {
    find("live-state").textContent = state;
    const { fps = 0, dropped = 0, lag_ms: serviceMs = 0 } = this._stats ?? {};
    find("lag").textContent = `${Math.round(clamp(this._lagMs ?? 0, 0, 99_999))} ms`;
    find("lag").title = `${Math.round(serviceMs)} ms of them in the service`;
    find("rate").textContent = `${fps.toFixed(1)}/s`;
    find("dropped").textContent = dropped;
  }

  _mirror() {
    this._video.classList.toggle("mirrored", find("mirror").checked);
  }
}

const stopTracks = (media) => media?.getTracks().forEach((track) => track.stop());
