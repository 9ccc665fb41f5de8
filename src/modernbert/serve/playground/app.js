// The frame around the panels: which there are, which is shown, and what one gets to work with.

import { Refusal, ask } from "./ask.js";
import { choice, el } from "./dom.js";
import { PANELS, serving } from "./panels.js";

const main = document.getElementById("panel");
const spoken = document.getElementById("spoken");
let leaving = new AbortController();

// here, not by the address: the panel stays in it, and the focus moves now, not when the page hears of a new address
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

start();

async function start() {
  try {
    const [server, indexes] = await Promise.all([ask("inside/server"), ask("indexes")]);
    document.getElementById("serving").textContent = serving(server);
    const show = () => open(server, indexes);
    window.addEventListener("hashchange", show);
    show();
  } catch (problem) {
    main.replaceChildren(refused(problem));
  }
}

function open(server, indexes) {
  const panel = PANELS.find((each) => `#${each.id}` === location.hash) ?? PANELS.find((each) => ableTo(each, server).length) ?? PANELS[0];
  list(panel);
  leaving.abort();
  leaving = new AbortController();
  document.title = `${panel.name} · modernbert`;
  const able = ableTo(panel, server);
  const head = [el("h1", {}, panel.title), el("p", { class: "lede" }, panel.lede)];
  if (!able.length) {
    main.replaceChildren(...head, el("p", { class: "missing" }, panel.missing));
    return;
  }
  const out = el("div", { class: "out" });
  const took = el("p", { class: "took quiet" });
  const context = new Context({ server, indexes, able, out, took, signal: leaving.signal });
  const models = choice("Model", able.map((each) => [each.name, each.name]), (name) => {
    context.model = name;
    context.ask(true);
  });
  main.replaceChildren(...head, models, ...panel.build(context), out, took, ...(panel.below?.(context) ?? []));
  context.ask(true);
}

/** The models that can fill a panel. */
function ableTo({ needs }, { models }) {
  return needs === null ? models : models.filter((each) => each.abilities.includes(needs));
}

function list(panel) {
  document.getElementById("panels").replaceChildren(
    ...PANELS.map((each) =>
      el("li", {}, el("a", { href: `#${each.id}`, "aria-current": each === panel ? "page" : null }, each.name)),
    ),
  );
  const nav = document.querySelector("nav");
  const current = nav.querySelector('[aria-current="page"]');
  // not scrollIntoView: Chromium would let Tab begin there, behind the link that skips
  nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}

/** What a panel works with: it sets `run`, calls `ask` when something changed, and `show`s what it found. */
class Context {
  constructor({ server, indexes, able, out, took, signal }) {
    Object.assign(this, { server, indexes, able, out, took, leaving: signal });
    this.model = able[0].name;
    this.run = async () => {};
    this.timer = 0;
    this.under = null;
    this.since = null;
    signal.addEventListener("abort", () => {
      clearTimeout(this.timer);
      this.under?.abort();
    });
  }

  /** Run: at once, or when typing pauses. What is under way is given up. */
  ask(now) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#go(), now ? 0 : 180);
  }

  /** In place of what was found before; who had reached its third button by keyboard is at the third of the new ones. */
  show(...nodes) {
    const place = [...this.out.querySelectorAll("button")].indexOf(document.activeElement);
    this.out.replaceChildren(...nodes);
    if (place >= 0) this.out.querySelectorAll("button")[place]?.focus();
  }

  /** For who cannot see the page. */
  say(sentence) {
    spoken.textContent = sentence;
  }

  /** Say how long it took; where more follows that may take its time, before that. */
  time() {
    if (this.since === null) return;
    this.took.textContent = `${Math.max(1, Math.round(performance.now() - this.since))} ms`;
    this.since = null;
    this.out.removeAttribute("aria-busy");
  }

  async #go() {
    this.under?.abort();
    const own = (this.under = new AbortController());
    this.since = performance.now();
    this.out.setAttribute("aria-busy", "true");
    try {
      await this.run(own.signal);
      this.time();
    } catch (problem) {
      if (own.signal.aborted) return;
      this.took.textContent = "";
      this.show(refused(problem));
    } finally {
      if (this.under === own) this.out.removeAttribute("aria-busy");
    }
  }
}

function refused(problem) {
  if (!(problem instanceof Refusal)) throw problem;
  return el("p", { class: "refused", role: "alert" }, `${problem.message}.`);
}
