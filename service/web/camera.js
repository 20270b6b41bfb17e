// The camera: opening it, and taking pictures from it that are small enough to send.

import { Problem } from "./api.js";

const WIDEST_PX = 640;
const QUALITY = 0.7;

const REASONS = {
  NotAllowedError: ["The camera may not be used", "Allow the camera for this page in the browser, then open it again."],
  NotFoundError: ["There is no camera", "Connect one, then open it again."],
  NotReadableError: ["The camera is busy", "Another program may be using it. Close that, then open it again."],
  OverconstrainedError: ["There is no such camera", "It may have been unplugged. Choose another."],
};

// Open a camera by id, or any; throws a Problem that says why not.
export const openCamera = async (deviceId = "") => {
  if (!navigator.mediaDevices?.getUserMedia) {
    const detail = "Browsers open cameras only on pages that come over https or from this very machine (localhost).";
    throw new Problem({ type: "camera", title: "No camera can be opened here", detail });
  }
  const video = { width: { ideal: WIDEST_PX }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  if (deviceId) video.deviceId = { exact: deviceId };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video });
  } catch (error) {
    const [title, detail] = REASONS[error.name] ?? ["The camera cannot be opened", error.message];
    throw new Problem({ type: "camera", title, detail });
  }
};

export const listCameras = async () =>
  (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");

// Takes one picture at a time from a video as JPEG, with no side longer than `maxSidePx`.
export class Grabber {
  constructor(video) {
    this._video = video;
    this.maxSidePx = WIDEST_PX;
    this._canvas = document.createElement("canvas");
    this.isBusy = false;
  }

  async grab() {
    this.isBusy = true;
    try {
      const { videoWidth: width, videoHeight: height } = this._video;
      const scale = Math.min(1, this.maxSidePx / Math.max(width, height));
      this._canvas.width = Math.round(width * scale);
      this._canvas.height = Math.round(height * scale);
      this._canvas.getContext("2d", { alpha: false }).drawImage(this._video, 0, 0, this._canvas.width, this._canvas.height);
      return await new Promise((resolve) => this._canvas.toBlob(resolve, "image/jpeg", QUALITY));
    } finally {
      this.isBusy = false;
    }
  }
}
