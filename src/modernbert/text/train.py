"""Learn a vocabulary: byte-level BPE with the settings and the order of ids of ModernBERT's own.

Not for reading files or for mixing sources: hand over an iterator of texts. The method is Sennrich et al. 2016
(arXiv 1508.07909) on bytes, as in GPT-2; `bpe.py` shows it in plain Python.
"""

from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from modernbert.core.errors import UserError
from modernbert.text.clean import checked
from modernbert.text.layout import ROLES
from modernbert.text.tokenizer import Tokenizer

SPECIAL = {role: f"[{role.upper()}]" for role in ROLES}
"""`[UNK]`, `[CLS]`, `[SEP]`, `[PAD]`, `[MASK]`, in this order right after the merges."""

NUM_BYTES = 256

LONGEST_TOKEN = 24
"""Bytes: the longest run of spaces that ModernBERT's own vocabulary has; of Chinese, eight characters."""

ROUND = 64
"""The embedding's rows come in multiples of this, for the tensor cores."""


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 50_368,
    num_unused: int = 83,
    longest: int = 8192,
    min_frequency: int = 2,
    longest_token: int = LONGEST_TOKEN,
    progress: bool = False,
) -> Tokenizer:
    """Learn a byte-level BPE vocabulary from texts, read once, in a stream.

    Ids are bytes, merges, the five special tokens, `[unused0]`, `[unused1]`, ...: with the defaults and enough text,
    `[CLS]` is 50281 as on the Hub. The same texts give the same vocabulary.

    Memory grows with the number of different words: 7 bytes a byte of English. Where no spaces part words, what lies between two
    signs is one word and hardly any comes twice: 100 bytes a byte of Chinese or Japanese.

    Args:
        texts: Documents, or their lines; a text is never joined to the next one.
        vocab_size: All tokens together. Rounded up to a multiple of 64, and filled up when the texts are too few for so
            many merges, both with more unused tokens: ask `num_unused` of the result.
        num_unused: At least so many tokens stay free for later.
        longest: The model's length in tokens, stated in the tokenizer's files.
        min_frequency: How often a pair must occur to become a token.
        longest_token: Bytes that a token has at most. Without a limit, sentences that a corpus repeats become tokens where
            no spaces part words: 25 Chinese characters were one.
        progress: Whether to draw progress bars on stderr; `tokenizers` writes empty lines to stdout then.

    Raises:
        UserError: there is no text, a text is not valid Unicode, or a number is too small.
    """
    for name, value, least in [
        ("num_unused", num_unused, 0),
        ("longest", longest, 1),
        ("min_frequency", min_frequency, 1),
        ("longest_token", longest_token, 2),
    ]:
        if value < least:
            raise UserError(f"{name} is {value}, expected at least {least}: choose a larger one")
    least = NUM_BYTES + len(SPECIAL) + num_unused
    if vocab_size < least:
        raise UserError(
            f"vocab_size is {vocab_size}, but the 256 bytes, {len(SPECIAL)} special and {num_unused} unused tokens take"
            f" {least}: choose a larger one"
        )

    fast = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - num_unused - len(SPECIAL),
        min_frequency=min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # all 256, so that no text ever needs [UNK]
        max_token_length=longest_token + 1,  # it means less than that
        special_tokens=[],  # they would come first
        show_progress=progress,
    )
    fast.train_from_iterator(_some(texts), trainer)
    _add_special(fast, total=-(-vocab_size // ROUND) * ROUND)
    return Tokenizer(fast, SPECIAL, longest)


def _untrained() -> tokenizers.Tokenizer:
    fast = tokenizers.Tokenizer(models.BPE())
    fast.normalizer = normalizers.NFC()
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    fast.decoder = decoders.ByteLevel()
    return fast


def _some(texts: Iterable[str]) -> Iterator[str]:
    num_characters = 0
    for text in checked(texts):
        num_characters += len(text)
        yield text
    if num_characters == 0:
        raise UserError(
            "there is no text to learn from, expected at least one that is not empty: check where texts come from"
        )


def _add_special(fast: tokenizers.Tokenizer, *, total: int) -> None:
    """Give the ids after the merges to the special tokens, and those up to `total` to the unused ones."""
    # [MASK] stands for a token that would have carried the space before it, so it takes that space.
    fast.add_special_tokens(
        [AddedToken(token, special=True, normalized=False, lstrip=role == "mask") for role, token in SPECIAL.items()]
    )
    num_unused = total - fast.get_vocab_size()
    fast.add_tokens([AddedToken(f"[unused{n}]", special=False, normalized=True) for n in range(num_unused)])
    assert fast.get_vocab_size() == total, "a special token was learnt as a merge, which the pre-tokenizer rules out"
    cls, sep = SPECIAL["cls"], SPECIAL["sep"]
    fast.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(token, fast.token_to_id(token)) for token in (cls, sep)],
    )
