// Late interaction: which token of a document each token of the question found.

import { ask } from "./ask.js";
import { el, field, marked } from "./dom.js";

export default {
  id: "match",
  name: "Token match",
  title: "Why a passage fits",
  lede: "Late interaction keeps a vector for every token. Each token of the question looks for its best match; the matches add up.",
  needs: "late",
  missing:
    "No model here gives a vector a token. Start the server with a late-interaction model, such as: modernbert serve nano:late, or a ColBERT folder",

  build(context) {
    const question = field("Question", "when does the ferry leave in winter", {
      onask: (now) => context.ask(now),
      rows: 1,
    });
    const passage = field(
      "Passage",
      "The boat to the island departs at nine and at four. From November to March only the morning crossing runs, weather permitting.",
      { onask: (now) => context.ask(now), rows: 3 },
    );
    context.run = async (signal) => {
      const text = passage.area.value;
      if (!question.area.value.trim() || !text.trim()) return context.show();
      const body = { query: question.area.value, documents: [text], truncate: true, model: context.model };
      const { query, documents } = await ask("late/match", body, signal);
      show(context, text, query, documents[0]);
      return undefined;
    };
    return [question.whole, passage.whole];
  },
};

function show(context, text, query, found) {
  if (found.score === null) return context.show(el("p", { class: "hint" }, "Every token of the passage is skipped by this model."));
  const weights = new Map();
  for (const match of found.matches) {
    const place = `${match.start}-${match.end}`;
    weights.set(place, Math.max(weights.get(place) ?? 0, match.similarity));
  }
  const places = [...weights.keys()].map((place) => place.split("-").map(Number)).filter(([start, end]) => start < end);
  places.sort((one, other) => one[0] - other[0]);
  const spots = new Map();
  const reading = el(
    "p",
    { class: "reading" },
    marked(text, places.map(([start, end]) => ({ start, end })), ({ start, end }, inner) => {
      const spot = el("span", { class: "word for", style: { "--share": 0.45 * weights.get(`${start}-${end}`) } }, inner);
      spots.set(`${start}-${end}`, spot);
      return spot;
    }),
  );
  const told = el("p", { class: "pair" });
  const point = (number) => {
    for (const spot of spots.values()) spot.classList.remove("found");
    const match = found.matches[number];
    spots.get(`${match.start}-${match.end}`)?.classList.add("found");
    told.replaceChildren(el("span", {}, spelled(query[number])), el("b", {}, match.similarity.toFixed(2)), el("span", {}, match.text || "a special token"));
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip === chips.children[number]));
  };
  const chips = el(
    "div",
    { class: "chips", role: "group", "aria-label": "Tokens of the question" },
    query.map((token, number) =>
      el(
        "button",
        {
          type: "button",
          class: found.matches[number].text ? "chip" : "chip faint",
          onclick: () => point(number),
          onpointerenter: () => point(number),
          onfocus: () => point(number),
        },
        spelled(token),
      ),
    ),
  );
  const best = found.matches.reduce((top, match, n) => (match.text && match.similarity > (found.matches[top]?.similarity ?? -2) ? n : top), -1);
  context.show(chips, reading, told, el("p", { class: "quiet" }, `score ${found.score.toFixed(2)} over ${query.length} tokens`));
  point(best < 0 ? 0 : best);
  context.say(`Score ${found.score.toFixed(2)}`);
  return undefined;
}

/** As a reader writes it: the vocabulary's Ġ is a space. */
function spelled(token) {
  return token.replaceAll("Ġ", " ").trim() || "␣";
}
