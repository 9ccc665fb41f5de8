import json
import socket
import threading
from contextlib import contextmanager

import pytest

from modernbert.serve import connection, watch
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from modernbert.serve.run import Server, bound
from support.served import folder_of
from support.waiting import WAIT, until

BODY = b'{"inputs": "a"}'
ASKED = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def served():
    models = Models.open([f"words={folder_of('words')}"], Settings(dtype="float32", port=0))
    server, listening = Server(models), bound(models.settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started and models.is_ready)
    yield listening.getsockname(), models
    server.should_exit = True
    thread.join(WAIT)
    listening.close()


@contextmanager
def full(models):
    models._num_running += 10**6
    yield
    models._num_running -= 10**6


def _asked(path=b"/embed", body=BODY):
    return ASKED % (path, len(body)) + body


def _answer(client):
    """Status, headers and body of one answer."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += client.recv(1)
    first, *lines = found.decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += client.recv(int(headers["content-length"]) - len(body))
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(("path", "family"), [(b"/embed", "error_type"), (b"/v1/embeddings", "error")])
def test_what_there_is_no_room_for_is_refused_and_the_connection_goes_on(served, path, family):
    address, models = served
    with socket.create_connection(address, WAIT) as client:
        with full(models):
            client.sendall(_asked(path))
            status, headers, body = _answer(client)
            assert (status, headers["retry-after"], headers["content-type"]) == (429, "1", "application/json")
            assert family in json.loads(body)
            client.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            assert _answer(client)[0] == 200, "what is no work is answered"
        client.sendall(_asked())
        assert _answer(client)[0] == 200


def test_a_refusal_does_not_wait_for_the_body(served):
    address, models = served
    with full(models), socket.create_connection(address, WAIT) as client:
        client.sendall(ASKED % (b"/embed", 10**6))
        assert _answer(client)[0] == 429
        for _ in range(10):
            client.sendall(b" " * 10**5)
        client.sendall(_asked())
        assert _answer(client)[0] == 429, "the next one behind the body that nobody read"


def test_a_refused_body_that_never_ends_is_not_waited_for(served, monkeypatch):
    address, models = served
    monkeypatch.setattr(connection, "HEADERS", 0.2)
    with full(models), socket.create_connection(address, WAIT) as client:
        client.sendall(ASKED % (b"/embed", 10**6))
        assert _answer(client)[0] == 429
        assert client.recv(1) == b"", "hung up"


def test_an_old_client_is_hung_up_on(served, monkeypatch):
    address, models = served
    complaints = []
    monkeypatch.setattr(connection.Connection, "send_400_response", lambda self, said: complaints.append(said))
    with full(models), socket.create_connection(address, WAIT) as client:
        client.sendall(b"POST /embed HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}")
        status, headers, _ = _answer(client)
        assert (status, headers["connection"]) == (429, "close")
        assert client.recv(1) == b""
    assert not complaints, "its body is no mistake"


def test_answers_keep_the_order_of_requests_sent_at_once(served):
    address, models = served
    with socket.create_connection(address, WAIT) as client:
        client.sendall(
            _asked(body=b'{"inputs": "%b", "truncate": true}' % (b"word " * 2000))
            + b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"
        )
        assert [_answer(client)[0] for _ in range(2)] == [200, 200]
        client.sendall(_asked(body=b'{"inputs": "%b", "truncate": true}' % (b"word " * 2000)))
        until(lambda: models._num_running == 1)
        with full(models):
            client.sendall(_asked())
            assert [_answer(client)[0] for _ in range(2)] == [200, 429]


def test_headers_without_end_are_refused(served):
    address, _ = served
    with socket.create_connection(address, WAIT) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nx: " + b"y" * 70_000)
        assert _answer(client)[0] == 431
        assert client.recv(1) == b""


def test_refusals_are_counted_and_told_of_in_one_line(served, monkeypatch, capsys):
    address, models = served
    monkeypatch.setattr(watch, "_LINE_S", 0.05)
    with full(models), socket.create_connection(address, WAIT) as client:
        for _ in range(3):
            client.sendall(_asked())
            assert _answer(client)[0] == 429
    lines = []

    def told():
        lines.extend(json.loads(line) for line in capsys.readouterr().err.splitlines())
        return sum(line.get("count", 0) for line in lines) >= 3  # and what the tests before have left

    until(told)
    assert {(line["route"], line["status"]) for line in lines if "count" in line} == {("none", 429)}
    with socket.create_connection(address, WAIT) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b'modernbert_requests_total{route="none",status="429"}' in _answer(client)[2]
