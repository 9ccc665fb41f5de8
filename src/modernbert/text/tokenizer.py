"""Text to ids and back: a thin, typed front for the compiled `tokenizers`.

Adds what we missed there: special tokens by role, cutting that is counted and never silent, offsets without the
leading space, and errors that name the text. Not a place for padding (`ops.packed`) or for tensors.
How byte-level BPE works is told in `bpe.py`; how a vocabulary is made, in `train.py`.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

import tokenizers

from modernbert.core import packaged
from modernbert.core.errors import UnsupportedError, UserError
from modernbert.text.clean import checked
from modernbert.text.layout import Parts, read_folder, write_folder

Span = tuple[int, int]
"""Start and end of a piece of text, in characters: `text[start:end]`."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """What `Tokenizer.encode` made of a batch: one entry per text, in the caller's order."""

    ids: list[list[int]]

    parts: list[tuple[range, ...]]
    """Where in `ids[i]` the tokens of `texts[i]` lie, and second, if there are pairs, those of `pairs[i]`."""

    num_cut: list[int]
    """How many tokens `longest` cost each text, or both texts of a pair together."""

    spans: list[list[Span]] | None
    """`None` unless asked for; read them through `offsets`."""

    @property
    def offsets(self) -> list[list[Span]]:
        """Where each token stands in its text (in the pair, for a token of the pair), in characters.

        White space at the ends is left out, so `text[start:end]` is the word and not `" word"`; a token of nothing but
        white space has an empty span, and the special tokens around the texts have `(0, 0)`. The tokens of one
        character share its span. A character that NFC composes (`e` + U+0301) is wholly inside.

        Raises:
            UserError: `encode` was called without `offsets=True`.
        """
        if self.spans is None:
            raise UserError("these texts were encoded without offsets: call encode(..., offsets=True)")
        return self.spans

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """Cuts text into the tokens of one vocabulary. What it gives never changes: threads and workers may share it.

    `[MASK]` takes the white space before it (`lstrip`): `"is [MASK]."` becomes `is`, `[MASK]`, `.`, because the token
    it stands for would have carried that space, like every `Ġword`. So `decode` gives `"is[MASK]."`.
    A special token spelled out in a text (`"[SEP]"`) *is* that special token, as everywhere in this family, unless `encode`
    is asked to take texts literally.
    """

    def __init__(self, fast: tokenizers.Tokenizer, roles: Mapping[str, str], longest: int | None) -> None:
        """Wrap a compiled tokenizer with truncation and padding off; `roles` maps each of `layout.ROLES` to a token.

        Raises:
            UnsupportedError: the tokenizer's template is not special tokens around the texts, in order.
        """
        self._fast = fast
        self._roles = dict(roles)
        self._longest = longest
        self._frames = {num_texts: _frame(fast, num_texts) for num_texts in (1, 2)}
        self._threads: Executor | None = None
        """Which alone cut; absent: whoever asks."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a tokenizer from a folder in the Hub's layout, of either transformers generation.

        Args:
            folder: or the name of a packaged model, such as "nano".

        Raises:
            UserError: a file is missing or broken, or one of the five roles has no token.
        """
        inside = packaged.folder(folder.partition(":")[0]) if isinstance(folder, str) else None
        return cls(*read_folder(inside or Path(folder)))

    def save(self, folder: str | Path) -> None:
        """Write `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`.

        transformers' `AutoTokenizer` reads the folder, old and new, with or without a model's `config.json` beside it.
        """
        write_folder(Path(folder), Parts(self._fast, self._roles, self._longest))

    def confine(self, threads: Executor) -> None:
        """From now on texts are cut in these threads, whoever asks: every thread that cuts keeps some megabytes for good.

        None of them may ask itself.
        """
        self._threads = threads

    def encode(
        self,
        texts: Iterable[str],
        pairs: Iterable[str] | None = None,
        *,
        longest: int | None = None,
        special: bool = True,
        offsets: bool = False,
        literal: bool = False,
    ) -> Encoded:
        """Turn texts into ids, on all cores, with Python's lock released.

        Memory grows with the whole call, so hand over a large corpus in batches.

        Args:
            texts: Each becomes one list of ids; the empty text becomes `[CLS] [SEP]`.
            pairs: A second text for each: `[CLS] text [SEP] pair [SEP]`.
            longest: Room in tokens, special ones included. What does not fit is cut from the end, and of a pair from
                the longer text first (transformers' `longest_first`), and counted in `num_cut`. `None` cuts nothing:
                the length stated in the tokenizer's files is what the model has seen, not a limit of the text.
            special: Whether to add the special tokens around the texts. Those spelled out in a text are another matter.
            offsets: Whether to keep track of characters; takes longer.
            literal: Whether special and unused tokens spelled out in a text are the characters that one sees: `"[SEP]"` is
                `[`, `SEP`, `]`. For corpora, where they are about a tokenizer and not for one.

        Raises:
            UserError: something is not a string or not valid Unicode, a pair is missing, or `longest` leaves no room.
        """
        columns = [list(checked(texts))]
        if pairs is not None:
            columns.append(list(checked(pairs, "pairs")))
            if len(columns[0]) != len(columns[1]):
                raise UserError(f"{len(columns[0])} texts but {len(columns[1])} pairs: give every text its pair")
        frame = self._frames[len(columns)] if special else [[]] * (len(columns) + 1)
        room = None if longest is None else _room(longest, frame)
        fast = self._literal if literal else self._fast
        if self._threads is None:
            return _cut(fast, columns, frame, room, offsets=offsets)
        return self._threads.submit(_cut, fast, columns, frame, room, offsets=offsets).result()

    def enclose(self, first: Sequence[int], second: Sequence[int] | None = None) -> list[int]:
        """Put the special tokens around ids, for who cuts documents into pieces after encoding.

        `len(tokenizer.enclose([]))` is the room that they take.
        """
        parts = [[*first]] if second is None else [[*first], [*second]]
        return _enclose(self._frames[len(parts)], parts)

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """Turn ids back into text, without the special tokens unless `special`.

        The text comes back in NFC; bytes which are no UTF-8 (a cut emoji) become U+FFFD.

        Raises:
            UserError: an id is not in the vocabulary.
        """
        plain = [int(token_id) for token_id in ids]  # numpy's and torch's integers too
        if plain:
            self.token(min(plain))
            self.token(max(plain))  # the compiled tokenizer leaves out what it does not know
        return self._fast.decode(plain, skip_special_tokens=not special)

    def token(self, token_id: int) -> str:
        """Spell a token as the vocabulary does: `"Ġthe"`, where `Ġ` is the byte of the space (see `bpe.py`).

        Raises:
            UserError: no token has this id.
        """
        token = self._fast.id_to_token(token_id) if 0 <= token_id < 2**32 else None
        if token is None:
            raise UserError(f"no token has the id {token_id}: this vocabulary's ids go from 0 to {self.vocab_size - 1}")
        return token

    def id(self, token: str) -> int:
        """Look up a token spelled as the vocabulary does; text goes through `encode`.

        Raises:
            UserError: the vocabulary has no such token.
        """
        token_id = self._fast.token_to_id(token)
        if token_id is None:
            raise UserError(
                f"no token {token!r} in this vocabulary of {self.vocab_size} tokens: spell it as `token(id)` does"
                ' ("Ġthe" is " the"), or use encode for text'
            )
        return token_id

    @cached_property
    def _literal(self) -> tokenizers.Tokenizer:
        """A copy that finds no special or unused token in a text. Added tokens for runs of spaces still count."""
        content = json.loads(self._fast.to_str())
        for token in content["added_tokens"]:  # flagged and not removed: removing would move the ids of those after
            token["special"] = token["special"] or token["id"] in self.special_ids or _is_unused(token["content"])
        literal = tokenizers.Tokenizer.from_str(json.dumps(content))
        literal.encode_special_tokens = True
        return literal

    @property
    def cls_id(self) -> int:
        """The id of `[CLS]`, before every text."""
        return self.id(self._roles["cls"])

    @property
    def sep_id(self) -> int:
        """The id of `[SEP]`, after every text."""
        return self.id(self._roles["sep"])

    @property
    def pad_id(self) -> int:
        """The id of `[PAD]`, which fills rows for who needs rectangles."""
        return self.id(self._roles["pad"])

    @property
    def mask_id(self) -> int:
        """The id of `[MASK]`, which hides a token."""
        return self.id(self._roles["mask"])

    @property
    def unk_id(self) -> int:
        """The id of `[UNK]`, which bytes never need."""
        return self.id(self._roles["unk"])

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The ids which are never text: those of the five roles and of other added tokens marked special."""
        added = self._fast.get_added_tokens_decoder()
        return frozenset({self.id(token) for token in self._roles.values()} | {i for i in added if added[i].special})

    @cached_property
    def vocab_size(self) -> int:
        """How many tokens there are, special and unused ones included: the rows of an embedding."""
        return self._fast.get_vocab_size(with_added_tokens=True)

    @cached_property
    def num_unused(self) -> int:
        """How many `[unusedN]` tokens are free for a use of your own."""
        added = self._fast.get_added_tokens_decoder().values()
        return sum(_is_unused(token.content) for token in added)

    @property
    def longest(self) -> int | None:
        """The stated length of the model's input in tokens, special ones included; `None` where nobody stated one."""
        return self._longest

    def __getstate__(self) -> dict[str, object]:
        state = {name: value for name, value in self.__dict__.items() if name != "_literal"}  # it would forget its flag
        state["_threads"] = None
        return state

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocab_size} tokens, longest {self.longest or 'not stated'})"


