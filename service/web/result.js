// Show an answer: the video with its people, a row of segments for each of them, and the JSON itself.

import { find, make, percent, readable, seconds } from "./dom.js";

const GOLDEN_ANGLE = 137.508;
const HELD_S = 0.2;

let shown = null;

export const clearResult = () => {
  find("result").hidden = true;
  find("segment").hidden = true;
  if (!shown) return;
  cancelAnimationFrame(shown.frame);
  URL.revokeObjectURL(shown.videoUrl);
  URL.revokeObjectURL(shown.jsonUrl);
  find("video").removeAttribute("src");
  shown = null;
};

export const showResult = (answer, file) => {
  clearResult();
  const text = JSON.stringify(answer, null, 1);
  shown = {
    answer,
    hues: huesOf(answer),
    videoUrl: URL.createObjectURL(file),
    jsonUrl: URL.createObjectURL(new Blob([text], { type: "application/json" })),
  };
  find("result").hidden = false;
  find("summary").textContent = summaryOf(answer);
  find("warnings").replaceChildren(...answer.warnings.map((warning) => make("li", { textContent: warning })));
  find("timings").textContent = timingsOf(answer);
  find("timeline").replaceChildren(axis(), ...answer.tracks.map(row), make("div", { className: "playhead", id: "playhead" }));
  find("json").textContent = JSON.stringify(answer, (key, value) => (key === "keypoints" && value ? "(download)" : value), 1);
  find("download").href = shown.jsonUrl;
  find("copy").onclick = () => navigator.clipboard.writeText(text);
  play();
};

const huesOf = (answer) => {
  const labels = new Set(answer.tracks.flatMap((track) => track.segments.map((segment) => segment.label)));
  return new Map([...labels].map((label, place) => [label, (170 + place * GOLDEN_ANGLE) % 360]));
};

const summaryOf = ({ video, tracks, model }) => {
  const people = tracks.length === 1 ? "1 person" : `${tracks.length || "no"} people`;
  return `${people} in ${seconds(video.duration_s)}, by ${model.name} ${model.version} on ${model.provider}`;
};

const timingsOf = ({ timings_ms: { total, ...stages }, request_id: request }) => {
  const parts = Object.entries(stages).filter(([, spent]) => spent >= 1);
  return `${Math.round(total)} ms in all: ${parts.map(([stage, spent]) => `${stage} ${Math.round(spent)}`).join(", ")}. Request ${request}`;
};

const place = (element, startS, endS) => {
  const duration = shown.answer.video.duration_s || 1;
  element.style.left = `${(100 * startS) / duration}%`;
  element.style.width = `${(100 * (endS - startS)) / duration}%`;
  return element;
};

const axis = () => {
  const duration = shown.answer.video.duration_s || 1;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const tick = make("span", { textContent: seconds(share * duration) });
    tick.style.left = `${share * 100}%`;
    return tick;
  });
  return make("div", { className: "row axis" }, make("span"), make("div", { className: "lane" }, ...ticks));
};

const row = (track) => {
  const present = place(make("div", { className: "present" }), track.start_s, track.end_s);
  const lane = make("div", { className: "lane" }, present, ...track.segments.map((segment) => bar(track, segment)));
  lane.addEventListener("click", (event) => {
    if (event.target.tagName === "BUTTON") return;
    const box = lane.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * shown.answer.video.duration_s);
  });
  const nothing = track.segments.length ? "" : ": nothing recognised";
  return make("div", { className: "row" }, make("span", { textContent: `Person ${track.track_id}${nothing}` }), lane);
};

const bar = (track, segment) => {
  const title = `${readable(segment.label)} ${percent(segment.score)}, ${seconds(segment.start_s)} to ${seconds(segment.end_s)}`;
  const button = make("button", { type: "button", title, textContent: readable(segment.label) });
  button.setAttribute("aria-label", `Person ${track.track_id}: ${title}`);
  button.setAttribute("aria-pressed", "false");
  button.style.setProperty("--hue", shown.hues.get(segment.label));
  button.addEventListener("click", () => choose(track, segment, button));
  return place(button, segment.start_s, segment.end_s);
};

