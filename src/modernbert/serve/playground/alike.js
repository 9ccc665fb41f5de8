// How alike sentences are: the cosines of their vectors, as a map.

import { ask, inParts } from "./ask.js";
import { el, field } from "./dom.js";

const MOST = 16;

export default {
  id: "alike",
  name: "Similarity",
  title: "Which sentences mean the same",
  lede: "Each line becomes one vector. The closer two vectors point, the fuller the colour of their square.",
  needs: "embed",
  missing: "No model here makes vectors. Start the server with an encoder or an embedder, such as: modernbert serve nano",

  build(context) {
    const lines = [
      "A man is playing the guitar on stage.",
      "Someone performs music for a crowd.",
      "The cat sleeps on a warm window sill.",
      "Our kitten naps in the sun.",
      "Interest rates were raised again on Tuesday.",
      "The central bank made borrowing dearer.",
    ];
    const { area, whole } = field("Sentences, one a line", lines.join("\n"), {
      onask: (now) => context.ask(now),
      lines: true,
      rows: 6,
    });
    context.run = async (signal) => {
      const texts = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
      if (texts.length < 2) return context.show(el("p", { class: "hint" }, "Write two lines or more."));
      if (texts.length > MOST) return context.show(el("p", { class: "hint" }, `Write ${MOST} lines or fewer.`));
      const vectors = await inParts(texts, context.server.max_client_batch_size, (some) =>
        ask("embed", { inputs: some, normalize: true, truncate: true, model: context.model }, signal),
      );
      show(context, texts, vectors);
      return undefined;
    };
    return [whole];
  },
};

function show(context, texts, vectors) {
  const cosines = vectors.map((one) => vectors.map((other) => dot(one, other)));
  const others = cosines.flatMap((row, i) => row.filter((_, j) => i !== j));
  const [least, most] = [Math.min(...others), Math.max(...others)];
  const shade = (cosine) => Math.min(1, Math.max(0, (cosine - least) / (most - least || 1)));
  const told = el("p", { class: "pair", "aria-live": "off" });
  const tell = (i, j) =>
    told.replaceChildren(el("span", {}, texts[i]), el("b", {}, cosines[i][j].toFixed(2)), el("span", {}, texts[j]));
  const rows = cosines.map((row, i) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("div", {}, el("span", { class: "number" }, String(i + 1)), el("span", { class: "line" }, texts[i]))),
      row.map((cosine, j) =>
        el(
          "td",
          {
            style: { "--share": shade(cosine) },
            class: i === j ? "self" : null,
            onpointerenter: () => tell(i, j),
          },
          i === j ? "" : cosine.toFixed(2).replace(/^(-?)0/, "$1"),
        ),
      ),
    ),
  );
  const head = el("tr", {}, el("th"), texts.map((_, j) => el("th", { scope: "col" }, String(j + 1))));
  const best = closest(cosines);
  tell(...best);
  context.show(
    el("div", { class: "wide" }, el("table", { class: "heat" }, el("caption", { class: "unseen" }, "Cosines"), head, rows)),
    told,
  );
  context.say(`Closest: ${texts[best[0]]} and ${texts[best[1]]}`);
}

function closest(cosines) {
  let best = [0, 1];
  cosines.forEach((row, i) => row.forEach((cosine, j) => {
    if (i < j && cosine > cosines[best[0]][best[1]]) best = [i, j];
  }));
  return best;
}

function dot(one, other) {
  return one.reduce((sum, value, place) => sum + value * other[place], 0);
}
