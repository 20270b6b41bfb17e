// The video with people drawn over it, its buttons, and the clock that everything else goes by.

import { clamp, clock, find, show } from "./dom.js";
import { Overlay } from "./overlay.js";

const PARTS = ["skeletons", "boxes", "labels"];

export class Player {
  // `paint(pen, pixel, timeS, parts)` draws people; `onTime(timeS)` hears each time that is shown.
  constructor({ duration_s: durationS, fps, width, height }, { paint, onTime }) {
    Object.assign(this, { durationS, fps: fps || 25, onTime, timeS: 0, isDrawn: false });
    this.video = find("video");
    this._frameS = 0;
    this._listeners = new AbortController();
    this._overlay = new Overlay(find("overlay"), this.video, (pen, pixel) => {
      if (!this.isDrawn) paint(pen, pixel, this._drawnS(), this.parts);
    });
    this._overlay.size = { width, height };
    find("stage").style.aspectRatio = `${width} / ${height}`;
    this._listen();
    this._show(0);
  }

  get parts() {
    return Object.fromEntries(PARTS.map((part) => [part, find(part).checked]));
  }

  // Play a file; `isDrawn` says that it has people drawn into it already. Resolves to whether the browser can.
  load(file, { isDrawn = false } = {}) {
    this.isDrawn = isDrawn;
    this._release();
    this._enable(false);
    this.address = URL.createObjectURL(file);
    this.video.src = this.address;
    return new Promise((resolve) => {
      const settle = () => {
        this._enable(this.video.videoWidth > 0 && !this.video.error); // sound alone is no picture
        if (this.isPlayable) this.video.currentTime = this.timeS;
        this._show(this.timeS);
        resolve(this.isPlayable);
      };
      for (const event of ["loadeddata", "error"]) this.video.addEventListener(event, settle, { once: true });
    });
  }

  seek(timeS) {
    const wanted = clamp(timeS, 0, this.durationS);
    if (this.isPlayable) this.video.currentTime = wanted;
    this._show(wanted);
  }

  step(frames) {
    this.video.pause();
    // The middle of a frame: its edge may round to its neighbour.
    const frame = Math.floor(this._drawnS() * this.fps + 0.1) + frames;
    this.seek((frame + 0.5) / this.fps);
  }

  toggle() {
    if (!this.isPlayable) return;
    if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  refresh() {
    this._overlay.refresh();
  }

  close() {
    this._listeners.abort();
    this._overlay.close();
    this._release();
  }

  _enable(isPlayable) {
    this.isPlayable = isPlayable;
    for (const id of ["play", "speed", "fullscreen"]) find(id).disabled = !isPlayable;
  }

  _release() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
  }

  _listen() {
    const { signal } = this._listeners;
    const on = (target, event, hear) => target.addEventListener(event, hear, { signal });
    on(find("play"), "click", () => this.toggle());
    on(this.video, "click", () => this.toggle());
    on(find("back"), "click", () => this.step(-1));
    on(find("forward"), "click", () => this.step(1));
    on(find("speed"), "change", (event) => (this.video.playbackRate = Number(event.target.value)));
    on(find("fullscreen"), "click", () => find("stage").requestFullscreen?.());
    for (const part of PARTS) on(find(part), "change", () => this.refresh());
    for (const event of ["play", "pause"]) on(this.video, event, () => this._showState());
    for (const event of ["seeked", "timeupdate", "ended"]) on(this.video, event, () => this._hear());
    this._follow();
  }

  // Frame by frame where the browser tells of frames, so that what is drawn belongs to the frame below it.
  _follow() {
    if (this._listeners.signal.aborted) return;
    if (this.video.requestVideoFrameCallback) {
      this.video.requestVideoFrameCallback((now, { mediaTime }) => {
        this._frameS = mediaTime;
        this._hear();
        this._follow();
      });
    } else {
      if (!this.video.paused) this._hear();
      requestAnimationFrame(() => this._follow());
    }
  }

  _hear() {
    if (this.isPlayable) this._show(this.video.currentTime);
  }

  _show(timeS) {
    this.timeS = timeS;
    this._showState();
    find("clock").textContent = `${clock(timeS, 2)} / ${clock(this.durationS, 2)}`;
    this._overlay.refresh();
    this.onTime(timeS);
  }

  _drawnS() {
    return Math.abs(this.timeS - this._frameS) < 1.5 / this.fps ? this._frameS : this.timeS;
  }

  _showState() {
    const isPlaying = !this.video.paused;
    find("play").textContent = isPlaying ? "Pause" : "Play";
    show("stage-play", this.isPlayable && !isPlaying && this.timeS === 0); // later it would be in the way
  }
}
