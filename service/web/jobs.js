// A job: a video that the service works on while the page looks on.

import { ask, askJson, lost, problemOf, Problem, upload } from "./api.js";

const ENDED = ["done", "failed", "cancelled"];
const RETRY_MS = 1000;
const MAX_SILENT_TRIES = 30;

export class Job {
  constructor(state) {
    this.state = state;
    this.path = `/v1/jobs/${encodeURIComponent(state.job_id)}`;
  }

  static async start(file, options, progress) {
    return new Job(await upload("/v1/jobs", file, options, progress));
  }

  // Resolve to the answer. `onChange` hears every state, and null while the service is out of reach.
  async follow(onChange, signal) {
    for (let silent = 0; silent < MAX_SILENT_TRIES; silent += 1) {
      try {
        this._take(await askJson(this.path, { signal }), onChange);
        if (!this.hasEnded) await this._listen(onChange, signal);
        silent = 0;
      } catch (error) {
        if (error.name === "AbortError" || (error.status && error.status < 500)) throw error;
        onChange(null);
      }
      if (this.hasEnded) return await this._outcome(signal);
      await pause(RETRY_MS, signal);
    }
    throw lost();
  }

  get hasEnded() {
    return ENDED.includes(this.state.status);
  }

  // Forget the job, its upload and its result, even while the page is being left.
  remove() {
    return ask(this.path, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  _take(state, onChange) {
    this.state = state;
    onChange(state);
  }

  async _listen(onChange, signal) {
    const reply = await ask(`${this.path}/events`, { signal, headers: { Accept: "text/event-stream" } });
    for await (const event of eventsOf(reply.body)) {
      if (event.data) this._take(JSON.parse(event.data), onChange);
      if (this.hasEnded) return;
    }
  }

  async _outcome(signal) {
    const { status, result, problem } = this.state;
    if (status === "done") return result ?? (await askJson(this.path, { signal })).result; // too long for an event
    if (status === "failed" && problem) throw problemOf(problem.status, JSON.stringify(problem));
    throw new Problem({ type: "cancelled", title: "The job was cancelled", detail: "Somebody removed it meanwhile." });
  }
}

// Read server-sent events by hand: an EventSource cannot send a key.
export async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll(/\r\n?/g, "\n").split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(eventOf);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const eventOf = (block) => {
  const lines = block.split("\n");
  const field = (name) =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart());
  return { name: field("event").at(-1) ?? "message", data: field("data").join("\n") };
};

const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
