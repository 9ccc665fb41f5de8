// Inside: who attends to whom, and what went through the device last.

import { ask } from "./ask.js";
import { choice, el, field, percent } from "./dom.js";

const EVERY = 1500;
const CROWD = 24;

const TEXT =
  "The keeper of the lighthouse knew every ship by the sound of its bell. When the fog came in from the north, he counted " +
  "them one by one, and when the last of them had passed, he wrote its name into a book. In winter the book stayed shut for " +
  "weeks, because no ship would try the narrow water between the rocks, and he had nobody to talk to but the gulls.";

export default {
  id: "inside",
  name: "Inside",
  title: "Inside the encoder",
  lede: "Choose a word to see where it looks. Most layers see a neighbourhood only; every few layers, one sees the whole text.",
  needs: null,
  missing: "",

  build(context) {
    const look = { layer: 0, head: null, token: 1, found: null, shape: "" };
    const { area, whole } = field("Text", TEXT, { onask: (now) => context.ask(now), rows: 4 });
    const controls = el("div", { class: "controls" });
    context.run = async (signal) => {
      const body = { inputs: area.value, layer: look.layer, model: context.model };
      if (look.head !== null) body.head = look.head;
      look.found = await ask("inside/attention", body, signal);
      const { layers, num_heads: heads, model, tokens } = look.found;
      if (look.shape !== `${model} ${layers.length} ${heads}`) {
        look.shape = `${model} ${layers.length} ${heads}`;
        controls.replaceChildren(...choosing(context, look, layers, heads));
      }
      const { kind, reach } = layers[look.layer];
      controls.querySelector(".layers-said").textContent =
        `layer ${look.layer + 1} of ${layers.length} sees ${kind === "global" ? "everything" : `${reach} tokens to either side`}`;
      look.token = Math.min(look.token, tokens.length - 1);
      show(context, look);
    };
    return [whole, controls];
  },

  below(context) {
    const stream = el("div");
    const able = context.server.models.find((each) => each.abilities.includes("embed"));
    const send = el("button", { type: "button", class: "plain", onclick: () => crowd(context, able, stream) }, `Send ${CROWD} requests at once`);
    watch(context, stream);
    return [el("section", { class: "batch", "aria-label": "The last batch" }, el("h2", {}, "The last batch"), stream, able ? send : null)];
  },
};

/** A small bar for each layer, tall where it sees everything; and the heads. */
function choosing(context, look, layers, heads) {
  look.layer = Math.min(look.layer, layers.length - 1);
  look.head = null;
  const bars = layers.map(({ kind }, number) =>
    el("label", { class: `layer ${kind}`, title: `layer ${number + 1}, ${kind}` },
      el("input", {
        type: "radio", name: "layer", "aria-label": `Layer ${number + 1}, ${kind}`, checked: number === look.layer,
        onchange: () => {
          look.layer = number;
          context.ask(true);
        },
      }),
    ),
  );
  const options = [["", "all heads"], ...Array.from({ length: heads }, (_, n) => [n, `head ${n + 1}`])];
  return [
    el("fieldset", {}, el("legend", { class: "unseen" }, "Layer"), bars),
    el("span", { class: "layers-said quiet" }),
    choice("Head", options, (value) => {
      look.head = value === "" ? null : Number(value);
      context.ask(true);
    }),
  ];
}

function show(context, look) {
  const { tokens, shares } = look.found;
  const told = el("p", { class: "quiet" });
  const map = el("canvas", { class: "map", role: "img", "aria-label": "Attention of every token to every other" });
  const buttons = tokens.map((token, number) =>
    el("button", {
      type: "button",
      class: token.is_special ? "token special" : "token",
      onclick: () => point(number),
      onkeydown: (event) => {
        const next = buttons[number + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? Infinity)];
        if (!next) return;
        event.preventDefault();
        next.click();
        next.focus();
      },
    }, token.text || "␣"),
  );
  const point = (number) => {
    look.token = number;
    const row = shares[number];
    const most = Math.max(...row);
    buttons.forEach((button, to) => {
      button.style.setProperty("--share", Math.sqrt(row[to] / most));
      button.setAttribute("aria-pressed", String(to === number));
      button.tabIndex = to === number ? 0 : -1;
      button.title = `${percent(row[to])} of the attention`;
    });
    told.textContent = sentence(tokens, row, number);
    drawMap(map, shares, number);
  };
  const reading = el("div", { class: "tokens", role: "group", "aria-label": "Tokens" }, spaced(tokens, buttons));
  context.show(el("div", { class: "look" }, el("div", {}, reading, told), map));
  point(look.token);
}

