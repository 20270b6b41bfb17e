// The page: a video or the camera goes in, and what comes of it is shown; one thing at a time.

import { isKeyProblem, useKey } from "./api.js";
import { Choices } from "./choices.js";
import { find, show } from "./dom.js";
import { listenForKeys } from "./keys.js";
import { Live } from "./live.js";
import { clearProblem, showProblem } from "./problems.js";
import { loadFigures, Review } from "./review.js";
import { recognise } from "./upload.js";

const READY_MS = 2000;

const choices = new Choices();
let work = null; // an AbortController while a video is sent and worked on
let job = null;
let review = null;
let live = null;
let nextLook = null; // at whether the service is ready

const open = async (file) => {
  leave();
  const mine = (work = new AbortController());
  show("start", false);
  try {
    const keep = (started) => (job = started);
    const found = await recognise(file, choices.options, { signal: mine.signal, keep });
    const figures = await loadFigures();
    if (work === mine) review = new Review({ ...found, file, figures });
  } catch (problem) {
    if (work === mine) fail(problem, () => open(file));
  } finally {
    if (work === mine) show("progress", false);
  }
};

// Stop whatever goes on, take it off the page, and have the service forget it.
const leave = () => {
  work?.abort();
  job?.remove();
  review?.close();
  live?.stop();
  work = job = review = live = null;
  clearProblem();
  show("progress", false);
  show("start");
};

const openCamera = async () => {
  leave();
  const mine = (live = new Live(choices.options, (problem) => {
    if (live !== mine) return;
    live = null;
    show("start");
    if (problem) fail(problem, openCamera);
  }));
  show("start", false);
  try {
    await mine.start();
  } catch (problem) {
    if (live !== mine) return;
    live = null;
    fail(problem, openCamera);
  }
};

const fail = (problem, again) => {
  if (problem.name === "AbortError") return;
  if (isKeyProblem(problem)) askForKey();
  if (problem.kind === "lost" || problem.kind === "stream") lookLater();
  show("start");
  showProblem(problem, again);
};

const askForKey = () => {
  show("key-field");
  find("key").focus();
};

// Say whether the service can be sent work, and look again until it can.
const describeService = async () => {
  try {
    const reply = await fetch("/readyz");
    find("service").textContent = reply.ok ? "Ready" : (await reply.json()).detail;
    find("service").className = reply.ok ? "ready" : "waiting";
    if (reply.ok) return void (await loadChoices());
  } catch {
    find("service").textContent = "The service cannot be reached";
    find("service").className = "waiting";
  }
  lookLater();
};

const lookLater = () => {
  clearTimeout(nextLook);
  nextLook = setTimeout(describeService, READY_MS);
};

const loadChoices = async () => {
  try {
    await choices.load();
    if (!find("key-field").hidden) clearProblem();
    show("key-field", false);
  } catch (problem) {
    fail(problem, loadChoices);
  }
};

const acceptDrops = () => {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      find("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }
};

find("start").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["file", "another"]) {
  find(id).addEventListener("change", (event) => {
    if (event.target.files[0]) open(event.target.files[0]);
    event.target.value = "";
  });
}
for (const id of ["cancel", "remove", "stop"]) find(id).addEventListener("click", leave);
find("open-camera").addEventListener("click", openCamera);
find("stage-play").addEventListener("click", () => review?.player.toggle());
find("key-field").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(find("key").value);
  loadChoices();
});
listenForKeys(() => review);
acceptDrops();
describeService();
