// Which panels this page has, and what it says of its server.

import alike from "./alike.js";
import entities from "./entities.js";
import fill from "./fill.js";
import inside from "./inside.js";
import match from "./match.js";
import search from "./search.js";
import sentiment from "./sentiment.js";

export const PANELS = [fill, sentiment, entities, alike, match, search, inside];

export function serving({ models }) {
  return `serving ${models.map(({ name }) => name).join(", ")}`;
}
