// A ModernBERT in this tab: words for blanks, vectors, similarity. Computed in a worker, from the files beside this one.

/** What the model says when it does not answer. */
export class ModernBertError extends Error {
  name = "ModernBertError";
}

const listeners = new Set();
let started = null;

/** Load the model, once: whoever asks again gets the same. Gives what was loaded, and where it runs. */
export function load({ onprogress, device = "auto" } = {}) {
  if (onprogress) listeners.add(onprogress);
  started ??= start(device);
  return started.ready;
}

/** For each blank of a text its likeliest tokens, best first. */
export async function fillMask(text, { topK = 5 } = {}) {
  return send("fillMask", [text, topK]);
}

/** One vector a text, of length 1. `role` takes the model's prompt for a "query" or a "document", where it has one. */
export async function embed(texts, { role = "text", truncate = false } = {}) {
  const found = await send("embed", [typeof texts === "string" ? [texts] : [...texts], role, truncate]);
  return typeof texts === "string" ? found[0] : found;
}

/** The cosine between two texts: 1 means the same. */
export async function similarity(one, other) {
  const [a, b] = await embed([one, other]);
  return a.reduce((sum, value, place) => sum + value * b[place], 0);
}

async function send(verb, words) {
  await load();
  return started.send(verb, words);
}

function start(device) {
  const worker = new Worker(new URL("./worker/worker.js", import.meta.url), { type: "module", name: "modernbert" });
  const waiting = new Map();
  let number = 0;
  const ask = (verb, words) =>
    new Promise((resolve, reject) => {
      number += 1;
      waiting.set(number, { resolve, reject });
      worker.postMessage({ number, verb, words });
    });
  worker.addEventListener("message", ({ data }) => {
    if (data.progress) return listeners.forEach((tell) => tell(data.progress));
    const { resolve, reject } = waiting.get(data.number);
    waiting.delete(data.number);
    return data.problem === undefined ? resolve(data.found) : reject(new ModernBertError(data.problem));
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    const problem = new ModernBertError(
      "the model's worker does not start: a file of this folder is missing, or the browser is older than 2023",
    );
    waiting.forEach(({ reject }) => reject(problem));
    waiting.clear();
  });
  const ready = ask("load", [device]).catch((problem) => {
    worker.terminate();
    started = null; // the next call tries again
    throw problem;
  });
  return { ready, send: ask };
}
