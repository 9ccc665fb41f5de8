"""Token shards: a corpus as ids on disk, read by memory map. What `modernbert data tokenize` writes and training reads.

A folder holds `index.json`, a copy of the tokenizer under `tokenizer/`, and for each shard two files: `00000.tokens`, the
ids of all its documents one after the other, and `00000.ends`, the int64 place where each of them ends. Both are
little-endian. Ids are two bytes up to 65,536 of them, else four; [CLS] and [SEP] are not stored, for every stage of a
training cuts documents to its own length and puts them around each piece. A document is never split between shards, and
never empty.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from modernbert.core.errors import ConfigError, UserError
from modernbert.core.files import content_hash
from modernbert.data.vocabulary import Vocabulary
from modernbert.text.tokenizer import Tokenizer

FORMAT = "modernbert token shards"
VERSION = 1
INDEX = "index.json"
TOKENIZER = "tokenizer"

ENDS = np.dtype("<i8")
"""Of the files of ends."""

_REDO = "copy the folder again, or make it anew with `modernbert data tokenize`"

T = TypeVar("T")


def id_type(vocab_size: int) -> np.dtype:
    """The smallest stored type that holds every id of a vocabulary.

    >>> str(id_type(65_536)), str(id_type(65_537))
    ('uint16', 'uint32')
    """
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def check_one_tokenizer(folders: Iterable["Shards"]) -> None:
    """Refuse to mix the ids of different tokenizers.

    Raises:
        ConfigError: two of these folders were made with different ones.
    """
    first, *others = folders
    for other in others:
        if other.tokenizer_hash != first.tokenizer_hash:
            raise ConfigError(
                f"{other.folder} and {first.folder} were made with different tokenizers: make one of them anew with "
                f"modernbert data tokenize --tokenizer {first.folder / TOKENIZER}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What the index says of one shard."""

    name: str
    documents: int
    tokens: int
    sha256: dict[str, str]
    """Of the file with that ending, `tokens` and `ends`."""


