// The few things that every script of the page needs to build it. Text is always set as text, never as markup.

export const find = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const readable = (label) => label.replaceAll("_", " ");
export const seconds = (time) => `${time.toFixed(time < 10 ? 2 : 1)} s`;
export const percent = (share) => `${Math.round(share * 100)} %`;
