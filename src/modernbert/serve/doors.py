"""What stands before every route: who may come in, and what a body may be. Plain ASGI, so that nothing is buffered twice.

A body is read whole before its route begins: within a size and a time, and only if it is strict JSON. So a slow client costs no
more than its connection, and what cannot be parsed (NaN, depth without end, half a surrogate pair) is refused here once.
"""

import asyncio
import hmac
from collections.abc import Callable, Collection

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modernbert.serve.errors import ApiError, response

_MOST_BODIES = 64
"""Largest bodies that may be arriving at once: ten thousand slow clients could hold all memory otherwise."""


class Keys:
    """Lets in who brings one of the keys. Comparing takes equally long whatever is wrong."""

    def __init__(self, app: ASGIApp, keys: Collection[str], open_paths: Collection[str]) -> None:
        """Guard all but these paths; one that ends with a slash stands for all below it."""
        self._app = app
        self._keys = [key.encode() for key in keys]
        self._open = tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and self._keys and not self._is_open(scope) and not self._is_known(scope):
            refusal = ApiError(401, "expected a key that this server knows, as the header  Authorization: Bearer KEY")
            await response(scope["path"], refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return scope["method"] in ("GET", "HEAD") and any(
            path == each or (each.endswith("/") and each != "/" and path.startswith(each)) for each in self._open
        )

    def _is_known(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        kind, _, key = given.partition(b" ")
        # every key is compared, so that time does not tell which one begins alike
        return (kind.lower() == b"bearer") & (sum(hmac.compare_digest(key.strip(), each) for each in self._keys) > 0)


class Bodies:
    """Reads a body whole, or refuses it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        seconds: float,
        why_not: Callable[[], ApiError | None] = lambda: None,
    ) -> None:
        """Let bodies of at most so many bytes in that arrive within so many seconds.

        Args:
            why_not: says whether there is room for more work. Asked before a body is looked at: to refuse must cost little, since those
                who are refused come when there is most to do.
        """
        self._app = app
        self._why_not = why_not
        self._limit = limit
        self._seconds = seconds
        self._held = 0
        """Bytes of bodies that are still arriving."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(scope, receive)
        except TimeoutError:
            refusal = ApiError(408, f"the body did not arrive within {self._seconds:g} seconds: send it at once")
        except ApiError as too_large:
            refusal = too_large
        else:
            if body is None:
                return  # the client is gone
            full = self._why_not() if body else None
            if full is not None:
                await response(scope["path"], full)(scope, receive, send)
                return
            if (refusal := _not_json(body)) is None:
                await self._app(scope, _again(body, receive), send)
                return
        await response(scope["path"], refusal, close=True)(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said[:20]) > self._limit:
            raise self._too_large()
        body = bytearray()
        is_more = True
        try:
            while is_more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                body += part
                self._held += len(part)
                if len(body) > self._limit:
                    raise self._too_large()
                if self._held > _MOST_BODIES * self._limit:
                    raise ApiError(429, "too many bodies are arriving: try again later", retry_after=1)
                is_more = message.get("more_body", False)
        finally:
            self._held -= len(body)
        return bytes(body)

    def _too_large(self) -> ApiError:
        return ApiError(
            413, f"the body is larger than {self._limit:,} bytes: send it in parts, or raise --payload-limit"
        )


def _not_json(body: bytes) -> ApiError | None:
    if not body:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return ApiError(422, f"the body is not JSON that can be read: {error}"[:300])
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """Hands the body out once, and then what the client does: mostly leave."""
    is_out = False

    async def once() -> Message:
        nonlocal is_out
        if is_out:
            return await receive()
        is_out = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
