// The few things that every script of the page needs to build it. Text is always set as text, never as markup.

export const find = (id) => document.getElementById(id);

// Properties with a dash, and role, are attributes; the rest are set on the element.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

export const button = (textContent, onclick, properties = {}) =>
  make("button", { type: "button", textContent, onclick, ...properties });

export const show = (id, isShown = true) => {
  find(id).hidden = !isShown;
};

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const readable = (label) => label.replaceAll("_", " ");
export const seconds = (time) => `${time.toFixed(time < 10 ? 2 : 1)} s`;
export const percent = (share) => `${Math.round(share * 100)} %`;
export const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

export const clock = (time, digits = 1) => {
  const minutes = Math.floor(time / 60);
  const hours = Math.floor(minutes / 60);
  const rest = (time - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

// Offer content for saving under a name.
export const save = (content, name) => {
  const address = URL.createObjectURL(content);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
};
