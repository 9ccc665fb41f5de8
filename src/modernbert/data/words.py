"""Where words begin and end, told from the tokens of a byte-level BPE: for masking whole words.

A word is letters, marks and digits without a break, together with the single space before it; any other sign, and any
other white space, stands by itself. So this is for scripts that write spaces. It is not the tokenizer's own cutting into
words, which only the text can tell: `l8r` and `don't` are one and two words here (`don`, `'t`).
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """What each token of a vocabulary says of words. Both are needed: in `Ġ(foo)` it is the `(` that tells where `foo` starts."""

    starts: Bool[np.ndarray, "V"]
    """Whether a word starts with this token."""
    ends: Bool[np.ndarray, "V"]
    """Whether no word goes on after it."""


def words_of(tokenizer: Tokenizer) -> Words:
    """Ask every token for its first and its last character; one that is spread over several tokens counts as a letter."""
    texts = [tokenizer.decode([token_id], special=True) for token_id in range(tokenizer.vocab_size)]
    return Words(
        starts=np.array([not _is_of_word(text[:1]) for text in texts]),
        ends=np.array([text != " " and not _is_of_word(text[-1:]) for text in texts]),
    )


def _is_of_word(character: str) -> bool:
    """Letters, marks, digits, and U+FFFD, which is what part of a character decodes to. No character at all is no word."""
    return character == "\ufffd" or (bool(character) and unicodedata.category(character)[0] in "LMN")