def _cut(
    fast: tokenizers.Tokenizer,
    columns: list[list[str]],
    frame: list[list[int]],
    room: int | None,
    *,
    offsets: bool,
) -> Encoded:
    run = fast.encode_batch if offsets else fast.encode_batch_fast
    encoded = [run(column, add_special_tokens=False) for column in columns]
    ids, parts, num_cut, spans = [], [], [], []
    for row, encodings in enumerate(zip(*encoded, strict=True)):
        lengths = [len(encoding) for encoding in encodings]
        kept = _fit(lengths, room)
        ids.append(_enclose(frame, [encoding.ids[:n] for encoding, n in zip(encodings, kept, strict=True)]))
        parts.append(_parts(frame, kept))
        num_cut.append(sum(lengths) - sum(kept))
        if offsets:
            nowhere = [[(0, 0)] * len(special_ids) for special_ids in frame]
            places = [
                _trimmed(column[row], encoding.offsets) for column, encoding in zip(columns, encodings, strict=True)
            ]
            spans.append(_enclose(nowhere, [place[:n] for place, n in zip(places, kept, strict=True)]))
    return Encoded(ids=ids, parts=parts, num_cut=num_cut, spans=spans if offsets else None)


def _is_unused(token: str) -> bool:
    return re.fullmatch(r"\[unused\d+\]", token) is not None


