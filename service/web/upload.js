// From a chosen file to an answer: as a job where the service keeps jobs, in one request where it does not.

import { askJson, upload } from "./api.js";
import { count, find, percent, show } from "./dom.js";
import { Job } from "./jobs.js";

// Resolves to the answer and its job. `keep` is handed the job as soon as there is one.
export const recognise = async (file, options, { signal, keep }) => {
  const wanted = { ...options, keypoints: true };
  const onSent = (share) => showStage(share < 1 ? "Sending the video" : "The video has arrived", share < 1 ? share : null);
  onSent(0);
  if (!(await takesJobs())) return { answer: await upload("/v1/recognize", file, wanted, { onSent, signal }), job: null };
  const job = await Job.start(file, wanted, { onSent, signal });
  keep(job);
  return { answer: await job.follow(showJob, signal), job };
};

export const showStage = (text, share = null) => {
  if (find("step").textContent !== text) find("step").textContent = text; // it is read aloud when it changes
  find("share").textContent = share === null ? "" : percent(share);
  if (share === null) find("bar").removeAttribute("value");
  else find("bar").value = share;
  show("progress");
};

const showJob = (state) => {
  if (!state) return showStage("The connection is lost; looking for the service again");
  if (state.status === "running") return showStage("Looking for people and what they do", state.progress);
  if (state.status !== "queued") return;
  const before = (state.position ?? 1) - 1;
  showStage(before ? `Waiting; ${count(before, "video comes", "videos come")} first` : "Waiting; this video is next");
};

// Asked before the video is sent, for refusing it afterwards would cost its whole way.
const takesJobs = async () => {
  try {
    await askJson("/v1/jobs?limit=1");
    return true;
  } catch (problem) {
    if (problem.status === 404 || problem.status === 405 || problem.status === 503) return false;
    throw problem;
  }
};
