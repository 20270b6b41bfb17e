// What is asked of the service, with the key where one is needed. Everything that goes wrong is thrown as a Problem.

const KEPT_KEY = "marey.key";

export class Problem extends Error {
  // Fields are those of a problem+json answer (RFC 9457).
  constructor({ type = "about:blank", title, status = 0, detail = "", errors = [], request_id: requestId = "" }) {
    super(title);
    Object.assign(this, { kind: type.split(":").at(-1), title, status, detail, errors, requestId });
  }
}

// The key outlives a reload, but not the tab.
let key = sessionStorage.getItem(KEPT_KEY) ?? "";

export const useKey = (text) => {
  key = text.trim();
  if (key) sessionStorage.setItem(KEPT_KEY, key);
  else sessionStorage.removeItem(KEPT_KEY);
};

export const keyHeaders = () => (key ? { "X-API-Key": key } : {});

// A browser cannot send headers with a WebSocket, so the key goes among the protocols that it offers.
export const streamProtocols = () => {
  const encoded = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return key ? ["marey.v1", `marey.key.${encoded}`] : ["marey.v1"];
};

export const isKeyProblem = (problem) => problem.status === 401 || problem.status === 403;

export const lost = () =>
  new Problem({ type: "lost", title: "The service cannot be reached", detail: "No answer came from the service." });

export const problemOf = (status, text) => {
  try {
    const fields = JSON.parse(text);
    if (fields.title) return new Problem({ ...fields, status });
  } catch {
    // It was not JSON: something before the service answered, such as a proxy.
  }
  return new Problem({ title: `The service answered ${status}`, status, detail: text.slice(0, 300) });
};

export const ask = async (path, options = {}) => {
  let reply;
  try {
    reply = await fetch(path, { ...options, headers: { ...keyHeaders(), ...options.headers } });
  } catch (error) {
    throw error.name === "AbortError" ? error : lost();
  }
  if (!reply.ok) throw problemOf(reply.status, await reply.text());
  return reply;
};

export const askJson = async (path, options) => (await ask(path, options)).json();
export const askBlob = async (path, options) => (await ask(path, options)).blob();

// Post a video as a form; `onSent` hears the share that has gone out. Resolves to the answer's JSON.
export const upload = (path, file, options, { onSent, signal }) =>
  new Promise((resolve, reject) => {
    const body = new FormData();
    body.append("options", JSON.stringify(options));
    body.append("file", file, file.name);
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.open("POST", path);
    for (const [name, text] of Object.entries(keyHeaders())) request.setRequestHeader(name, text);
    request.upload.onprogress = (event) => onSent(event.loaded / event.total);
    request.upload.onload = () => onSent(1);
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemOf(request.status, request.responseText));
    };
    request.onerror = () => reject(lost());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
