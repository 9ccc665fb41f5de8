"""Bytes of a file, unpacked by its suffix. A file that ends too early raises when its end is met, for every kind."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from modernbert.core.errors import require
from modernbert.data._places import Place

_CHUNK = 2**16


@contextmanager
def unpacked(place: Place) -> Iterator[IO[bytes]]:
    """The bytes of a file, read ahead a little."""
    name = place.name.lower()
    zstandard = require("zstandard", extra="data") if name.endswith(".zst") else None
    with place.open() as file:
        if name.endswith(".gz"):
            stream = gzip.GzipFile(fileobj=file)
        elif name.endswith(".bz2"):
            stream = bz2.BZ2File(file)
        elif name.endswith(".xz"):
            stream = lzma.LZMAFile(file)  # noqa: SIM115 (closed below)
        elif zstandard:
            stream = _Zstd(file, zstandard.ZstdDecompressor(max_window_size=2**31))
        else:
            stream = cast("io.RawIOBase", file)  # a store's own files read lines without a limit only
        with stream, io.BufferedReader(stream, 2**18) as reader:
            yield reader


class _Zstd(io.RawIOBase):
    """Frame after frame. The library's own reader takes a file that is cut inside a frame for a whole one."""

    def __init__(self, file: IO[bytes], decompressor) -> None:  # noqa: ANN001  (zstandard is optional)
        self._file = file
        self._decompressor = decompressor
        self._frame = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer, /) -> int:  # noqa: ANN001  (any writable buffer)
        while not self._ready:
            packed = self._packed or self._file.read(_CHUNK)
            if not packed:
                if self._frame is not None:
                    raise EOFError("the last zstd frame is cut off")
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(packed))
            self._packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        into = memoryview(buffer).cast("B")
        size = min(len(into), len(self._ready))
        into[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
