"""`/`: the page to try everything on. Files of the package, which hold nothing secret, and load nothing from elsewhere."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from modernbert.serve.errors import ApiError
from modernbert.serve.models import Models

OPEN = ("/", "/playground/")
"""Without a key: a browser brings none with an address, and the page asks for it."""

FOLDER = Path(__file__).parents[1] / "playground"

_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    type: str
    tag: str


def router(models: Models) -> APIRouter:
    """`/` and `/playground/...`."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        """The page itself."""
        return _answer(request, "index.html")

    @routes.api_route("/playground/{name}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        """What the page is made of."""
        return _answer(request, name)

    return routes


def _answer(request: Request, name: str) -> Response:
    found = _files().get(name)
    if found is None:
        raise ApiError(404, "the playground has no such file")
    headers = {**HEADERS, "etag": found.tag}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.type, headers=headers)


@cache
def _files() -> dict[str, _File]:
    """By name: a request's path is looked up here, and never on the disk."""
    return {
        path.name: _File(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for path in sorted(FOLDER.iterdir())
        if path.suffix in _TYPES
        for content in [path.read_bytes()]
    }
