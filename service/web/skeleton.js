// People as they are drawn: where somebody is at a time, and their limbs, box and caption on a canvas.
// The rules are those of the annotated video: what is interpolated, what is left out, which limbs are drawn.

import { drawCaptions } from "./captions.js";
import { hueOf } from "./colours.js";
import { clamp } from "./dom.js";

const MAX_GAP_S = 0.5; // longer gaps between two samples are not bridged
const HOLD_S = 0.1;
const MIN_SCORE = 0.2;
const FULL_SCORE = 0.6; // from here on a joint is opaque
const LIGHTNESS = { left: 0.9, right: 0.72, "": 0.82 };

const colourOf = (labelId, side = "") =>
  `oklch(${LIGHTNESS[side]} ${labelId === null ? 0.02 : 0.16} ${hueOf(labelId ?? 0)})`;

// Limbs as they look best: without neck or pelvis, shoulders and hips are joined and a neck ends between.
export const figureOf = ({ joints, limbs }) => {
  const at = (...names) => names.map((name) => joints.indexOf(name));
  const shoulders = at("left_shoulder", "right_shoulder");
  const hips = at("left_hip", "right_hip");
  const pairs = limbs.map(([child, parent]) => [[child], [parent]]);
  if ([...shoulders, ...hips].includes(-1)) return { joints, limbs: pairs.map(sided(joints)) };
  const necks = pairs.filter(([[child], [parent]]) => shoulders.includes(child) && !/neck|shoulder/.test(joints[parent]));
  const drawn = pairs.filter((pair) => !necks.includes(pair));
  if (necks.length) drawn.push([necks[0][1], shoulders], [[shoulders[0]], [shoulders[1]]]);
  if (!joints.includes("pelvis")) drawn.push([[hips[0]], [hips[1]]]);
  return { joints, limbs: drawn.map(sided(joints)) };
};

const sideOf = (joint) => /^(left|right)_/.exec(joint)?.[1] ?? "";

const sided = (joints) => ([start, end]) => {
  const sides = new Set([...start, ...end].map((joint) => sideOf(joints[joint])));
  return { start, end, side: sides.size === 1 ? [...sides][0] : "" };
};

// The place of the last time that is not after the one asked for, or -1.
export const latest = (times, timeS) => {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= timeS) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

// Somebody's joints and box at a time, between the samples around it; null where they were not seen.
export const personAt = ({ times_s: times, points, boxes }, timeS) => {
  const before = latest(times, timeS);
  const after = before + 1;
  if (before >= 0 && after < times.length && times[after] - times[before] <= MAX_GAP_S) {
    const share = (timeS - times[before]) / (times[after] - times[before]);
    return {
      points: points[before].map((point, joint) => mixJoint(point, points[after][joint], share)),
      box: mix(boxes[before], boxes[after], share),
    };
  }
  const near = [before, after].find((place) => Math.abs(times[place] - timeS) <= HOLD_S);
  return near === undefined ? null : { points: points[near], box: boxes[near] };
};

const mix = (first, second, share) => first.map((value, place) => value + share * (second[place] - value));

// A joint that was seen in one of two samples alone is as in the nearer.
const mixJoint = (first, second, share) =>
  first[2] > 0 && second[2] > 0 ? mix(first, second, share) : share < 0.5 ? first : second;

// Draw people `{ points, box, labelId, caption, key }`, captions on top; `key` are names of joints to be ringed.
// `pixel` is the length of a screen's pixel in the pen's units, `parts` says what of them is wanted.
export const drawPeople = (pen, people, figure, { pixel, parts }) => {
  for (const person of people) drawPerson(pen, person, figure, { pixel, parts });
  const captions = people.map(({ caption, box, labelId }) => ({ text: caption, box, colour: colourOf(labelId) }));
  if (parts.labels) drawCaptions(pen, captions, pixel);
};

const drawPerson = (pen, { points, box, labelId, key = [] }, figure, { pixel, parts }) => {
  pen.lineCap = pen.lineJoin = "round";
  const line = clamp((box[3] - box[1]) / 60, 2.5 * pixel, 5 * pixel);
  if (parts.boxes) drawBox(pen, box, colourOf(labelId), pixel);
  if (parts.skeletons) {
    const limbs = figure.limbs.map((limb) => limbIn(points, limb)).filter((limb) => limb.score >= MIN_SCORE);
    for (const limb of limbs) strokeLimb(pen, limb, "#101214", line + 2 * pixel, 0.6);
    for (const limb of limbs) strokeLimb(pen, limb, colourOf(labelId, limb.side), line, 1);
    for (const [joint, point] of points.entries()) {
      if (point[2] >= MIN_SCORE) drawJoint(pen, point, figure.joints[joint], { labelId, line, pixel, key });
    }
  }
};

const drawBox = (pen, [left, top, right, bottom], colour, pixel) => {
  pen.globalAlpha = 0.75;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.25 * pixel;
  pen.beginPath();
  pen.roundRect(left, top, right - left, bottom - top, 6 * pixel);
  pen.stroke();
  pen.globalAlpha = 1;
};

const middleOf = (points, joints) =>
  [0, 1].map((axis) => joints.reduce((sum, joint) => sum + points[joint][axis], 0) / joints.length);

const limbIn = (points, { start, end, side }) => ({
  start: middleOf(points, start),
  end: middleOf(points, end),
  side,
  score: Math.min(...[...start, ...end].map((joint) => points[joint][2])),
});

const opacityOf = (score) => clamp(0.3 + (0.7 * (score - MIN_SCORE)) / (FULL_SCORE - MIN_SCORE), 0.3, 1);

const strokeLimb = (pen, { start, end, score }, colour, width, opacity) => {
  pen.globalAlpha = opacity * opacityOf(score);
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(...start);
  pen.lineTo(...end);
  pen.stroke();
  pen.globalAlpha = 1;
};

const drawJoint = (pen, [x, y, score], name, { labelId, line, pixel, key }) => {
  const isKey = key.includes(name);
  const radius = line * (/(eye|ear)$/.test(name) ? 0.6 : 0.95);
  pen.globalAlpha = opacityOf(score);
  disc(pen, x, y, radius + pixel, "#101214");
  disc(pen, x, y, radius, colourOf(labelId, sideOf(name)));
  pen.globalAlpha = 1;
  if (!isKey) return;
  pen.strokeStyle = "#fff";
  pen.lineWidth = 2 * pixel;
  pen.beginPath();
  pen.arc(x, y, radius + 5 * pixel, 0, 2 * Math.PI);
  pen.stroke();
};

const disc = (pen, x, y, radius, colour) => {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
};
