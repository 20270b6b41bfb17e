// What is known about one action: how sure, what else it may have been, and the moments and joints that decided.

import { colour } from "./colours.js";
import { button, find, make, percent, readable, seconds, show } from "./dom.js";

export const showSegment = ({ track, segment }, { onSeek, thumbnails }) => {
  const { key_frames_s: moments, key_joints: joints } = segment.explanation;
  const title = make("h2", {}, swatch(segment.label_id), readable(segment.label));
  const parts = [
    title,
    make("p", {
      className: "quiet",
      textContent: `Person ${track.track_id}, ${seconds(segment.start_s)} to ${seconds(segment.end_s)}, lasting ${seconds(segment.end_s - segment.start_s)}`,
    }),
    make("h3", { textContent: "How sure" }),
    make("div", { className: "scores" }, ...segment.top_k.flatMap((one) => scoreLine(one, segment))),
  ];
  if (moments.length) {
    parts.push(
      make("h3", { textContent: "Moments that decided" }),
      make("div", { className: "moments" }, ...moments.map((timeS) => momentButton(timeS, { track, segment, onSeek, thumbnails }))),
    );
  }
  if (joints.length) {
    parts.push(
      make("h3", { textContent: "Joints that decided" }),
      make("p", { className: "chips" }, ...joints.map((joint) => make("span", { className: "chip", textContent: readable(joint) }))),
      make("p", { className: "quiet small", textContent: "They are ringed in the picture." }),
    );
  }
  find("segment").replaceChildren(...parts);
  show("segment");
};

export const swatch = (labelId) => colour(make("span", { className: "swatch", "aria-hidden": "true" }), labelId);

const scoreLine = ({ label, score }, segment) => [
  make("span", { textContent: readable(label), className: label === segment.label ? "chosen" : "" }),
  scoreBar(score),
  make("span", { className: "number", textContent: percent(score) }),
];

// The number stands beside it for whoever cannot see it.
const scoreBar = (score) => {
  const bar = make("span", { className: "score", "aria-hidden": "true" }, make("span"));
  bar.firstChild.style.width = percent(score).replace(" ", "");
  return bar;
};

const momentButton = (timeS, { track, segment, onSeek, thumbnails }) => {
  const picture = make("canvas", { width: 1, height: 1 });
  thumbnails.draw(picture, { track, segment, timeS });
  const seek = button("", () => onSeek(timeS), { className: "moment", "aria-label": `Go to ${seconds(timeS)}` });
  seek.append(picture, make("span", { textContent: seconds(timeS) }));
  return seek;
};
