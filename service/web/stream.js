// The wire of a live stream, protocol marey.v1: pictures go out as the service's credit allows, messages come back.

import { Problem, problemOf, streamProtocols } from "./api.js";

const HEADER_BYTES = 12;
const CLOSED = {
  1003: "The service could not read a picture.",
  1006: "The connection was lost, or the service does not let this page stream.",
  1008: "The service does not allow this stream to go on.",
  1009: "A picture was too large for the service.",
  1011: "Something went wrong in the service.",
  1012: "The service is being stopped.",
  1013: "Too many cameras are streaming already.",
};

export class Stream {
  // `hear(message)` gets every message of the service, `onClose(problem)` why it ended, null if it was asked to.
  constructor(config, { hear, onClose }) {
    this._hear = hear;
    this._onClose = onClose;
    this._unanswered = new Map();
    this._seq = 0;
    this._credit = 0;
    this._problem = null;
    const address = new URL("/v1/stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this._socket = new WebSocket(address, streamProtocols());
    this._socket.onopen = () => this._socket.send(JSON.stringify({ type: "config", ...config }));
    this._socket.onmessage = (event) => this._take(JSON.parse(event.data));
    this._socket.onclose = (event) => this._end(event);
  }

  get canSend() {
    return this._socket.readyState === WebSocket.OPEN && this._unanswered.size < this._credit;
  }

  // Send a picture that was taken at a time of `performance.now()`.
  send(picture, takenMs) {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    header.setUint32(0, this._seq, true);
    header.setBigUint64(4, BigInt(Math.round(takenMs * 1000)), true);
    this._unanswered.set(this._seq, takenMs);
    this._seq += 1;
    this._socket.send(new Blob([header, picture]));
  }

  // Ask for what is left and for the end.
  close() {
    this._isWanted = true;
    if (this._socket.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify({ type: "end" }));
    else this._socket.close();
  }

  _take(message) {
    if (message.type === "ready") this._credit = message.credit;
    if (message.type === "error") this._problem = problemOf(message.problem.status, JSON.stringify(message.problem));
    if (message.type === "poses") message.takenMs = this._answer(message.seq);
    if (message.type === "dropped") message.seqs.forEach((seq) => this._answer(seq));
    this._hear(message);
  }

  _answer(seq) {
    const takenMs = this._unanswered.get(seq);
    this._unanswered.delete(seq);
    return takenMs;
  }

  _end({ code, reason }) {
    if (this._isWanted || (code === 1000 && !this._problem)) return this._onClose(null);
    const detail = reason || CLOSED[code] || `The service closed the stream (${code}).`;
    this._onClose(this._problem ?? new Problem({ type: "stream", title: "The live stream ended", detail }));
  }
}
