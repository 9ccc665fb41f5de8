"""Writing token shards: documents go in one by one, and the folder is there when all of them are. The format is told in `shards`."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import numpy as np

from modernbert.core.errors import UserError
from modernbert.core.files import atomic_folder, content_hash, write_json
from modernbert.data.shards import ENDS, FORMAT, INDEX, TOKENIZER, VERSION, Shard, id_type
from modernbert.data.vocabulary import Vocabulary
from modernbert.text.tokenizer import Tokenizer

SHARD_TOKENS = 100_000_000
"""A shard is closed when it holds so many: 200 MB a file, handy to copy and to check."""


@contextmanager
def write_shards(
    folder: str | Path,
    tokenizer: Tokenizer,
    *,
    made_from: Mapping[str, object] | None = None,
    shard_tokens: int = SHARD_TOKENS,
) -> Iterator["ShardWriter"]:
    """Open a folder to append documents to; it has its name only when the block ends well, and is whole then.

    Raises:
        UserError: the folder is there already and not empty, the disk is full or not to be written to, or the block
            ends without a document.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: choose another name, or move it away")
    if shard_tokens < 1:
        raise UserError(f"shard_tokens is {shard_tokens}, expected 1 or more")
    try:
        with atomic_folder(folder) as unfinished:
            writer = ShardWriter(unfinished, tokenizer, made_from=made_from, shard_tokens=shard_tokens)
            try:
                yield writer
                if not writer.num_documents:
                    raise UserError(f"{folder}: there is no document to write, so nothing was written")
                writer.finish()
            finally:
                writer.close()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error}): nothing was left behind; make room, or choose another place"
        ) from error


class ShardWriter:
    """Appends documents to a folder that `write_shards` has opened. State: the open shard and those before it."""

    def __init__(
        self, folder: Path, tokenizer: Tokenizer, *, made_from: Mapping[str, object] | None, shard_tokens: int
    ) -> None:
        self.folder = folder
        """Under its temporary name."""
        self.made_from = dict(made_from or {})
        """Free facts for the index; may be added to while documents are written."""
        self.num_documents = 0
        self.num_tokens = 0
        tokenizer.save(folder / TOKENIZER)
        self._vocabulary = Vocabulary.of(tokenizer)
        self._type = id_type(self._vocabulary.size)
        self._shard_tokens = shard_tokens
        self._shards: list[Shard] = []
        self._open: _OpenShard | None = None

    def append(self, ids: Sequence[int] | np.ndarray) -> None:
        """Add a document, given without special tokens.

        Raises:
            ValueError: it is empty, or an id is not in the vocabulary.
        """
        document = np.asarray(ids)
        if not document.size:
            raise ValueError("a document without tokens: leave it out")
        if document.min() < 0 or document.max() >= self._vocabulary.size:
            raise ValueError(
                f"ids from {document.min()} to {document.max()}, expected 0 to {self._vocabulary.size - 1}: is this the"
                " tokenizer of these ids?"
            )
        if self._open is None:
            self._open = _OpenShard(self.folder, f"{len(self._shards):05}")
        self._open.append(document.astype(self._type, copy=False))
        self.num_documents += 1
        self.num_tokens += document.size
        if self._open.tokens >= self._shard_tokens:
            self._end_shard()

    def finish(self) -> None:
        """Close the last shard and write the index."""
        self._end_shard()
        index = {
            "format": FORMAT,
            "version": VERSION,
            "dtype": self._type.name,
            "documents": self.num_documents,
            "tokens": self.num_tokens,
            "vocabulary": asdict(self._vocabulary) | {"special_ids": sorted(self._vocabulary.special_ids)},
            "tokenizer": content_hash(self.folder / TOKENIZER),
            "shards": [asdict(shard) for shard in self._shards],
            "made_from": self.made_from,
        }
        write_json(self.folder / INDEX, index)

    def close(self) -> None:
        """Let go of the open files."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _end_shard(self) -> None:
        if self._open is not None:
            self._shards.append(self._open.finish())
            self._open = None


class _OpenShard:
    """Two growing files and their checksums."""

    def __init__(self, folder: Path, name: str) -> None:
        self.tokens = 0
        self._name = name
        self._documents = 0
        self._files: dict[str, IO[bytes]] = {
            ending: open(folder / f"{name}.{ending}", "xb", buffering=2**20)  # noqa: SIM115 (closed by close)
            for ending in ("tokens", "ends")
        }
        self._hashes = {ending: hashlib.sha256() for ending in self._files}

    def append(self, ids: np.ndarray) -> None:
        self.tokens += ids.size
        self._documents += 1
        self._write("tokens", ids.tobytes())
        self._write("ends", np.array(self.tokens, dtype=ENDS).tobytes())

    def finish(self) -> Shard:
        self.close()
        sha256 = {ending: digest.hexdigest() for ending, digest in self._hashes.items()}
        return Shard(name=self._name, documents=self._documents, tokens=self.tokens, sha256=sha256)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, ending: str, content: bytes) -> None:
        self._files[ending].write(content)
        self._hashes[ending].update(content)