class Shards:
    """A folder of token shards. Files are opened when first asked for, and again in each process it is sent to."""

    def __init__(self, folder: Path, index: Mapping[str, object]) -> None:
        """Take an index as `open` has read it."""
        self.folder = folder
        self.vocabulary = _vocabulary(_entry(index, "vocabulary", dict))
        self.shards = tuple(_shard(entry) for entry in _entry(index, "shards", list))
        self.tokenizer_hash = _entry(index, "tokenizer", str)
        self.made_from: dict[str, object] = _entry(index, "made_from", dict)
        self.num_tokens = sum(shard.tokens for shard in self.shards)
        """Special tokens are not among them."""
        self.fingerprint = _fingerprint(index)
        """The same for the same tokens and tokenizer, wherever they lie and whatever they were made from."""
        self._type = np.dtype(_entry(index, "dtype", str)).newbyteorder("<")
        self._firsts = [0, *accumulate(shard.documents for shard in self.shards)]
        self._maps: dict[str, np.ndarray] = {}
        self._lengths: np.ndarray | None = None

    @staticmethod
    def open(folder: str | Path) -> "Shards":
        """Read the index, and compare the sizes of all files with it. The contents are compared by `verify`.

        Raises:
            UserError: this is no folder of shards, or it is damaged or of a newer version.
        """
        folder = Path(folder)
        shards = _read_index(folder)
        if shards._type != id_type(shards.vocabulary.size):
            raise UserError(
                f"{folder / INDEX}: ids of type {shards._type} do not fit a vocabulary of {shards.vocabulary.size}: {_REDO}"
            )
        for path, size in shards._sizes():
            found = path.stat().st_size if path.is_file() else None
            if found != size:
                what = "is missing" if found is None else f"has {found:,} bytes"
                raise UserError(f"{path} {what}, expected {size:,}: the shards are incomplete; {_REDO}")
        return shards

    def __len__(self) -> int:
        """How many documents."""
        return self._firsts[-1]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document without special ones, int64 [N]; read once, 8 bytes a document.

        Raises:
            UserError: the ends are damaged: a document has no token, or they do not meet the index.
        """
        if self._lengths is None:
            parts = [np.diff(self._map(shard, "ends"), prepend=0) for shard in self.shards]
            for shard, part in zip(self.shards, parts, strict=True):
                if part.min() < 1 or part.sum() != shard.tokens:
                    raise UserError(
                        f"{self._file(shard, 'ends')} is damaged (its ends do not rise to the last): {_REDO}"
                    )
            self._lengths = np.concatenate(parts).astype(np.int64)
            self._lengths.flags.writeable = False
        return self._lengths

    def tokens(self, document: int, start: int = 0, end: int | None = None) -> np.ndarray:
        """The ids of a document, or from `start` to before `end` of them: a read-only view, nothing is copied.

        Raises:
            IndexError: there is no such document, or it is shorter.
        """
        if not 0 <= document < len(self):
            raise IndexError(f"document {document} of {len(self)}: expected 0 to {len(self) - 1}")
        number = bisect_right(self._firsts, document) - 1
        shard, place = self.shards[number], document - self._firsts[number]
        ends = self._map(shard, "ends")
        first, last = int(ends[place - 1]) if place else 0, int(ends[place])
        end = last - first if end is None else end
        if not 0 <= start <= end <= last - first:
            raise IndexError(f"tokens {start} to {end} of document {document}, which has {last - first}")
        return self._map(shard, "tokens")[first + start : first + end]

    def tokenizer(self) -> Tokenizer:
        """The one that made the ids."""
        return Tokenizer.load(self.folder / TOKENIZER)

    def verify(self) -> None:
        """Read everything, and compare it with the checksums in the index.

        Raises:
            UserError: a file is not what was written; the message names it.
        """
        for shard in self.shards:
            for ending, expected in shard.sha256.items():
                path = self._file(shard, ending)
                if content_hash(path) != expected:
                    raise UserError(f"{path} is corrupt (its sha256 is not the index's): {_REDO}")
        if content_hash(self.folder / TOKENIZER) != self.tokenizer_hash:
            raise UserError(f"{self.folder / TOKENIZER} is not the tokenizer that made these tokens: {_REDO}")
        _ = self.lengths

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_maps": {}, "_lengths": None}  # maps would be sent as copies of the files

    def __repr__(self) -> str:
        return f"Shards({str(self.folder)!r}: {len(self):,} documents, {self.num_tokens:,} tokens)"

    def _file(self, shard: Shard, ending: str) -> Path:
        return self.folder / f"{shard.name}.{ending}"

    def _sizes(self) -> Iterator[tuple[Path, int]]:
        for shard in self.shards:
            yield self._file(shard, "tokens"), shard.tokens * self._type.itemsize
            yield self._file(shard, "ends"), shard.documents * ENDS.itemsize

    def _map(self, shard: Shard, ending: str) -> np.ndarray:
        key = f"{shard.name}.{ending}"
        if key not in self._maps:
            mapped = np.memmap(self.folder / key, dtype=self._type if ending == "tokens" else ENDS, mode="r")
            self._maps[key] = mapped.view(np.ndarray)  # slices of a plain array are made ten times faster
        return self._maps[key]


def _read_index(folder: Path) -> Shards:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{folder} holds no {INDEX}: expected a folder that `modernbert data tokenize` wrote; check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): {_REDO}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UserError(
            f"{path} is not the index of token shards: expected a folder that `modernbert data tokenize` wrote"
        )
    if index.get("version") != VERSION:
        raise UserError(
            f"{path} is of version {index.get('version')}, expected {VERSION}: install the modernbert that wrote it, or"
            " make the shards anew"
        )
    try:
        shards = Shards(folder, index)
        if not shards.shards or len(shards) != index["documents"] or shards.num_tokens != index["tokens"]:
            raise ValueError("its sums do not agree")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): {_REDO}") from None
    return shards


def _entry(index: Mapping[str, object], key: str, kind: type[T]) -> T:
    value = index[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key!r} is no {kind.__name__}")
    return value


def _vocabulary(entry: dict[str, Any]) -> Vocabulary:
    facts: dict[str, Any] = entry | {"special_ids": frozenset(entry["special_ids"])}
    return Vocabulary(**facts)


def _shard(entry: dict[str, Any]) -> Shard:
    shard = Shard(**entry)
    if min(shard.documents, shard.tokens - shard.documents + 1) < 1 or set(shard.sha256) != {"tokens", "ends"}:
        raise ValueError(f"shard {shard.name!r} makes no sense")
    return shard


def _fingerprint(index: Mapping[str, object]) -> str:
    facts = {key: value for key, value in index.items() if key != "made_from"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
