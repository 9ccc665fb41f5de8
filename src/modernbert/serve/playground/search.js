// Search by meaning: in an index that the server has, or in lines pasted here.

import { ask, inParts } from "./ask.js";
import { choice, el, field, marked } from "./dom.js";

const LINES = [
  "The lighthouse keeper climbed the stairs every evening to light the lamp.",
  "Sourdough needs flour, water, salt and a good deal of patience.",
  "Parliament passed the budget after a long night of debate.",
  "She repaired the old bicycle and rode it along the river.",
  "A thick fog kept all ships in the harbour until noon.",
  "The recipe calls for ripe tomatoes and fresh basil.",
  "The striker scored twice in the last ten minutes.",
  "Bees find their way home by the position of the sun.",
];

export default {
  id: "search",
  name: "Search",
  title: "Search by meaning",
  lede: "The question and the passages meet as vectors, so an answer may share no word with what was asked.",
  needs: "embed",
  missing: "No model here makes vectors. Start the server with an encoder or an embedder, such as: modernbert serve nano",

  build(context) {
    let source = context.indexes[0]?.name ?? "";
    const asked = field("Question", "boats in bad weather", { onask: (now) => context.ask(now), rows: 1 });
    const lines = field("Lines to search", LINES.join("\n"), { onask: (now) => context.ask(now), lines: true, rows: 6 });
    const where = choice(
      "In",
      [...context.indexes.map((each) => [each.name, `${each.name} · ${each.num_passages.toLocaleString("en")} passages`]), ["", "lines pasted here"]],
      (name) => {
        source = name;
        lines.whole.hidden = Boolean(source);
        context.ask(true);
      },
    );
    lines.whole.hidden = Boolean(source);
    context.run = async (signal) => {
      const query = asked.area.value.trim();
      if (!query) return context.show();
      if (source) {
        const { results } = await ask("search", { query, index: source, top_k: 8 }, signal);
        return show(context, results.map(passage));
      }
      const texts = lines.area.value.split("\n").map((line) => line.trim()).filter(Boolean);
      if (!texts.length) return context.show(el("p", { class: "hint" }, "Paste some lines."));
      const most = context.server.max_client_batch_size;
      const [vector, ...others] = await inParts([query, ...texts], most, (some) =>
        ask("embed", { inputs: some, normalize: true, truncate: true, model: context.model }, signal),
      );
      const scored = texts.map((text, n) => ({ text, score: others[n].reduce((sum, x, i) => sum + x * vector[i], 0) }));
      scored.sort((one, other) => other.score - one.score);
      const [most_, least] = [scored[0].score, scored.at(-1).score];
      return show(context, scored.slice(0, 8).map((each) => line(each, (each.score - least) / (most_ - least || 1))));
    };
    return [asked.whole, where, lines.whole];
  },
};

function show(context, items) {
  context.show(items.length ? el("ol", { class: "results" }, items) : el("p", { class: "hint" }, "Nothing found."));
  context.say(`${items.length} results`);
}

function line({ text, score }, share) {
  return el(
    "li",
    {},
    el("p", { class: "reading small" }, text),
    el("span", { class: "bar-number" }, score.toFixed(2)),
    el("span", { class: "bar-fill", style: { "--share": share } }),
  );
}

function passage(found) {
  return el(
    "li",
    { class: "passage" },
    el("p", { class: "place" }, `${found.path}:${found.first_line}`, found.symbol ? el("b", {}, ` ${found.symbol}`) : null),
    el(
      "p",
      { class: found.kind === "prose" ? "reading small" : "code" },
      found.lines.flatMap((each) => [
        ...marked(each.text, each.spans.map(([start, end]) => ({ start, end })), (_, inner) => el("mark", {}, inner)),
        found.kind === "prose" ? " " : "\n",
      ]),
    ),
  );
}
