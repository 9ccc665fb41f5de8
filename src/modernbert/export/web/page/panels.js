// Which panels this page has, and what it says of its models.

import alike from "./alike.js";
import fill from "./fill.js";
import search from "./search.js";

const NO_EMBEDDER = "This page came without a model that makes vectors. Export it again with --embedder.";

export const PANELS = [
  { ...fill, missing: "This page came without a model that fills blanks. Export it again with one." },
  { ...alike, missing: NO_EMBEDDER },
  { ...search, missing: NO_EMBEDDER },
];

export function serving({ models, threads }) {
  const names = models.map(({ name }) => name).join(" and ");
  const onGpu = models.filter(({ device }) => device === "webgpu").length;
  const where = onGpu === models.length ? "graphics processor" : onGpu ? "processor and graphics processor" : "processor";
  const many = threads > 1 && onGpu < models.length ? `, ${threads} threads` : "";
  return `${names}, in this tab, on your ${where}${many}. Checked against Python on arrival. Nothing you type leaves it.`;
}
