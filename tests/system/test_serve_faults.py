"""What clients do to a server, by accident or on purpose, against a real one: it goes on, and the others' answers are right."""

import asyncio
import json
import math
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import orjson
import pytest

from modernbert.retrieval.embedder import Embedder
from modernbert.serve.connection import HEADERS
from support.served import folder_of
from support.waiting import WAIT, until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

TIMEOUT, ROOM, LIMIT = 30, 16, 100_000
KILLED = 6
PLANES = "".join(chr(plane * 0x10000 + place) for plane in range(17) for place in (0x21, 0x301, 0x2028, 0xFFFF))
"""Four characters of every plane, those among them that nobody has assigned."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from servers import ours, running

    log = tmp_path_factory.mktemp("serve") / "log"
    flags = ["--timeout", TIMEOUT, "--max-concurrent-requests", ROOM, "--payload-limit", LIMIT]
    command = ours(folder_of("words"), "--dtype", "float32", "--auto-truncate", *map(str, flags))
    with running("ours", command, log, ready="/ready") as found:
        yield found
        said = log.read_text()
    assert "Traceback" not in said
    assert "lamps" not in said, "a text"


@pytest.fixture(scope="module")
def truth():
    embedder = Embedder.from_pretrained(folder_of("words"), dtype="float32")
    return lambda *texts: embedder.encode(texts, normalize_embeddings=True)


@pytest.fixture(autouse=True)
def goes_on(server, truth):
    """Whatever a test does: afterwards nothing waits, and an answer is right."""
    yield
    until(lambda: _running(server) == 1)  # this very question
    assert json.loads(_get(server, "/inside/batch"))["waiting"] == {"requests": 0, "tokens": 0}
    _is_right(server, truth, "seven lamps")


def _get(server, path):
    with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=WAIT) as answer:
        return answer.read()


def _running(server):
    return float(re.search(rb"(?m)^modernbert_requests_running (\S+)", _get(server, "/metrics"))[1])


def _post(server, body, path="/embed"):
    """Status and what was answered."""
    request = Request(
        f"http://127.0.0.1:{server.port}{path}", data=body, headers={"content-type": "application/json"}
    )  # fmt: skip
    try:
        with urlopen(request, timeout=WAIT) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def _is_right(server, truth, *texts):
    status, found = _post(server, orjson.dumps({"inputs": list(texts)}))
    assert status == 200, found
    np.testing.assert_allclose(json.loads(found), truth(*texts), atol=1e-5)


def test_clients_that_are_killed_in_the_midst_of_a_request_take_their_work_along(server):
    body = orjson.dumps({"inputs": ["word " * 1000] * 8})
    head = f"POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    program = (
        "import socket, sys, time\n"
        f"sockets = [socket.create_connection(('127.0.0.1', {server.port})) for _ in range({KILLED})]\n"
        "request = sys.stdin.buffer.read()\n"
        "for each in sockets: each.sendall(request)\n"
        "print(flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        try:
            client.stdin.write(head.encode() + body)
            client.stdin.close()
            client.stdout.readline()
            until(lambda: _running(server) > 2)
        finally:
            os.kill(client.pid, signal.SIGKILL)
    until(lambda: _running(server) == 1)
    assert re.search(rb'modernbert_requests_total{route="/embed",status="499"} [1-9]', _get(server, "/metrics"))


def test_slow_clients_hold_nobody_up_and_are_let_go(server, truth):
    head = b"POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n"
    began = time.monotonic()
    with ExitStack() as stack:

        def connected(first):
            found = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT))
            found.sendall(first)
            return found

        in_headers = [connected(b"POST /embed HTTP/1.1\r\nx-slow: ") for _ in range(ROOM)]
        in_bodies = [connected(head + b'{"inputs": "') for _ in range(ROOM)]
        while time.monotonic() < began + 1:
            for each in (*in_headers, *in_bodies):
                each.sendall(b"a")
            _is_right(server, truth, "a lamp")
        for each in in_headers:
            assert each.recv(100) == b"", "hung up"
    assert time.monotonic() - began < HEADERS + WAIT / 4


def test_thousands_of_connections_that_say_nothing_cost_nobody_anything(server, truth):
    most = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT))
        _is_right(server, truth, "a lamp among many")


def test_more_than_there_is_room_for_is_refused_and_what_is_accepted_is_right(server, truth):
    from http_client import Client

    texts = [f"lamps, {number} of them, {'and more ' * 40}" for number in range(10 * ROOM)]

    async def all_at_once():
        async with Client(server.port) as client:
            bodies = [orjson.dumps({"inputs": text}) for text in texts]
            return await asyncio.gather(*(client.post("/embed", body) for body in bodies))

    answers = asyncio.run(all_at_once())
    assert {each.status for each in answers} == {200, 429}
    assert all(int(each.headers[b"retry-after"]) > 0 for each in answers if each.status == 429)
    accepted = [(text, each) for text, each in zip(texts, answers, strict=True) if each.status == 200]
    found = [json.loads(each.body)[0] for _, each in accepted]
    np.testing.assert_allclose(found, truth(*(text for text, _ in accepted)), atol=1e-5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"", 422),
        (b'{"inputs": "a"', 422),
        (b"[" * 50_000, 422),
        (b'{"inputs":' * 9000, 422),
        (b'{"inputs": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
        (b'{"inputs": "' + b"a" * LIMIT + b'"}', 413),
        (b'{"inputs": [[NaN]]}', 422),
        (b'{"inputs": [[1e999]]}', 422),
        (b'{"inputs": [[-1]]}', 422),
        (b'{"inputs": [[1.5]]}', 422),
        (b'{"inputs": [[2147483647]]}', 422),
        (b'{"inputs": [[%d]]}' % 10**400, 422),
        (b'{"inputs": [[null]]}', 422),
        (b'{"inputs": "\\ud800"}', 422),
        (b'{"inputs": "\xff"}', 422),
        (b"\xef\xbb\xbf{}", 422),
        (orjson.dumps({"inputs": ["a"] * 33}), 413),
        (orjson.dumps({"inputs": []}), 400),
        (orjson.dumps({"inputs": "a", "dimensions": -1}), 422),
        (orjson.dumps({"inputs": "a", "model": "../../etc/passwd"}), 404),
        (orjson.dumps({"inputs": "word " * 15_000}), 200),
        (orjson.dumps({"inputs": "\x00"}), 200),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_cannot_be_meant_is_refused_with_a_sentence(server, body, status):
    found, said = _post(server, body)
    assert (found, bool(said)) == (status, True), said
    if found != 200:
        assert len(json.loads(said)["error"]) < 600


def test_unicode_of_every_plane_gets_the_vector_that_python_gives(server, truth):
    _is_right(server, truth, PLANES, *PLANES[::5])
    status, found = _post(server, orjson.dumps({"inputs": PLANES}), "/tokenize")
    assert status == 200
    assert all(math.isfinite(token["id"]) for token in json.loads(found)[0])


@pytest.mark.parametrize(
    "request_line",
    [b"GARBAGE\r\n\r\n", b"POST /embed HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
     b"POST /embed HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
     b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 50_000],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_what_is_not_http_is_refused_or_hung_up_on(server, request_line):
    with socket.create_connection(("127.0.0.1", server.port), WAIT) as client:
        try:
            client.sendall(request_line)
            found = client.recv(100)
        except ConnectionError:
            found = b""
    assert found[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 408", b"HTTP/1.1 431"), found
