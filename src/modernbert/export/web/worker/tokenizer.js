// Text to ids as Python makes them, and back: a thin front for Hugging Face's tokenizers.

import { Tokenizer as Library } from "../runtime/tokenizers.js";
import { Problem } from "./problems.js";

// GPT-2's words. The library has this pattern, too, but there \s is JavaScript's; in patterns of a file it is Unicode's White_Space,
// as in Python.
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

export class Tokenizer {
  /** `content` is tokenizer.json; `said` is what the manifest says of it. */
  constructor(content, said) {
    // A mask takes the white space before it; of that, too, JavaScript has its own idea.
    const before = content.added_tokens.filter((each) => each.lstrip).map((each) => escaped(each.content));
    this.spaces = before.length ? new RegExp(`\\p{White_Space}+(?=${before.join("|")})`, "gu") : null;
    const added = content.added_tokens.map((each) => ({ ...each, lstrip: false }));
    this.library = new Library({ ...content, added_tokens: added, pre_tokenizer: spelledOut(content.pre_tokenizer) }, {});
    this.said = said;
  }

  /** Ids with the special tokens around them. */
  encode(text, longest, truncate) {
    const stripped = this.spaces ? text.replace(this.spaces, "") : text;
    const { before, after } = this.said;
    const ids = this.library.encode(stripped, { add_special_tokens: false }).ids;
    const room = longest - before.length - after.length;
    if (ids.length > room && !truncate) {
      throw new Problem(`the text has ${ids.length + before.length + after.length} tokens, expected ${longest} or fewer: shorten it`);
    }
    return [...before, ...ids.slice(0, room), ...after];
  }

  /** One token as text, with its leading space. */
  token(id) {
    return this.library.decode([id], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

/** A byte-level step that finds words by itself, as one that is told how. */
function spelledOut(step) {
  if (step?.type === "Sequence") return { ...step, pretokenizers: step.pretokenizers.map(spelledOut) };
  if (step?.type !== "ByteLevel" || step.use_regex === false || step.add_prefix_space) return step;
  const split = { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true };
  return { type: "Sequence", pretokenizers: [split, { ...step, use_regex: false }] };
}
