// What belongs into the blanks, with probabilities.

import { ask } from "./ask.js";
import { bar, el, field, percent } from "./dom.js";

export default {
  id: "fill",
  name: "Fill the blank",
  title: "Fill the blank",
  lede: "The one thing the model was trained on: guessing words from both sides. Every other ability grew out of it.",
  needs: "fill-mask",
  missing: "No model here fills blanks. Start the server with a masked language model, such as: modernbert serve nano",

  build(context) {
    const mask = context.server.mask;
    const { area, whole } = field("Text", `The president of the United ${mask} lives in the White ${mask}.`, {
      onask: (now) => context.ask(now),
    });
    const add = el("button", { type: "button", class: "plain", onclick: () => insert(area, mask, context) }, "Add a blank");
    context.run = async (signal) => {
      const text = area.value;
      if (!text.includes(mask)) {
        context.show(el("p", { class: "hint" }, `Write ${mask} where a word is wanted, or press “Add a blank”.`));
        return;
      }
      const body = { inputs: text, parameters: { top_k: 8 }, model: context.model };
      const found = await ask("fill-mask", body, signal);
      const blanks = Array.isArray(found[0]) ? found : [found];
      show(context, text, mask, blanks, area);
    };
    return [whole, el("div", { class: "under" }, add)];
  },
};

function show(context, text, mask, blanks, area) {
  const chosen = blanks.map((guesses) => guesses[0].token_str);
  const sentence = el("p", { class: "reading" });
  const draw = () => {
    const parts = text.split(mask);
    sentence.replaceChildren(
      ...parts.flatMap((part, number) =>
        number < chosen.length
          ? [part.trimEnd(), chosen[number].startsWith(" ") && part.trim() ? " " : "", el("b", { class: "guess" }, chosen[number].trim())]
          : [part],
      ),
    );
  };
  const choose = (number, guess) => {
    chosen[number] = guess.token_str;
    draw();
  };
  const keep = (number, guess) => {
    area.value = put(text, mask, number, guess.token_str);
    area.focus();
    context.ask(true);
  };
  draw();
  context.show(
    sentence,
    el(
      "div",
      { class: "columns" },
      blanks.map((guesses, number) =>
        el(
          "section",
          { "aria-label": `Guesses for blank ${number + 1}` },
          blanks.length > 1 ? el("h2", {}, `Blank ${number + 1}`) : null,
          guesses.map((guess) =>
            bar(guess.token_str.trim() || "␣", guess.score, percent(guess.score), {
              title: "Put it into the text",
              onclick: () => keep(number, guess),
              onpointerenter: () => choose(number, guess),
              onfocus: () => choose(number, guess),
            }),
          ),
        ),
      ),
    ),
  );
  context.say(`Likeliest: ${blanks.map((guesses) => `${guesses[0].token_str}, ${percent(guesses[0].score)}`).join("; ")}`);
}

function put(text, mask, number, token) {
  const parts = text.split(mask);
  const before = parts.slice(0, number + 1).join(mask).trimEnd();
  return (before + (before ? token : token.trimStart()) + parts.slice(number + 1).join(mask)).trimStart();
}

function insert(area, mask, context) {
  const { selectionStart: start, selectionEnd: end, value } = area;
  const before = value.slice(0, start);
  const space = before && !/\s$/.test(before) ? " " : "";
  area.value = `${before}${space}${mask}${value.slice(end)}`;
  area.focus();
  const place = before.length + space.length + mask.length;
  area.setSelectionRange(place, place);
  context.ask(true);
}
