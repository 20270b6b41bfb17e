// Send a video, show how far it is, and hand the answer or the problem on.

import { find, make, percent } from "./dom.js";
import { clearResult, showResult } from "./result.js";

let running = null;

const describeService = async () => {
  const ready = await fetch("/readyz");
  find("service").textContent = ready.ok ? "ready" : (await ready.json()).detail;
  const reply = await fetch("/v1/models", { headers: keyHeaders() });
  if (reply.status === 401 || reply.status === 403) return askForKey();
  if (!reply.ok) return;
  const { models, poses } = await reply.json();
  offer(find("model"), models.map((model) => model.name));
  offer(find("pose"), poses);
};

const offer = (select, names) => {
  const known = [...select.options].map((option) => option.value);
  select.append(...names.filter((name) => !known.includes(name)).map((name) => new Option(name, name)));
};

const keyHeaders = () => (find("key").value ? { "X-API-Key": find("key").value } : {});

const askForKey = () => {
  find("key-field").hidden = false;
};

const optionsChosen = () => {
  const fields = Object.fromEntries(new FormData(find("request")));
  const options = { keypoints: "keypoints" in fields };
  for (const name of ["model", "pose"]) if (fields[name]) options[name] = fields[name];
  for (const name of ["threshold", "max_people"]) if (fields[name]) options[name] = Number(fields[name]);
  return options;
};

const send = (file) => {
  running?.abort();
  clearResult();
  find("problem").hidden = true;
  const body = new FormData();
  body.append("options", JSON.stringify(optionsChosen()));
  body.append("file", file);
  const request = (running = new XMLHttpRequest());
  request.open("POST", "/v1/recognize");
  for (const [name, text] of Object.entries(keyHeaders())) request.setRequestHeader(name, text);
  request.upload.onprogress = (event) => showUpload(event.loaded / event.total);
  request.upload.onload = () => showWork();
  request.onload = () => finish(request, file);
  request.onerror = () => showProblem({ title: "The service cannot be reached", detail: "Is it still running?" });
  request.onloadend = () => {
    if (running === request) find("progress").hidden = true;
  };
  request.send(body);
};

const finish = (request, file) => {
  const answer = parse(request.responseText);
  if (request.status === 200 && answer) return showResult(answer, file);
  if (request.status === 401 || request.status === 403) askForKey();
  showProblem(answer ?? { title: `The service answered ${request.status}`, detail: request.statusText });
};

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const showUpload = (share) => {
  find("progress").hidden = false;
  find("stage").textContent = `Sending, ${percent(share)}`;
  find("bar").value = share;
};

const showWork = () => {
  find("progress").hidden = false;
  find("stage").textContent = "Looking for people and what they do";
  find("bar").removeAttribute("value");
};

const showProblem = (problem) => {
  const lines = [make("h2", { textContent: problem.title }), make("p", { textContent: problem.detail })];
  if (problem.request_id) lines.push(make("p", { className: "quiet", textContent: `Request ${problem.request_id}` }));
  find("problem").replaceChildren(...lines);
  find("problem").hidden = false;
};

const acceptDrops = () => {
  const drop = find("drop");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
    });
  }
};

find("request").addEventListener("submit", (event) => event.preventDefault());
find("file").addEventListener("change", (event) => {
  if (event.target.files[0]) send(event.target.files[0]);
  event.target.value = "";
});
find("cancel").addEventListener("click", () => running?.abort());
find("key").addEventListener("change", () => describeService());
acceptDrops();
describeService();
