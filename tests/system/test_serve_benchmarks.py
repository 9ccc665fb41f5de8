"""The benchmarks of serving, small: what a load counts, what is compared before it is timed, and what the pages say."""

import asyncio
import base64
import json
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from support.served import folder_of, live

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture
def benchmark():
    import serve

    return serve


class _Inside:
    """A server of this process, which nobody can stop for a while."""

    pid, memory = 0, 100.0

    def __init__(self, name: str, url: str) -> None:
        self.name, self.port = name, int(url.rpartition(":")[2])
        self.turns = 0

    def pause(self) -> None: ...

    @contextmanager
    def turn(self):
        self.turns += 1
        yield


@pytest.fixture(scope="module")
def url():
    with live("words", auto_truncate=True) as found:
        yield found


@contextmanager
def _answering(*answers):
    """A server that gives these in turn, each a status, headers and seconds."""
    left = list(answers)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        status, headers, seconds = left.pop(0) if len(left) > 1 else left[0]
        await asyncio.sleep(seconds)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2"), *headers]})
        await send({"type": "http.response.body", "body": b"{}"})

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def test_a_load_tells_answers_refusals_and_failures_apart():
    import load

    def check(place, answer):
        assert place != 4, "wrong"

    busy = (429, [(b"retry-after", b"3")], 0.0)
    with _answering((200, [], 0.02), busy, (429, [], 0.0), (500, [], 0.0), (200, [], 0.0)) as port:
        found = load.closed_loop(port, "/", [b"{}"] * 6, clients=1, seconds=60, most=6, check=check)
    assert len(found.latencies) == 2, "the first and the last"
    assert len(found.refusals) == 1
    assert [each.split(":")[0] for each in found.failures] == ["429", "500", "AssertionError"]
    assert found.latencies[0] >= 0.02
    assert found.rate == pytest.approx(2 / found.seconds)


def test_arrivals_wait_for_nobody_and_a_latency_counts_from_the_arrival():
    import load

    with _answering((200, [], 0.3)) as port:
        found = load.open_loop(port, "/", [b"{}"], rate=100, seconds=0.5, seed=0)
        assert len(found.latencies) == 50
        assert found.seconds < 5, "one after the other they would take fifteen"
        slow = load.open_loop(port, "/", [b"{}"], rate=100, seconds=60, seed=0, limit=0.2)
    assert slow.failures[-1].endswith("took longer than 0.2 s")
    assert slow.seconds < 30, "given up early"


def test_the_search_ends_just_below_what_holds():
    import load

    asked = []
    assert 90 < load.highest_rate(lambda rate: asked.append(rate) or rate < 100, 10, 1000, 8) < 100
    assert len(asked) == 8
    assert load.highest_rate(lambda rate: False, 10, 1000, 3) == 0


def test_servers_are_compared_measured_in_turns_and_told_of(benchmark, url, monkeypatch, capsys):
    servers = []

    @contextmanager
    def running(name, *_, **__):
        servers.append(_Inside(name, url))
        yield servers[-1]

    monkeypatch.setattr(benchmark, "running", running)
    monkeypatch.setattr(benchmark, "texts", lambda kind, count: [f"a diary of {n} lamps" for n in range(count)])
    monkeypatch.setattr(benchmark, "_model", lambda *_: folder_of("words"))
    monkeypatch.setattr(benchmark, "_bodies", lambda found: [json.dumps({"input": text}).encode() for text in found])
    monkeypatch.setattr(benchmark, "STEPS", 2)
    words = ["--texts", "8", "--seconds", "0.1", "--fewest", "3", "--rounds", "2", "--dtypes", "float32", "--no-write"]
    benchmark.main([*words, "--rivals", benchmark.EACH])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[1:]] == ["| ours", f"| {benchmark.EACH}"]
    assert "| 1.00 (1.00–1.00) |" in lines[1]
    assert [each.turns for each in servers] == [2, 2]


