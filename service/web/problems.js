// Say what went wrong, and what can be done about it.

import { find, make, show } from "./dom.js";

const ADVICE = {
  lost: "Check that the service is running and that this machine is connected, then try again.",
  "key-missing": "Enter the API key of this service above, then try again.",
  "key-refused": "Enter another API key above, then try again.",
  "not-a-video": "Choose a video file, such as MP4, MOV, MKV, WebM or AVI.",
  undecodable: "The file may be damaged or half copied. Export it again, or choose another.",
  "empty-upload": "The file is empty. Choose another.",
  "limit-exceeded": "Cut the video, or make it smaller, and choose it again.",
  "upload-too-slow": "Try again on a faster connection, or with a smaller file.",
  "deadline-exceeded": "Try a shorter video, or lower the number of people under Settings.",
  "queue-full": "Others are being served. Try again in a moment.",
  "not-ready": "It is still starting. Try again in a moment.",
  "weights-missing": "Run the command named above where the service runs, or choose another way to find poses.",
  "bad-options": "Change the settings named above, then try again.",
  internal: "This is a fault of the service. Its log has the details under the request's id.",
};

// `again` is what trying again means; without it there is nothing to be tried.
export const showProblem = (problem, again = null) => {
  const advice = ADVICE[problem.kind] ?? (problem.status >= 500 ? ADVICE.internal : "");
  const lines = [make("h2", { textContent: problem.title ?? "Something went wrong" })];
  const detail = problem.detail ?? String(problem.message ?? problem);
  if (detail) lines.push(make("p", { textContent: detail }));
  if (problem.errors?.length > 1) lines.push(make("ul", {}, ...problem.errors.map(faultLine)));
  if (advice) lines.push(make("p", { className: "advice", textContent: advice }));
  if (problem.requestId) lines.push(make("p", { className: "quiet small", textContent: `Request ${problem.requestId}` }));
  if (again) lines.push(make("p", {}, retryButton(again)));
  find("problem").replaceChildren(...lines);
  show("problem");
  find("problem").scrollIntoView({ block: "nearest" });
};

export const clearProblem = () => show("problem", false);

const faultLine = ({ field, expected, got }) =>
  make("li", {}, make("code", { textContent: field }), `: expected ${expected}${got ? `, got ${got}` : ""}`);

const retryButton = (again) =>
  make("button", {
    type: "button",
    textContent: "Try again",
    onclick: () => {
      clearProblem();
      again();
    },
  });
