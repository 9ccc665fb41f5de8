// Models in their runtime: opened, compared with what Python computed, and asked.

import { download } from "./download.js";
import { Problem } from "./problems.js";
import { Tokenizer } from "./tokenizer.js";

/** Vectors of texts that were asked for before: a page asks for the same lines at every key. */
const MOST_KEPT = 4096;

const MOST_THREADS = 4;

/** All models of the folder. Gives them by what they are for. */
export async function openModels(manifest, device, tell) {
  const hasGpu = device !== "wasm" && (await gpuIsThere(device));
  if (device === "webgpu" && !hasGpu) throw new Problem("this browser has no WebGPU: leave the device to the page, or say wasm");
  const runtime = manifest.runtimes[hasGpu ? "webgpu" : "wasm"];
  const fetched = await fetchAll(manifest, runtime, tell);
  const ort = await import(`../runtime/${runtime.script}`);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = fetched.get(`runtime/${runtime.file}`);
  // threads share memory, which a browser allows only where the server says that nothing else is on the page
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  const providers = !hasGpu ? ["wasm"] : device === "webgpu" ? ["webgpu"] : ["webgpu", "wasm"];
  const models = [];
  for (const said of manifest.models) {
    const content = JSON.parse(new TextDecoder().decode(fetched.get(`model/${said.tokenizer.file}`)));
    const tokenizer = new Tokenizer(content, said.tokenizer);
    checkTokens(tokenizer, said);
    const kind = said.head === "fill-mask" ? Filler : Embedder;
    const open = async (provider) => {
      const options = { executionProviders: [provider], logSeverityLevel: 3 };
      const session = await ort.InferenceSession.create(fetched.get(`model/${said.file}`), options);
      return new kind(said, tokenizer, new Graph(ort, session, said.output), provider);
    };
    models.push(await quickest(providers, open, manifest.close));
  }
  return { models, threads: ort.env.wasm.numThreads };
}

function checkTokens(tokenizer, { name, longest, probe }) {
  const ids = tokenizer.encode(probe.text, longest, false);
  if (ids.length !== probe.ids.length || ids.some((id, place) => id !== probe.ids[place])) {
    throw new Problem(`the self-check of ${name} failed: this browser cuts a text into other tokens than Python: use another one`);
  }
}

/** The model where it is right and quick: small ones are often quicker without a GPU, so both are tried. */
export async function quickest(providers, open, close) {
  let best = null;
  let note;
  for (const provider of providers) {
    try {
      const model = await open(provider);
      await model.check(close);
      if (providers.length > 1) await model.time();
      const slower = best === null || model.milliseconds < best.milliseconds ? best : model;
      if (slower !== model) best = model;
      await slower?.graph.release();
    } catch (error) {
      if (provider === providers.at(-1) && best === null) throw error;
      if (provider === "webgpu") note = `WebGPU is there, and not used: ${error?.message ?? error}`;
    }
  }
  const isSlower = providers.length > 1 && best.device === "wasm";
  best.note = note ?? (isSlower ? "WebGPU is there, and without it this model is quicker" : undefined);
  return best;
}

async function gpuIsThere(device) {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && (device === "webgpu" || !adapter.info?.isFallbackAdapter);
  } catch {
    return false;
  }
}

async function fetchAll(manifest, runtime, tell) {
  const files = new Map([[`runtime/${runtime.file}`, runtime]]);
  for (const { file, bytes, unpacked, tokenizer } of manifest.models) {
    files.set(`model/${file}`, { bytes, unpacked });
    files.set(`model/${tokenizer.file}`, { bytes: tokenizer.bytes, unpacked: tokenizer.bytes });
  }
  const total = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  const count = (bytes) => {
    loaded = Math.min(total, loaded + bytes); // a server that unpacks sends more
    tell({ loaded, total });
  };
  const all = [...files].map(async ([path, { unpacked }]) => [path, await download(path, unpacked, count)]);
  return new Map(await Promise.all(all));
}

/** One graph, one text at a time: nothing is padded. */
class Graph {
  constructor(ort, session, output) {
    Object.assign(this, { ort, session, output });
  }

