import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from modernbert.serve import doors
from modernbert.serve.doors import Bodies, Keys
from modernbert.serve.errors import ApiError


async def _echo(request: Request) -> JSONResponse:
    return JSONResponse({"length": len(await request.body())})


def _app() -> Starlette:
    methods = ["GET", "POST"]
    return Starlette(routes=[Route("/", _echo, methods=methods), Route("/{path:path}", _echo, methods=methods)])


def _guarded(*keys: str) -> TestClient:
    return TestClient(Keys(_app(), keys, ["/", "/health", "/page/"]))


def _bodies(limit=1000, seconds=60.0) -> TestClient:
    return TestClient(Bodies(_app(), limit=limit, seconds=seconds))


@pytest.mark.parametrize("key", ["one", "two"])
@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
def test_any_of_the_keys_opens(key, kind):
    assert _guarded("one", "two").get("/embed", headers={"authorization": f"{kind} {key}"}).status_code == 200


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesame1", "Basic sesame", "sesame", "Bearer sesam\u00e4"],
    ids=repr,
)
def test_anything_else_does_not(given):
    answer = _guarded("sesame", "four").get("/embed", headers={"authorization": given.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "expected a key that this server knows" in answer.json()["error"]
    assert "sesam" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200), ("GET", "/", 200), ("GET", "/page/a.js", 200), ("POST", "/", 401), ("POST", "/health", 401),
        ("GET", "/healthy", 401), ("GET", "/health/", 401), ("GET", "/page", 401), ("GET", "/metrics", 401),
    ],
)  # fmt: skip
def test_without_a_key_only_reading_what_is_open_goes(method, path, status):
    assert _guarded("sesame").request(method, path).status_code == status


def test_a_server_without_keys_asks_for_none():
    assert _guarded().post("/embed").status_code == 200


def test_a_body_arrives_as_it_was_sent():
    body = json.dumps({"inputs": "𝔣𝔬𝔤 \u0000 \ud83c\udf2b\ufe0f"})
    assert _bodies().post("/", content=body).json() == {"length": len(body)}
    assert _bodies().get("/").json() == {"length": 0}


def test_a_large_body_is_refused_with_the_limit_whether_it_says_its_size_or_not():
    client = _bodies(limit=1000)
    assert client.post("/", content=b'"%s"' % (b"x" * 998)).status_code == 200
    pieces = (b"x" * 100 for _ in range(11))
    for answer in (client.post("/", content=b'"%s"' % (b"x" * 999)), client.post("/", content=pieces)):
        assert answer.status_code == 413
        assert "the body is larger than 1,000 bytes" in answer.json()["error"]
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"[" * 5000,
        b'{"a":' * 5000,
        b'"\\ud800"',
        b"\xff\xfe",
        b"nothing",
        b'"a" "b"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_strict_json_is_refused_before_a_route_begins(body):
    answer = _bodies(limit=10**6).post("/", content=body)
    assert answer.status_code == 422
    assert "the body is not JSON that can be read" in answer.json()["error"]


def test_where_there_is_no_room_a_body_is_not_even_looked_at():
    app = Bodies(_app(), limit=1000, seconds=60, why_not=lambda: ApiError(429, "busy", retry_after=3))
    with TestClient(app) as client:
        answer = client.post("/", content=b"{")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert client.get("/").status_code == 200, "what has no body is no work"


def _talk(app, messages, *, pause=0.0):
    """Send these messages, slowly, and give what was answered."""
    sent, left = [], list(messages)

    async def receive():
        await asyncio.sleep(pause)
        return left.pop(0) if left else await asyncio.Future()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_that_does_not_arrive_is_given_up():
    app = Bodies(_app(), limit=100, seconds=0.05)
    sent = _talk(app, [{"type": "http.request", "body": b'"', "more_body": True}])
    assert sent[0]["status"] == 408
    assert b"did not arrive within 0.05 seconds" in sent[1]["body"]


def test_a_client_that_leaves_while_sending_is_not_answered():
    app = Bodies(_app(), limit=100, seconds=60)
    assert _talk(app, [{"type": "http.request", "body": b'"', "more_body": True}, {"type": "http.disconnect"}]) == []


def test_many_bodies_that_arrive_slowly_cannot_take_all_memory(monkeypatch):
    monkeypatch.setattr(doors, "_MOST_BODIES", 2)
    app = Bodies(_app(), limit=100, seconds=60)
    part = {"type": "http.request", "body": b"x" * 90, "more_body": True}
    statuses = []

    async def one():
        parts, sent = [part], []

        async def receive():
            return parts.pop() if parts else await asyncio.Future()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
        await app(scope, receive, send)
        statuses.append(sent[0]["status"])

    async def several():
        tasks = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(several())
    assert statuses == [429]
    assert app._held == 0
