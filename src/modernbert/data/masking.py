"""Hide some tokens and remember which: BERT's masked language modelling (Devlin et al. 2018, section 3.1).

Numpy only, for loader processes without torch. Unlike the reference trainer's, special tokens are never hidden, and
never come up as a replacement. What may be hidden are units: single tokens, whole words, or spans. Each unit is drawn
by itself, so the share of predicted tokens is the rate on average, and not exactly in every row.

Shapes:  T tokens in the packed stream   O ordinary tokens among them   U units   M predicted tokens
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Int

from modernbert.data.config import Masking
from modernbert.data.spans import draw_spans
from modernbert.data.vocabulary import Vocabulary
from modernbert.data.words import Words

IGNORE = -100
"""The label of a token that is not predicted; `modernbert.ops.loss.IGNORE` without its torch (a test compares both)."""


def mask(
    ids: Int[np.ndarray, "T"],
    policy: Masking,
    *,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    rate: float | None = None,
    words: Words | None = None,
) -> tuple[Int[np.ndarray, "T"], Int[np.ndarray, "T"]]:
    """Corrupt a stream: what the model sees, and what it shall predict (`IGNORE` where nothing). Both int64, both new.

    The same state of `rng` gives the same result. Unless whole words are asked for, whether a place is predicted depends
    on `rng` and on which places are special, never on the other ids.

    Of the predicted tokens, shares show as [MASK], as a random ordinary token, or as they are; drawn for each token,
    but for a span as a whole, as in SpanBERT (arXiv 1907.10529, section 3.1). Words are drawn as BERT's whole words are.

    Args:
        ids: Any number of documents with special tokens around each.
        policy: How many, and how.
        vocabulary: Special ids are never predicted; neither they nor unused ids replace a token.
        rng: `seeds.numpy("mask", ...)` of the run.
        rate: Share to predict; absent: the policy's.
        words: Where words begin, needed for whole words only.

    Raises:
        ValueError: the vocabulary has no ordinary id, or `words` are missing.
    """
    rate = policy.rate if rate is None else rate
    is_special_V, ordinary = _parts(vocabulary)
    inputs_T = ids.astype(np.int64)
    labels_T = np.full_like(inputs_T, IGNORE)
    at_O = np.flatnonzero(~is_special_V[inputs_T])
    span_O = None
    if policy.whole_words:
        if words is None:
            raise ValueError("whole words are asked for without `words`: pass words_of(tokenizer)")
        chosen_O = _in_words(inputs_T, at_O, words, rate, rng)
    elif policy.span is not None:
        chosen_O, span_O = draw_spans(len(at_O), rate, policy.span, rng)
    else:
        chosen_O = rng.random(len(at_O)) < rate
    at_M = at_O[chosen_O]
    how_M = rng.random(len(at_M)) if span_O is None else _for_each_span(span_O[chosen_O], at_M, rng)

    labels_T[at_M] = inputs_T[at_M]
    inputs_T[at_M[how_M < policy.mask_share]] = vocabulary.mask_id
    at_random = at_M[(how_M >= policy.mask_share) & (how_M < policy.mask_share + policy.random_share)]
    inputs_T[at_random] = ordinary[rng.integers(len(ordinary), size=len(at_random))]
    return inputs_T, labels_T


def _in_words(
    ids_T: Int[np.ndarray, "T"], at_O: Int[np.ndarray, "O"], words: Words, rate: float, rng: np.random.Generator
) -> Bool[np.ndarray, "O"]:
    """Which tokens are predicted when all tokens of a word are, or none."""
    ids_O = ids_T[at_O]
    begins_O = words.starts[ids_O]
    begins_O[1:] |= words.ends[ids_O[:-1]] | (np.diff(at_O) > 1)  # a special token between two parts them
    begins_O[:1] = True
    word_O = np.cumsum(begins_O) - 1
    return (rng.random(np.count_nonzero(begins_O)) < rate)[word_O]


def _for_each_span(span_M: Int[np.ndarray, "M"], at_M: Int[np.ndarray, "M"], rng: np.random.Generator) -> np.ndarray:
    """A draw for each predicted token, the same in all of a span. A span that a special token cuts counts as two."""
    is_new = np.ones(len(at_M), dtype=bool)
    is_new[1:] = (np.diff(span_M) > 0) | (np.diff(at_M) > 1)
    return rng.random(np.count_nonzero(is_new))[np.cumsum(is_new) - 1]


@lru_cache(maxsize=8)
def _parts(vocabulary: Vocabulary) -> tuple[Bool[np.ndarray, "V"], Int[np.ndarray, "R"]]:
    """Which ids are special, and all that may replace a token."""
    special = np.array([*vocabulary.special_ids, vocabulary.mask_id], dtype=np.int64)
    is_special = np.zeros(vocabulary.size, dtype=bool)
    is_special[special] = True
    ordinary = np.flatnonzero(~is_special[: vocabulary.num_ordinary])
    if not len(ordinary):
        raise ValueError(
            f"a vocabulary of {vocabulary.num_ordinary} ids in use, all of them special, has none to replace tokens with:"
            " expected ordinary ids among them"
        )
    return is_special, ordinary
