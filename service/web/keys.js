// Keys that work the player, and the list of them.

import { find } from "./dom.js";

const NEEDS_TYPING = "input:not([type=range]):not([type=checkbox]), select, textarea, dialog";

// `review()` is what is on show, or null.
export const listenForKeys = (review) => {
  const actions = {
    " ": ({ player }) => player.toggle(),
    k: ({ player }) => player.toggle(),
    ArrowLeft: ({ player }, event) => (event.shiftKey ? player.seek(player.timeS - 1) : player.step(-1)),
    ArrowRight: ({ player }, event) => (event.shiftKey ? player.seek(player.timeS + 1) : player.step(1)),
    Home: ({ player }) => player.seek(0),
    End: ({ player }) => player.seek(player.durationS),
    n: ({ player, timeline }) => timeline.chooseNext(player.timeS, 1),
    p: ({ player, timeline }) => timeline.chooseNext(player.timeS, -1),
    f: () => find("fullscreen").click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest(NEEDS_TYPING)) return;
    if (event.key === "?") return void find("help").showModal();
    const act = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const shown = review();
    if (!act || !shown || (event.key === " " && event.target.closest("button, summary, a, input"))) return;
    event.preventDefault();
    act(shown, event);
  });
  find("open-help").addEventListener("click", () => find("help").showModal());
};
