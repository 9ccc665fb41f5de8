"""One line of JSON for every request, on stderr, its figures, and its span where OpenTelemetry is installed.

Never a text, a header or a query: what a client sends is nobody's business. A path is that of its route, for the same reason.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modernbert.serve.metrics import Metrics

GONE = 499
"""A client that left before its answer began."""

BUG = 500
"""A request whose work raised what nobody expected."""


_NO_ROUTE = "none"

_LINE_S = 1.0
"""Seconds of refusals that one line tells of."""


class _NotTakenError(Exception):
    """A client does not take its answer."""


class Watch:
    """Outermost: it sees every request and every refusal."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, seconds: float) -> None:
        """Begin.

        Args:
            seconds: in which a client must take each part of an answer.
        """
        self._app = app
        self._metrics = metrics
        self._seconds = seconds
        self._span = _spans()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = GONE, time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                raise _NotTakenError from None

        self._metrics.started()
        with self._span(scope) as span:
            try:
                await self._app(scope, receive, seen)
            except _NotTakenError:
                status = GONE  # it does not take its answer: the connection is closed
            except Exception:
                status = BUG if status == GONE else status  # answered further out, where nothing was sent yet
                raise
            finally:
                seconds, route = time.perf_counter() - start, _route(scope)
                self._metrics.ended(route, status, seconds)
                found = {"method": scope["method"][:16], "route": route, "status": status}
                if (ticket := scope.get("state", {}).get("ticket")) is not None:
                    found["tokens"] = ticket.num_tokens
                _log((scope.get("client") or ("",))[0], found, seconds)
                if span is not None:
                    span.update_name(f"{found['method']} {route}")
                    span.set_attributes({f"http.{name}": value for name, value in found.items()})


class Refusals:
    """What is refused before it becomes a request: counted, and one line a second for all of them, since they come by thousands."""

    def __init__(self, metrics: Metrics) -> None:
        """Begin."""
        self._metrics = metrics
        self._counts: Counter[int] = Counter()

    def __call__(self, status: int) -> None:
        """There is one more. In the event loop's thread."""
        if not self._counts:
            asyncio.get_running_loop().call_later(_LINE_S, self._write)
        self._counts[status] += 1

    def _write(self) -> None:
        for status, count in self._counts.items():
            self._metrics.refused(_NO_ROUTE, status, count)
            _log("", {"route": _NO_ROUTE, "status": status, "count": count}, 0.0)
        self._counts.clear()


def _log(client: str, found: Mapping[str, object], seconds: float) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"time": at, "client": client, **found, "seconds": round(seconds, 6)}
    sys.stderr.write(orjson.dumps(line).decode() + "\n")


def _route(scope: Scope) -> str:
    """As it is written in the code: a path that nobody serves could be anything."""
    return getattr(scope.get("route"), "path", _NO_ROUTE)


def _spans() -> "Any":
    """A span a request, under the caller's where its headers name one; nothing without opentelemetry."""
    try:
        trace, propagate = (import_module(f"opentelemetry.{name}") for name in ("trace", "propagate"))
    except ImportError:
        return lambda scope: nullcontext()
    tracer = trace.get_tracer("modernbert.serve")

    def span(scope: Scope) -> AbstractContextManager[object]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return tracer.start_as_current_span(
            scope["method"][:16], context=propagate.extract(headers), kind=trace.SpanKind.SERVER
        )

    return span
