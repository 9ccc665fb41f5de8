// The other thread: it loads the models, and answers one question after the other.

import { downloadJson } from "./download.js";
import { openModels } from "./model.js";
import { Problem, expectWebAssembly, sentence } from "./problems.js";

let models = [];
let size = 0;
let last = Promise.resolve();

const VERBS = {
  async load(device) {
    expectWebAssembly();
    const manifest = await downloadJson("model/manifest.json");
    size = manifest.models.reduce((sum, { unpacked }) => sum + unpacked, 0);
    const opened = await openModels(manifest, device, (progress) => postMessage({ progress }));
    models = opened.models;
    return { models: models.map((each) => each.told), threads: opened.threads };
  },

  fillMask: (text, topK) => model("fill-mask").fill(asText(text), topK),

  async embed(texts, role, truncate) {
    const embedder = model("embedding");
    const found = [];
    for (const text of texts) found.push(await embedder.embed(asText(text), role, truncate));
    return found;
  },
};

self.addEventListener("message", ({ data: { number, verb, words } }) => {
  last = last.then(async () => {
    try {
      postMessage({ number, found: await VERBS[verb](...words) });
    } catch (error) {
      postMessage({ number, problem: sentence(error, size) });
    }
  });
});

function model(head) {
  const found = models.find((each) => each.said.head === head);
  if (!found) throw new Problem(`this folder has no model for ${head}: export one that has`);
  return found;
}

function asText(given) {
  if (typeof given !== "string") throw new Problem(`found ${typeof given}, expected a text`);
  return given;
}
