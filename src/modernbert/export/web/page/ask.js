// The playground's door, without a server behind it: the same questions, answered in this tab.

import { embed, fillMask, load } from "../modernbert.js";
import { showProgress } from "./loading.js";

/** What is said where there is no answer. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const ABILITIES = { "fill-mask": "fill-mask", embedding: "embed" };

const ANSWERS = {
  async "inside/server"() {
    const loaded = await load({ onprogress: showProgress });
    const models = loaded.models.map((each) => ({ ...each, abilities: [ABILITIES[each.head]] }));
    return { models, mask: loaded.models[0].mask, max_client_batch_size: 32, threads: loaded.threads };
  },

  indexes: async () => [],

  async "fill-mask"({ inputs, parameters }) {
    const found = await fillMask(inputs, { topK: parameters.top_k });
    return found.map((guesses) => guesses.map(({ token, tokenId, score }) => ({ token: tokenId, token_str: token, score })));
  },

  embed: ({ inputs }) => embed(inputs), // a line that is too long is refused, never cut: there is no log to say it in
};

let last = Promise.resolve();

/** One question after the other; what nobody waits for any more is not computed. */
export function ask(path, body, signal) {
  const answer = last.then(async () => {
    signal?.throwIfAborted();
    try {
      const found = await ANSWERS[path](body);
      signal?.throwIfAborted();
      return found;
    } catch (problem) {
      throw problem.name === "ModernBertError" ? new Refusal(0, problem.message) : problem;
    }
  });
  last = answer.catch(() => {});
  return answer;
}

/** All of them, a few at a time, so that a newer question need not wait for all. */
export async function inParts(texts, most, run) {
  const found = [];
  for (let start = 0; start < texts.length; start += most) found.push(...(await run(texts.slice(start, start + most))));
  return found;
}