def test_vectors_that_differ_are_not_timed(benchmark):
    def row(error):
        return benchmark.Row(error=error, cosine=1.0)

    benchmark._compare("float32", {benchmark.OURS: row(9e-6), benchmark.EACH: row(1e-6)})
    with pytest.raises(AssertionError, match=r"infinity-emb: vectors differ by 2.0e-05 from 1.0e-05: nothing to time"):
        benchmark._compare("float32", {benchmark.OURS: row(1e-6), benchmark.INFINITY: row(2e-5)})
    benchmark._compare("bfloat16", {benchmark.OURS: row(0.01), benchmark.EACH: row(0.005)})
    with pytest.raises(AssertionError, match="ours: vectors differ"):
        benchmark._compare("bfloat16", {benchmark.OURS: row(0.02), benchmark.EACH: row(0.005)})


def test_an_answer_that_is_no_number_is_not_equal(benchmark, monkeypatch):
    from http_client import Answer

    def loop(*_, check, most, **__):
        for place in range(most):
            check(place, Answer(200, {}, b'{"data": [{"embedding": [1.0, NaN]}]}'))
        return SimpleNamespace(failures=[], latencies=[0.1] * most)

    monkeypatch.setattr(benchmark, "closed_loop", loop)
    row = benchmark._checked(_Inside("x", "http://x:1"), ["a"], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(AssertionError, match="vectors differ by nan"):
        benchmark._compare("float32", {"x": row})


@pytest.mark.parametrize("is_batched", [False, True], ids=["each", "batched"])
def test_the_rival_gives_each_text_its_own_vector(is_batched):
    import rival_server

    def encode(found):
        return np.array([[len(text), 1.0] for text in found])

    app = rival_server.application(rival_server.batched(encode) if is_batched else encode)
    with TestClient(app) as client:
        found = client.post("/v1/embeddings", json={"input": ["a", "bbb"]}).json()["data"]
        assert [each["embedding"] for each in found] == [[1.0, 1.0], [3.0, 1.0]]
        assert client.post("/v1/embeddings", json={"input": "cc"}).json()["data"][0]["embedding"] == [2.0, 1.0]
        assert client.get("/health").status_code == 200


def test_a_soak_compares_every_answer_and_watches_memory(url):
    import soak

    bodies, truths = soak._requests(folder_of("words"), [f"a diary of {n} lamps" for n in range(30)])
    assert [len(each) for each in truths] == [1] * 9 + [8] + [1] * 9 + [4]
    bodies = [body.replace(b'"model": "model", ', b"") for body in bodies]
    options = SimpleNamespace(minutes=0.01, parts=2, requests=30)
    soaked = soak._soak(_Inside("ours", url), bodies, truths, options)
    assert soaked.failures == []
    assert soaked.answered >= 30
    assert soaked.error <= 1e-5
    assert soaked.memory[-1] == 100.0
    wrong = soak._soak(_Inside("ours", url), bodies, [truths[0], *truths[:-1]], SimpleNamespace(**vars(options)))
    assert "off by" in wrong.failures[0] or "vectors for" in wrong.failures[0]


def test_growth_of_memory_is_between_halves_without_the_start():
    import soak

    assert soak.Soaked(memory=[50.0, 100.0, 100.0, 100.0, 100.0]).growth == 0
    assert soak.Soaked(memory=[50.0, 100.0, 110.0, 120.0, 130.0]).growth == pytest.approx(20.0)


def test_nan_in_base64_is_wrong():
    import soak
    from http_client import Answer

    vector = base64.b64encode(np.array([np.nan], dtype="<f4").tobytes()).decode()
    answer = Answer(200, {}, json.dumps({"data": [{"embedding": vector}]}).encode())
    with pytest.raises(AssertionError, match="request 0: off by nan"):
        soak._checking([np.ones((1, 1), dtype=np.float32)], soak.Soaked())(0, answer)


def test_what_it_cannot_do_is_refused_and_the_page_says_so(url):
    import soak

    bodies, truths = soak._requests(folder_of("words"), ["a diary of lamps"])
    bodies = [body.replace(b'"model": "model", ', b"") for body in bodies]
    options = SimpleNamespace(overload_seconds=0.2, concurrent=2)
    found = soak._overload(_Inside("ours", url), bodies, soak._checking(truths, soak.Soaked()), options)
    assert found.asked == pytest.approx(5 * found.full.rate)
    assert len(found.over.latencies) + len(found.over.refusals) == round(found.asked * 0.2)
    (line,) = [line for line in soak._overload_lines(found, options) if line.startswith("| 5 times")]
    assert f"| {len(found.over.refusals):,} |" in line