const choose = (track, segment, button) => {
  for (const other of find("timeline").querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
  const { key_frames_s: moments, key_joints: joints } = segment.explanation;
  const details = [
    make("h2", { textContent: `Person ${track.track_id}: ${readable(segment.label)}` }),
    make("p", { textContent: `${seconds(segment.start_s)} to ${seconds(segment.end_s)}` }),
    make("div", { className: "scores" }, ...segment.top_k.flatMap(scoreLine)),
  ];
  if (joints.length) details.push(make("p", { textContent: `Joints that decided: ${joints.map(readable).join(", ")}` }));
  if (moments.length) details.push(make("p", {}, "Moments that decided: ", ...moments.map(momentButton)));
  find("segment").replaceChildren(...details);
  find("segment").hidden = false;
  seek(segment.start_s);
};

const scoreLine = ({ label, score }) => [
  make("span", { textContent: readable(label) }),
  make("meter", { value: score, title: percent(score) }),
  make("span", { textContent: percent(score) }),
];

const momentButton = (timeS) => make("button", { type: "button", textContent: seconds(timeS), onclick: () => seek(timeS) });

const seek = (timeS) => {
  find("video").currentTime = timeS;
};

const play = () => {
  const video = find("video");
  find("player").hidden = false;
  video.onerror = () => {
    find("player").hidden = true; // the browser cannot play this kind of file, the service could
  };
  video.src = shown.videoUrl;
  const step = () => {
    if (!shown) return;
    drawPeople(video.currentTime);
    movePlayhead(video.currentTime);
    shown.frame = requestAnimationFrame(step);
  };
  step();
};

const movePlayhead = (timeS) => {
  const lane = find("timeline").querySelector(".lane");
  const share = Math.min(1, timeS / (shown.answer.video.duration_s || 1));
  find("playhead").style.left = `${lane.offsetLeft + share * lane.offsetWidth}px`;
};

const drawPeople = (timeS) => {
  const video = find("video");
  const canvas = find("overlay");
  const density = window.devicePixelRatio || 1;
  if (canvas.width !== canvas.clientWidth * density) canvas.width = canvas.clientWidth * density;
  if (canvas.height !== canvas.clientHeight * density) canvas.height = canvas.clientHeight * density;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const { width, height } = shown.answer.video;
  const scale = Math.min(canvas.width / width, (video.clientHeight * density) / height);
  pen.setTransform(scale, 0, 0, scale, (canvas.width - width * scale) / 2, (video.clientHeight * density - height * scale) / 2);
  for (const track of shown.answer.tracks) drawPerson(pen, track, timeS, density / scale);
  pen.setTransform(1, 0, 0, 1, 0, 0);
};

const drawPerson = (pen, track, timeS, pixel) => {
  const { times_s: times, points, boxes } = track.keypoints ?? { times_s: [] };
  const frame = latest(times, timeS);
  if (frame < 0 || timeS - times[frame] > HELD_S) return;
  const segment = track.segments.find((one) => one.start_s <= timeS && timeS <= one.end_s);
  pen.strokeStyle = pen.fillStyle = segment ? `hsl(${shown.hues.get(segment.label)} 90% 65%)` : "#fff";
  pen.lineWidth = 2 * pixel;
  const [left, top, right, bottom] = boxes[frame];
  pen.strokeRect(left, top, right - left, bottom - top);
  for (const [x, y, score] of points[frame]) if (score > 0.1) pen.fillRect(x - 2 * pixel, y - 2 * pixel, 4 * pixel, 4 * pixel);
  pen.font = `${14 * pixel}px system-ui, sans-serif`;
  pen.fillText(`${track.track_id}${segment ? ` ${readable(segment.label)}` : ""}`, left, Math.max(top - 4 * pixel, 14 * pixel));
};

const latest = (times, timeS) => {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= timeS) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};
