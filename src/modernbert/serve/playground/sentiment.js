// The label of a text, and which of its words speak for it and against it.

import { Refusal, ask } from "./ask.js";
import { bar, el, field, marked, percent } from "./dom.js";

export default {
  id: "sentiment",
  name: "Sentiment",
  title: "Sentiment, word by word",
  lede: "A label for a text, and what each word adds to it, found by following the gradient from a text of nothing but blanks.",
  needs: "classify",
  missing:
    "No model here labels texts. Start the server with a text classifier, such as: modernbert serve nano, or a folder that modernbert finetune made",

  build(context) {
    const { area, whole } = field(
      "Text",
      "The food was wonderful and the people were kind, but we waited far too long for a table.",
      { onask: (now) => context.ask(now) },
    );
    let wanted = null;
    context.run = async (signal) => {
      const text = area.value;
      if (!text.trim()) return context.show();
      const [labels] = await ask("classify", { inputs: text, model: context.model }, signal);
      const label = labels.some((each) => each.label === wanted) ? wanted : labels[0].label;
      const words = el("p", { class: "reading" }, text);
      const note = el("p", { class: "legend quiet" }, "weighing the words …");
      const choose = (name) => {
        wanted = name;
        context.ask(true);
      };
      context.show(
        words,
        note,
        el("section", { "aria-label": "Labels" }, labels.map((each) =>
          bar(each.label, each.score, percent(each.score), {
            title: `What speaks for “${each.label}”`,
            "aria-pressed": String(each.label === label),
            onclick: () => choose(each.label),
          }),
        )),
      );
      context.say(`${labels[0].label}, ${percent(labels[0].score)}`);
      context.time();
      await explain(context, text, label, words, note, signal);
      return undefined;
    };
    return [whole];
  },
};

async function explain(context, text, label, words, note, signal) {
  let found;
  try {
    found = await ask("explain", { inputs: text, label, steps: 24, model: context.model }, signal);
  } catch (problem) {
    if (!(problem instanceof Refusal)) throw problem;
    note.textContent = `Its words cannot be weighed: ${problem.message}.`;
    return;
  }
  const most = Math.max(...found.words.map((word) => Math.abs(word.weight)), 1e-9);
  words.replaceChildren(
    ...marked(text, found.words, (word, inner) =>
      el(
        "span",
        {
          class: word.weight > 0 ? "word for" : "word against",
          style: { "--share": Math.abs(word.weight) / most },
          title: `${word.weight > 0 ? "+" : "−"}${Math.abs(word.weight).toFixed(2)} logits`,
        },
        inner,
      ),
    ),
  );
  note.replaceChildren(
    el("span", { class: "word for", style: { "--share": 0.8 } }, "speaks for"),
    ` ${label}    `,
    el("span", { class: "word against", style: { "--share": 0.8 } }, "speaks against it"),
  );
}