function sentence(tokens, row, number) {
  const name = (place) => `“${tokens[place].text || "␣"}”`;
  const top = row.map((share, to) => [share, to]).sort((one, other) => other[0] - one[0]).slice(0, 4);
  return `${name(number)} looks at ${top.map(([share, to]) => `${name(to)} ${percent(share)}`).join(", ")}`;
}

/** White space between tokens where the text has it. */
function spaced(tokens, buttons) {
  return buttons.flatMap((button, n) => {
    const gap = n > 0 && (tokens[n].is_special || tokens[n - 1].is_special || tokens[n].start > tokens[n - 1].end);
    return gap ? [" ", button] : [button];
  });
}

function drawMap(canvas, shares, current) {
  const size = shares.length;
  const scale = Math.max(3, Math.ceil(576 / size));
  canvas.width = canvas.height = size * scale;
  const paint = canvas.getContext("2d");
  paint.fillStyle = paint.strokeStyle = getComputedStyle(canvas).color;
  shares.forEach((row, from) => row.forEach((share, to) => {
    paint.globalAlpha = Math.min(1, Math.sqrt(share * Math.sqrt(size)) * 0.5);
    paint.fillRect(to * scale, from * scale, scale, scale);
  }));
  paint.globalAlpha = 1;
  paint.strokeRect(0.5, current * scale + 0.5, size * scale - 1, scale - 1);
}

/** Look at the last batch now and then, while this panel is shown. */
function watch(context, stream) {
  const again = async () => {
    if (context.leaving.aborted) return;
    if (!document.hidden && !stream.sending) await look(context, stream);
    setTimeout(again, EVERY);
  };
  again();
}

async function look(context, stream) {
  try {
    const { batch, waiting } = await ask("inside/batch", undefined, context.leaving);
    if (batch) stream.replaceChildren(...drawn(batch, waiting));
  } catch {
    // The panel was left, or the server was: the next look tells.
  }
}

/** Texts of all lengths, each a request of its own; what shared the fullest batch is shown. */
async function crowd(context, able, stream) {
  const words = TEXT.split(" ");
  stream.sending = true;
  const asked = Array.from({ length: CROWD }, (_, n) => {
    const text = words.slice(n, n + 2 + ((n * 17) % 40)).join(" ");
    return ask("embed", { inputs: text, truncate: true, model: able.name }, context.leaving).catch(() => null);
  });
  let most = 0;
  while (stream.sending && !context.leaving.aborted) {
    const done = await Promise.race([Promise.all(asked), new Promise((resume) => setTimeout(resume, 15))]);
    const found = await ask("inside/batch", undefined, context.leaving).catch(() => null);
    if (found?.batch && new Set(found.batch.owners).size > most) {
      most = new Set(found.batch.owners).size;
      stream.replaceChildren(...drawn(found.batch, found.waiting));
    }
    if (done) setTimeout(() => (stream.sending = false), 5000); // long enough to be looked at
    if (done) return;
  }
}

function drawn(batch, waiting) {
  const requests = new Set(batch.owners).size;
  const documents = batch.lengths.length;
  const many = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
  return [
    el(
      "div",
      { class: "stream", role: "img", "aria-label": `${many(documents, "text")} of ${many(requests, "request")} in one stream` },
      batch.lengths.map((length, n) =>
        el("span", { class: batch.owners[n] % 2 ? "even" : "odd", style: { "flex-grow": String(length) }, title: many(length, "token") }),
      ),
    ),
    el("p", { class: "quiet" }, [
      `${many(batch.num_tokens, "token")} of ${many(documents, "text")} from ${many(requests, "request")}, nothing padded`,
      `${(batch.seconds * 1000).toFixed(1)} ms`,
      `${Math.round(batch.num_tokens / batch.seconds).toLocaleString("en")} tokens/s`,
      waiting.tokens ? `${many(waiting.tokens, "token")} waiting` : "nothing waiting",
    ].join("  ·  ")),
  ];
}
