"""Byte-level BPE in plain Python, to be read, and to check the compiled `tokenizers` against.

A text becomes ids in five steps, each a function below: take out added tokens (`[MASK]`), compose characters (NFC), cut
into words, spell the words in bytes, merge the bytes pair by pair in the order the pairs were learnt. Not for use at
work: it is some ten times slower, and slower still on long words. After GPT-2's `encoder.py` and Karpathy's `minbpe`.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Self

from modernbert.core.errors import UnsupportedError

WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
r"""Unicode's White_Space, for a regular expression's brackets. Python's own `\s` has U+001C to U+001F as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainTokenizer:
    """What `tokenizer.json` says, and the encoding that follows from it."""

    vocab: dict[str, int]
    ranks: dict[tuple[str, str], int]
    """Pairs of pieces to merge; the lower, the earlier learnt."""
    added: list[dict]
    """Tokens which are found whole in a text, with their flags."""
    templates: dict[int, list[dict]]
    """Where special tokens stand around one text and around two."""
    composes: bool
    """Whether text is brought to NFC."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read `tokenizer.json`.

        Raises:
            UnsupportedError: it is not a byte-level BPE of the plain kind.
        """
        content = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
        _refuse_unsupported(content)
        model, post = content["model"], content["post_processor"]
        return cls(
            vocab=model["vocab"],
            ranks={_pair(merge): rank for rank, merge in enumerate(model["merges"])},
            added=content["added_tokens"],
            templates={1: post["single"], 2: post["pair"]},
            composes=content["normalizer"] is not None,
        )

    def encode(self, text: str, pair: str | None = None, *, special: bool = True) -> list[int]:
        """Turn a text, or two, into ids, with the special tokens of the template around them."""
        texts = {"A": text} if pair is None else {"A": text, "B": pair}
        added = {token["content"]: token["id"] for token in self.added}
        ids = []
        for piece in self.templates[len(texts)]:
            if "Sequence" in piece:
                ids += self._encode_plain(texts[piece["Sequence"]["id"]])
            elif special:
                ids.append(added[piece["SpecialToken"]["id"]])
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids back into text, special tokens included."""
        tokens = {token_id: token for token, token_id in self.vocab.items()}
        tokens |= {token["id"]: token["content"] for token in self.added}
        byte_of = {letter: byte for byte, letter in letters().items()}
        return bytes(byte_of[letter] for token_id in ids for letter in tokens[token_id]).decode(errors="replace")

    def _encode_plain(self, text: str) -> Iterator[int]:
        # Special tokens are looked for in the text as it came, the others in the text as composed.
        for outer, token_id in split_added(text, [token for token in self.added if not token["normalized"]]):
            if token_id is not None:
                yield token_id
                continue
            composed = unicodedata.normalize("NFC", outer) if self.composes else outer
            for inner, inner_id in split_added(composed, [token for token in self.added if token["normalized"]]):
                if inner_id is not None:
                    yield inner_id
                    continue
                for word in split_words(inner):
                    yield from (self.vocab[piece] for piece in merge(spell(word), self.ranks))


def split_added(text: str, tokens: list[dict]) -> Iterator[tuple[str, int | None]]:
    """Cut out added tokens, the leftmost first and of those the longest; what lies between has the id `None`.

    `lstrip` and `rstrip` tokens take the white space at that side with them.

    >>> mask = {"content": "[MASK]", "id": 7, "lstrip": True, "rstrip": False}
    >>> list(split_added("It is [MASK].", [mask]))
    [('It is', None), (' [MASK]', 7), ('.', None)]
    """
    by_content = {token["content"]: token for token in tokens}
    longest_first = sorted(by_content, key=len, reverse=True)
    done = 0
    for match in re.finditer("|".join(map(re.escape, longest_first)), text) if tokens else ():
        token, (start, end) = by_content[match.group()], match.span()
        if token["lstrip"]:
            start = done + len(re.sub(f"[{WHITE}]+\\Z", "", text[done:start]))
        if token["rstrip"]:
            end = len(text) - len(re.sub(f"\\A[{WHITE}]+", "", text[end:]))
        if done < start:
            yield text[done:start], None
        yield text[start:end], token["id"]
        done = end
    if done < len(text):
        yield text[done:], None


def split_words(text: str) -> list[str]:
    r"""Cut as GPT-2 does, so that no token reaches across words, nor mixes letters, digits and signs.

    GPT-2's expression is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. Python's `re` has
    no `\p{L}`, so it runs on a shadow of the text that has `L` for a letter, `N` for a number, `_` for white space and
    `.` for the rest, and keeps the signs that the expression names. A word takes one space from before it.

    >>> split_words("I'll pay  12€!")
    ['I', "'ll", ' pay', ' ', ' 12', '€!']
    """
    shadow = "".join(map(_kind, text))
    word = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[Ldelmrstv]+| ?N+| ?[.']+|[ _]+(?![^ _])|[ _]+")
    return [text[match.start() : match.end()] for match in word.finditer(shadow)]


@cache
def _kind(character: str) -> str:
    if character in " 'delmrstv":
        return character
    if re.match(f"[{WHITE}]", character):
        return "_"
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "."


def spell(word: str) -> list[str]:
    """Write a word's UTF-8 bytes as letters.

    >>> spell(" né")
    ['Ġ', 'n', 'Ã', '©']
    """
    return [letters()[byte] for byte in word.encode()]


@cache
def letters() -> dict[int, str]:
    """Give each byte a letter that can be seen: itself where it is printable Latin-1, else one from U+0100 on.

    >>> letters()[ord("a")], letters()[ord(" ")], letters()[0]
    ('a', 'Ġ', 'Ā')
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


def merge(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge neighbours, always the pair that was learnt first, until no known pair is left.

    >>> merge(["t", "h", "e", "t"], {("h", "e"): 0, ("t", "he"): 1})
    ['the', 't']
    """
    while len(pieces) > 1:
        first = min(pairwise(pieces), key=lambda pair: ranks.get(pair, len(ranks)))
        if first not in ranks:
            break
        merged, place = [], 0
        while place < len(pieces):
            is_pair = tuple(pieces[place : place + 2]) == first
            merged.append("".join(first) if is_pair else pieces[place])
            place += 2 if is_pair else 1
        pieces = merged
    return pieces


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _refuse_unsupported(content: dict) -> None:
    model, pre, post = content["model"], content["pre_tokenizer"] or {}, content["post_processor"] or {}
    extras = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    found = {
        f"a model of type {model.get('type')}": model.get("type") != "BPE",
        **{f"a model with {name}": bool(model.get(name)) for name in extras},
        f"the normalizer {content['normalizer']}": content["normalizer"] not in (None, {"type": "NFC"}),
        f"the pre-tokenizer {pre}": pre.get("type") != "ByteLevel"
        or pre["add_prefix_space"]
        or not pre.get("use_regex", True),
        f"a post-processor of type {post.get('type')}": post.get("type") != "TemplateProcessing",
        "single_word tokens": any(token["single_word"] for token in content["added_tokens"]),
    }
    for what, is_found in found.items():
        if is_found:
            raise UnsupportedError(
                f"tokenizer.json has {what}, and the plain twin knows byte-level BPE as ModernBERT uses it: use Tokenizer"
            )
