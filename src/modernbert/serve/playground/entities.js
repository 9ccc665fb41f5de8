// Names in a text.

import { ask } from "./ask.js";
import { el, field, marked, percent } from "./dom.js";

export default {
  id: "entities",
  name: "Entities",
  title: "Who, where, what",
  lede: "Every token gets a tag of its own; tags that belong together make a name.",
  needs: "tag",
  missing:
    "No model here finds entities. Start the server with a token classifier, such as: modernbert serve nano, or a folder that modernbert finetune made",

  build(context) {
    const { area, whole } = field(
      "Text",
      "Marie Curie moved from Warsaw to Paris in 1891 and later shared a prize of the Swedish Academy with Pierre Curie.",
      { onask: (now) => context.ask(now), rows: 3 },
    );
    context.run = async (signal) => {
      const text = area.value;
      if (!text.trim()) return context.show();
      const found = await ask("tag", { inputs: text, model: context.model }, signal);
      const kind = (each) => each.entity_group ?? each.entity;
      const reading = el(
        "p",
        { class: "reading spaced" },
        marked(text, found, (each, inner) =>
          el(
            "mark",
            { class: "entity", style: { "--share": each.score }, title: `${kind(each)}, ${percent(each.score)}` },
            inner,
            el("span", { class: "kind" }, kind(each)),
          ),
        ),
      );
      const none = found.length ? null : el("p", { class: "hint" }, "No entity in this text.");
      context.show(reading, ...[none].filter(Boolean));
      context.say(found.length ? found.map((each) => `${each.word}: ${kind(each)}`).join(", ") : "No entity.");
      return undefined;
    };
    return [whole];
  },
};
