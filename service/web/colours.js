// One colour a label, by its place among the model's labels, so that it is the same in every video.

const GOLDEN_ANGLE = 137.508; // spreads hues evenly, however many there are
const NUM_HUES = 8; // from here on they come close to each other, so that they are lighter or darker
const TONES = [0.49, 0.41, 0.52]; // white is readable on each

export const hueOf = (labelId) => (165 + labelId * GOLDEN_ANGLE) % 360;

// Let the style sheet paint an element in a label's colour.
export const colour = (element, labelId) => {
  element.style.setProperty("--colour", `oklch(${TONES[Math.floor(labelId / NUM_HUES) % TONES.length]} 0.12 ${hueOf(labelId)})`);
  return element;
};
