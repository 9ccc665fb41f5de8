// What is seen while the model comes.

import { el } from "./dom.js";

let shown = null;

/** From the first byte to the last, and then while the model is opened. */
export function showProgress({ loaded, total }) {
  shown ??= draw();
  const share = loaded / total;
  shown.bar.value = share;
  shown.said.textContent = loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} MB` : "Unpacked and checked against Python …";
}

function draw() {
  const bar = el("progress", { max: 1, "aria-label": "Download of the model" });
  const said = el("p", { class: "quiet" });
  document.getElementById("panel").replaceChildren(
    el("h1", {}, "A language model is on its way to this tab"),
    el("p", { class: "lede" }, "It comes once. Then it works here, without a network, and nothing you type leaves the page."),
    bar,
    said,
  );
  return { bar, said };
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}