  async run(ids) {
    const tensor = (values) => new this.ort.Tensor("int64", values, [1, ids.length]);
    const feeds = {
      input_ids: tensor(BigInt64Array.from(ids, BigInt)),
      attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)),
    };
    const found = (await this.session.run(feeds, [this.output]))[this.output];
    const data = Float32Array.from(await found.getData());
    found.dispose();
    return data;
  }

  release() {
    return this.session.release();
  }
}

class Model {
  constructor(said, tokenizer, graph, device) {
    Object.assign(this, { said, tokenizer, graph, device });
    this.difference = Infinity;
    this.milliseconds = 0;
  }

  /** Compare with what Python computed when the folder was made. */
  async check(close) {
    const { ids, values } = this.said.probe;
    const found = await this.probe(ids);
    this.difference = values.reduce((worst, value, place) => Math.max(worst, Math.abs(value - found[place])), 0);
    if (!(this.difference <= close)) {
      const far = Number.isFinite(this.difference) ? Number(this.difference.toPrecision(2)) : "what is no number";
      throw new Problem(
        `the self-check of ${this.said.name} failed: it differs from Python by ${far}, expected ${close} at most: copy the folder again, or use another browser`,
      );
    }
  }

  async time() {
    const start = performance.now();
    await this.graph.run(this.said.probe.ids);
    this.milliseconds = performance.now() - start;
  }

  get told() {
    const { name, head, longest, tokenizer } = this.said;
    return { name, head, longest, mask: tokenizer.mask, device: this.device, difference: this.difference, note: this.note };
  }
}

class Filler extends Model {
  async fill(text, topK) {
    const ids = this.tokenizer.encode(text, this.said.longest, false);
    const { mask, mask_id: maskId } = this.said.tokenizer;
    if (!ids.includes(maskId)) throw new Problem(`the text has no ${mask}: write ${mask} where a word is wanted`);
    if (!(Number.isInteger(topK) && topK > 0)) throw new Problem(`topK: found ${topK}, expected a whole number of 1 or more`);
    return (await this.shares(ids)).map((shares) =>
      likeliest(shares, topK).map((tokenId) => ({ token: this.tokenizer.token(tokenId), tokenId, score: shares[tokenId] })),
    );
  }

  /** For each blank a probability for each token. */
  async shares(ids) {
    const logits = await this.graph.run(ids);
    const blanks = ids.filter((id) => id === this.said.tokenizer.mask_id).length;
    const size = logits.length / blanks;
    return Array.from({ length: blanks }, (_, blank) => softmax(logits.subarray(blank * size, (blank + 1) * size)));
  }

  async probe(ids) {
    const shares = await this.shares(ids);
    return this.said.probe.best.flatMap((best, blank) => best.map((id) => shares[blank][id]));
  }
}

class Embedder extends Model {
  kept = new Map();

  async embed(text, role, truncate) {
    const { prompts, longest } = this.said;
    if (!(role in prompts)) throw new Problem(`role: found ${role}, expected ${Object.keys(prompts).join(", ")}`);
    const ids = this.tokenizer.encode(prompts[role] + text, longest, truncate);
    const key = ids.join();
    const vector = this.kept.get(key) ?? (await this.probe(ids));
    this.kept.delete(key);
    this.kept.set(key, vector); // the oldest stands first
    if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
    return vector.slice();
  }

  /** A vector of length 1. */
  async probe(ids) {
    const vector = (await this.graph.run(ids)).subarray(0, this.said.dimensions);
    const length = Math.max(Math.hypot(...vector), 1e-12);
    return vector.map((value) => value / length);
  }
}

function softmax(logits) {
  const most = logits.reduce((one, other) => Math.max(one, other));
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = weights.reduce((one, other) => one + other);
  return weights.map((weight) => weight / sum);
}

/** Places of the largest, in order; of equal ones the first. */
function likeliest(shares, count) {
  const best = [];
  shares.forEach((share, id) => {
    if (best.length === count && share <= shares[best.at(-1)]) return;
    const place = best.findIndex((each) => shares[each] < share);
    best.splice(place < 0 ? best.length : place, 0, id);
    if (best.length > count) best.pop();
  });
  return best;
}