def _frame(fast: tokenizers.Tokenizer, num_texts: int) -> list[list[int]]:
    """Find the special tokens around the texts by asking: `[CLS] A [SEP] B [SEP]` has the gaps [CLS] | [SEP] | [SEP]."""
    probe = fast.encode("a", "a" if num_texts == 2 else None)
    frame: list[list[int]] = [[]]
    order: list[int | None] = [None]
    for token_id, part in zip(probe.ids, probe.sequence_ids, strict=True):
        if part is None:
            frame[-1].append(token_id)
        elif part != order[-1]:
            frame.append([])
            order.append(part)
    plain = fast.encode("a", add_special_tokens=False).ids
    if order != [None, *range(num_texts)] or _enclose(frame, [plain] * num_texts) != probe.ids:
        raise UnsupportedError(
            f"this tokenizer's post-processor makes {' '.join(probe.tokens)!r} of {num_texts} times 'a': expected special"
            " tokens around each text, in order; change its template in tokenizer.json"
        )
    return frame


def _enclose(frame: list[list[T]], parts: Sequence[list[T]]) -> list[T]:
    """Interleave: gap, part, gap, part, gap."""
    row = [*frame[0]]
    for part, gap in zip(parts, frame[1:], strict=True):
        row += part
        row += gap
    return row


def _parts(frame: list[list[int]], lengths: Sequence[int]) -> tuple[range, ...]:
    """Where `_enclose` puts parts of these lengths."""
    ranges, start = [], len(frame[0])
    for length, gap in zip(lengths, frame[1:], strict=True):
        ranges.append(range(start, start + length))
        start += length + len(gap)
    return tuple(ranges)


def _room(longest: int, frame: list[list[int]]) -> int:
    taken = sum(map(len, frame))
    if longest < max(taken, 1):
        raise UserError(f"longest={longest} leaves no room for the special tokens: it must be at least {max(taken, 1)}")
    return longest - taken


def _fit(lengths: Sequence[int], room: int | None) -> list[int]:
    """How much of one or two texts fits: the shorter one is cut only when it has more than half of the room.

    >>> _fit([3, 90], room=21), _fit([50, 90], room=21), _fit([90, 50], room=21)
    ([3, 18], [10, 11], [11, 10])
    """
    if room is None or sum(lengths) <= room:
        return [*lengths]
    if len(lengths) == 1:
        return [room]
    shorter = min(*lengths, room // 2)
    return [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]


def _trimmed(text: str, spans: Sequence[Span]) -> list[Span]:
    """Make `tokenizers`' spans cut what a reader expects: no white space at the ends, no accent left behind.

    `tokenizers` gives a character composed by NFC the place of its first half, so the other half belongs to nobody.
    Where the tokens come from text that was in NFC already, everything belongs to somebody.
    """
    if not unicodedata.is_normalized("NFC", text):
        is_taken = bytearray(len(text))
        for start, end in spans:
            is_taken[start:end] = b"\1" * (end - start)
        spans = [(start, _next_taken(is_taken, end)) for start, end in spans]
    trimmed = []
    for start, end in spans:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        trimmed.append((start, end))
    return trimmed


def _next_taken(is_taken: bytearray, start: int) -> int:
    end = is_taken.find(1, start)
    return len(is_taken) if end < 0 else end
