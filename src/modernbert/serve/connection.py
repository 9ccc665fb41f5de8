"""A client's connection: headers within a time and a size, and a refusal that costs next to nothing where there is no room for work.

Those who are refused come when there is most to do. At several times what a server can do, refusing is most of what its one
Python thread does: a task, middlewares and a parsed body for each of them would take the time of those that were accepted.
"""

import asyncio
import resource
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modernbert.serve.errors import ApiError, response

HEADERS = 10.0
"""Seconds in which a client that begins a request has sent its headers."""

_MOST_HEADERS = 65_536
"""Bytes of a request's headers."""

_SPARE = 64
"""Files that connections leave alone: indexes, logs, weights."""

_TOO_MANY_HEADERS = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's, less patient: it is closed at once where there are too many, and what there is no room for is refused here."""

    def __init__(
        self,
        *args: Any,
        why_not: Callable[[], ApiError | None],
        refused: Callable[[int], None],
        **kwargs: Any,
    ) -> None:
        """Begin; the rest is uvicorn's.

        Args:
            why_not: says whether there is room for more work.
            refused: is told of each refusal's status.
        """
        super().__init__(*args, **kwargs)
        self._why_not = why_not
        self._refused = refused
        self._timer: asyncio.TimerHandle | None = None
        self._is_between = True
        """Requests: what arrives now belongs to headers."""
        self._num_unread = 0
        """Bytes of headers that are not yet whole."""
        self._is_dropping = False
        """The body of a request that was answered with a refusal."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        if len(self.connections) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE:
            transport.close()
            return
        self._hurry()

    def data_received(self, data: bytes) -> None:
        """Somebody said something: is a request whole?"""
        if self._is_between:
            self._num_unread += len(data)
        super().data_received(data)
        if self._num_unread > _MOST_HEADERS:
            self.transport.write(_TOO_MANY_HEADERS)
            self.transport.close()
        elif self._num_unread and self._timer is None:
            self._hurry()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._rest()
        self._is_between, self._num_unread = False, 0
        is_first = self.cycle is None or self.cycle.response_complete  # answers keep the order of their requests
        method = self.parser.get_method()  # type: ignore[union-attr]
        if method == b"POST" and is_first and (full := self._why_not()) is not None:
            self._refuse(full)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if not self._is_dropping:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._is_between = True
        if not self._is_dropping:
            super().on_message_complete()
            return
        self._rest()
        self._is_dropping = False
        self.on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._rest()
        super().connection_lost(exc)

    def _refuse(self, error: ApiError) -> None:
        is_kept = self.parser.should_keep_alive()  # type: ignore[union-attr]
        family = "/v1/" if self.url.startswith(b"/v1/") else "/"
        self.transport.write(_said(family, error.status, error.message, error.retry_after, is_kept))
        self._is_dropping = True
        if is_kept:
            self._hurry()  # its body is read, so that the next request can be
        else:
            self.transport.close()
        self._refused(error.status)

    def _hurry(self) -> None:
        self._timer = self.loop.call_later(HEADERS, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@lru_cache(16)
def _said(path: str, code: int, message: str, retry_after: int, is_kept: bool) -> bytes:
    found = response(path, ApiError(code, message, retry_after=retry_after), close=not is_kept)
    headers = b"".join(b"%b: %b\r\n" % header for header in found.raw_headers)
    status = HTTPStatus(code)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), headers, bytes(found.body))
