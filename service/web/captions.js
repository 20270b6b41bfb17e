// Captions over heads: each whole in the picture, and none over another.

import { clamp } from "./dom.js";

const SIZE_PX = 13;
const INK = "#101214";

// Draw captions of `{ text, box, colour }`, nearest people first; the others make room.
export const drawCaptions = (pen, captions, pixel) => {
  const placed = [];
  for (const caption of captions.toSorted((one, other) => other.box[3] - one.box[3])) {
    const place = placeFor(pen, caption, pixel, placed);
    placed.push(place);
    drawCaption(pen, caption, place, pixel);
  }
};

const placeFor = (pen, { text, box: [left, top, right] }, pixel, placed) => {
  const size = SIZE_PX * pixel;
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const [width, height] = [pen.measureText(text).width + size, 1.6 * size];
  const { a: across, d: down, e: startX, f: startY } = pen.getTransform();
  const room = { left: -startX / across, right: (pen.canvas.width - startX) / across };
  const bottom = (pen.canvas.height - startY) / down - height;
  const x = clamp((left + right - width) / 2, room.left, Math.max(room.left, room.right - width));
  const tries = [0, -1, 1, -2, 2, 3].map((rows) => ({
    x,
    y: clamp(top - 1.2 * height + rows * 1.1 * height, -startY / down, bottom),
    width,
    height,
  }));
  return tries.find((one) => !placed.some((other) => overlap(one, other))) ?? tries[0];
};

const overlap = (one, other) =>
  one.x < other.x + other.width && other.x < one.x + one.width && one.y < other.y + other.height && other.y < one.y + one.height;

const drawCaption = (pen, { text, colour }, { x, y, width, height }, pixel) => {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.roundRect(x, y, width, height, 5 * pixel);
  pen.fill();
  pen.fillStyle = INK;
  pen.textBaseline = "middle";
  pen.fillText(text, x + (SIZE_PX * pixel) / 2, y + 0.53 * height);
};
