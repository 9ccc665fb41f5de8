"""How well a tokenizer fits texts: tokens a word, bytes a token, what it cannot spell in one piece, and its layout of ids.

Fertility, tokens a word, is what tokenizers are compared by (Rust et al. 2021, arXiv 2012.15613); it means nothing in scripts
without spaces, where bytes and tokens a character do. Not for reading files.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate, islice, pairwise

from modernbert.text.bpe import letters
from modernbert.text.layout import ROLES
from modernbert.text.tokenizer import Tokenizer

HUB_IDS = {
    "vocab_size": 50_368,
    "num_unused": 83,
    "unk": 50_280,
    "cls": 50_281,
    "sep": 50_282,
    "pad": 50_283,
    "mask": 50_284,
}
"""Of ModernBERT's own vocabulary."""

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A tokenizer on one source. Texts are taken literally: special tokens spelled out in them are text."""

    texts: int
    bytes: int
    """UTF-8, in NFC."""
    characters: int
    words: int
    """What white space parts."""
    tokens: int
    partial: int
    """Tokens that hold a part of a character only, because the vocabulary has no token for all of it."""
    unknown: int
    """[UNK], which byte-level vocabularies never need."""
    used: int
    """Different tokens that occur."""
    coverage: float
    """Share of the ordinary tokens of the vocabulary that occur."""
    broken: int
    """Texts that do not come back from their tokens."""
    in_pieces: dict[str, int]
    """The characters that are most often spelled in parts, and how often."""

    @property
    def bytes_per_token(self) -> float:
        """The more, the fewer tokens a text takes."""
        return self.bytes / max(1, self.tokens)

    @property
    def tokens_per_word(self) -> float:
        """Fertility; for scripts with spaces."""
        return self.tokens / max(1, self.words)

    @property
    def tokens_per_character(self) -> float:
        """For scripts without spaces."""
        return self.tokens / max(1, self.characters)

    def as_dict(self) -> dict[str, object]:
        """All of it, for a program."""
        names = ("bytes_per_token", "tokens_per_word", "tokens_per_character")
        return asdict(self) | {name: getattr(self, name) for name in names}


def fit(tokenizer: Tokenizer, texts: Iterable[str], *, most_in_pieces: int = 10) -> Fit:
    """Encode texts and bring them back, in a stream.

    Raises:
        UserError: a text is not valid Unicode.
    """
    spelled = _spellings(tokenizer)
    is_partial = [not _is_whole(piece) for piece in spelled]
    counts, in_pieces, sums = Counter[int](), Counter[str](), Counter[str]()
    stream = iter(texts)
    while batch := list(islice(stream, _BATCH)):
        for text, ids in zip(batch, tokenizer.encode(batch, special=False, literal=True).ids, strict=True):
            composed = unicodedata.normalize("NFC", text)
            sums.update(
                texts=1,
                bytes=len(composed.encode()),
                characters=len(composed),
                words=len(composed.split()),
                broken=tokenizer.decode(ids, special=True) != composed,
            )
            counts.update(ids)
            for run in _runs(ids, is_partial):
                in_pieces.update(_parted([spelled[token_id] for token_id in run]))
    num_ordinary = tokenizer.vocab_size - tokenizer.num_unused - len(tokenizer.special_ids)
    return Fit(
        texts=sums["texts"],
        bytes=sums["bytes"],
        characters=sums["characters"],
        words=sums["words"],
        broken=sums["broken"],
        tokens=counts.total(),
        partial=sum(count for token_id, count in counts.items() if is_partial[token_id]),
        unknown=counts[tokenizer.unk_id],
        used=len(counts),
        coverage=len(counts) / max(1, num_ordinary),
        in_pieces=dict(sorted(in_pieces.items(), key=lambda item: (-item[1], item[0]))[:most_in_pieces]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The vocabulary itself."""

    vocab_size: int
    num_unused: int
    special: dict[str, int]
    """Id of each role."""
    longest_token: str
    missing_bytes: int
    """Bytes without a token: a text that has one becomes [UNK]."""
    differences: dict[str, tuple[int, int]]
    """Where ids are not those of ModernBERT's own: found and expected. None: its recipes and checkpoints' shapes fit."""

    def as_dict(self) -> dict[str, object]:
        """All of it, for a program."""
        return asdict(self)


def layout(tokenizer: Tokenizer) -> Layout:
    """Compare the order of ids with ModernBERT's own."""
    special = {role: getattr(tokenizer, f"{role}_id") for role in ROLES}
    found = {"vocab_size": tokenizer.vocab_size, "num_unused": tokenizer.num_unused, **special}
    spelled = _spellings(tokenizer)
    bytes_there = {piece for piece in spelled if len(piece) == 1}
    return Layout(
        vocab_size=tokenizer.vocab_size,
        num_unused=tokenizer.num_unused,
        special=special,
        longest_token=max(spelled, key=len).decode(errors="replace"),
        missing_bytes=256 - len(bytes_there),
        differences={name: (found[name], expected) for name, expected in HUB_IDS.items() if found[name] != expected},
    )


def _spellings(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each token; of special and unused ones, and of added ones that are no bytes' letters, none."""
    byte_of = {letter: byte for byte, letter in letters().items()}
    last = tokenizer.vocab_size - tokenizer.num_unused
    spelled = [b""] * tokenizer.vocab_size
    for token_id in range(last):
        token = tokenizer.token(token_id)
        if token_id not in tokenizer.special_ids and all(letter in byte_of for letter in token):
            spelled[token_id] = bytes(byte_of[letter] for letter in token)
    return spelled


def _is_whole(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _runs(ids: list[int], is_partial: list[bool]) -> Iterator[list[int]]:
    """Neighbours that hold parts of characters: together they hold whole ones."""
    run: list[int] = []
    for token_id in ids:
        if is_partial[token_id]:
            run.append(token_id)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _parted(pieces: list[bytes]) -> Iterator[str]:
    """The characters that are spread over several pieces: `[の + a byte of に, the rest of に]` is about に only."""
    whole = b"".join(pieces)
    cuts = {*accumulate(map(len, pieces))}
    starts = [place for place, byte in enumerate(whole) if byte & 0xC0 != 0x80]  # not 10xxxxxx, which goes on with one
    for start, end in pairwise([*starts, len(whole)]):
        if any(cut in cuts for cut in range(start + 1, end)):
            yield whole[start:end].decode(errors="replace")
