// Questions to the server this page came from, with the key where it wants one.

const KEY = "modernbert-key";

/** What the server says when it does not answer. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The JSON that a route answers. Without a body, it is a GET. */
export async function ask(path, body, signal) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { accept: "application/json" };
    if (key) headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await reach(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
    if (answer.status === 401) {
      await knock(key);
      continue;
    }
    const found = await answer.json().catch(() => null);
    if (!answer.ok) throw new Refusal(answer.status, sentence(found) ?? `the server answered ${answer.status}`);
    return found;
  }
}

/** All of them, no more at a time than the server takes. */
export async function inParts(texts, most, run) {
  const found = [];
  for (let start = 0; start < texts.length; start += most) found.push(...(await run(texts.slice(start, start + most))));
  return found;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refusal(0, "the server cannot be reached: is it still running?");
  }
}

function sentence(found) {
  return typeof found?.error === "string" ? found.error : found?.error?.message;
}

let knocking = null;

/** Ask for the key; several questions wait for one answer. */
function knock(refused) {
  const now = sessionStorage.getItem(KEY);
  if (now && now !== refused) return Promise.resolve(); // given meanwhile
  knocking ??= new Promise((resolve) => {
    const door = document.getElementById("door");
    const input = document.getElementById("key");
    document.getElementById("door-problem").textContent = refused ? "This key does not open it." : "";
    input.value = "";
    door.addEventListener("close", () => {
      sessionStorage.setItem(KEY, input.value.trim());
      knocking = null;
      resolve();
    }, { once: true });
    door.addEventListener("cancel", (event) => event.preventDefault());
    door.showModal();
    input.focus();
  });
  return knocking;
}
