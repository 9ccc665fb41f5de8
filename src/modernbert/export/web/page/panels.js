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
  const where = new Set(models.map(({ device }) => (device === "webgpu" ? "on its graphics processor" : "on its processor")));
  const names = models.map(({ name }) => name).join(" and ");
  const on = [...where].join(" and ").replaceAll("its", "your");
  const many = threads > 1 ? `, ${threads} threads` : "";
  return `${names}, in this tab ${on}${many}. Nothing you type leaves it.`;
}
