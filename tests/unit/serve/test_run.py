import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.embedder import Embedder
from modernbert.serve import connection
from modernbert.serve import run as run_file
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from modernbert.serve.run import Server, bound, run
from support.served import folder_of
from support.waiting import WAIT, until


@contextmanager
def _live(**settings):
    models = Models.open([f"words={folder_of('words')}"], Settings(dtype="float32", port=0, **settings))
    server, listening = Server(models), bound(models.settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started and models.is_ready)
    yield server, listening.getsockname(), models
    server.should_exit = True
    thread.join(WAIT)
    assert not thread.is_alive()
    listening.close()


def _post(address, **body):
    return httpx2.post(f"http://{address[0]}:{address[1]}/embed", json=body, timeout=WAIT)


def test_a_client_that_never_ends_its_headers_is_let_go(monkeypatch):
    monkeypatch.setattr(connection, "HEADERS", 0.2)
    with _live() as (_, address, _):
        with socket.create_connection(address, WAIT) as silent, socket.create_connection(address, WAIT) as slow:
            slow.sendall(b"POST /embed HTTP/1.1\r\nhost: a\r\n")
            assert silent.recv(1) == slow.recv(1) == b"", "closed"
        with socket.create_connection(address, WAIT) as again:
            again.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            assert again.recv(100).startswith(b"HTTP/1.1 200")
            again.sendall(b"GET /hea")
            assert again.recv(100) == b"", "a second request is not waited for either"
        assert _post(address, inputs="a").status_code == 200


def test_a_body_that_does_not_arrive_holds_nobody_up():
    with _live(timeout=0.5) as (_, address, _), socket.create_connection(address, WAIT) as slow:
        slow.sendall(
            b"POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_headers():
    with _live() as (server, address, _), socket.create_connection(address, WAIT):
        until(lambda: server.server_state.connections)
        (connection,) = server.server_state.connections
        found = connection.transport.get_extra_info("socket")
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_connections_beyond_the_systems_files_are_closed_at_once(monkeypatch):
    with _live() as (_, address, _):
        monkeypatch.setattr(connection, "_SPARE", 10**9)
        with socket.create_connection(address, WAIT) as one:
            assert one.recv(1) == b""
        monkeypatch.setattr(connection, "_SPARE", 64)
        assert _post(address, inputs="a").status_code == 200


def test_a_client_that_is_killed_takes_its_work_along():
    with _live() as (_, address, models):
        with socket.create_connection(address, WAIT) as client:
            body = b'{"inputs": "%s", "truncate": true}' % (b"word " * 1000)
            head = (
                b"POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                % len(body)
            )
            client.sendall(head + body)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        until(lambda: models._num_running == 0 and models.desk.num_waiting == (0, 0))
        assert _post(address, inputs="a").status_code == 200


def test_an_address_that_is_taken_is_the_users_mistake():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            UserError,
            match=rf"127.0.0.1:{port} cannot be listened on \(Address already in use\): choose another --port",
        ):
            run([f"words={folder_of('words')}"], Settings(dtype="float32", port=port))


def test_who_computes_does_not_wait_long_for_the_interpreter(monkeypatch):
    found = []
    monkeypatch.setattr(sys, "setswitchinterval", found.append)
    monkeypatch.setattr(Models, "open", lambda *_: (_ for _ in ()).throw(UserError("enough")))
    with pytest.raises(UserError, match="enough"):
        run(["words"], Settings(port=0))
    assert found == [run_file.SLICE]


def test_the_command_serves_until_sigterm_and_answers_what_it_has_accepted():
    words = ["serve", f"words={folder_of('words')}", "--port", "0", "--dtype", "float32", "--auto-truncate"]
    env = os.environ | {"API_KEY": "one,two", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "modernbert.cli.main", *words], env=env, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            _check_command(process)
        finally:
            process.kill()


def _check_command(process):
    lines = [process.stderr.readline()]
    while "serving on" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    assert any(line.startswith("words: fill-mask, embed, zero-shot; ") for line in lines)
    url = lines[-1].split()[-1]
    with httpx2.Client(base_url=url, timeout=WAIT, headers={"authorization": "Bearer two"}) as client:
        until(lambda: client.get("/ready").status_code == 200)
        answers = []
        texts = [f"{'word ' * 900}{n}" for n in range(32)]
        asking = threading.Thread(target=lambda: answers.append(client.post("/embed", json={"inputs": texts})))
        asking.start()
        until(lambda: client.get("/inside/batch").json()["batch"]["num_tokens"] > 500)
        process.send_signal(signal.SIGTERM)
        asking.join(WAIT)
    rest = process.stderr.read()
    assert process.wait(WAIT) in (0, -signal.SIGTERM)
    expected = Embedder.from_pretrained(folder_of("words"), dtype="float32").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(answers[0].json(), expected, atol=1e-5)
    assert "Traceback" not in rest
    assert "two" not in rest
