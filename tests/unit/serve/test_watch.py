import asyncio
import json
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modernbert.infer.desk import Desk
from modernbert.serve.metrics import Metrics
from modernbert.serve.watch import Watch
from support.served import client


def _lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_a_request_is_a_line_of_json_without_texts_keys_and_queries(capsys):
    served = client("words", api_key=("s3cret",))
    headers = {"authorization": "Bearer s3cret"}
    served.post("/embed?q=mine", json={"inputs": "the diary"}, headers=headers)
    served.post("/embed", json={"inputs": "the diary"}, headers={"authorization": "Bearer wr0ng"})
    served.get("/my/secret/path", headers=headers)
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(each["method"], each["route"], each["status"]) for each in lines] == [
        ("POST", "/embed", 200), ("POST", "none", 401), ("GET", "none", 404),
    ]  # fmt: skip
    assert lines[0]["tokens"] > 2
    assert all(each["seconds"] >= 0 and each["client"] and each["time"].endswith("Z") for each in lines)
    assert not any(word in text for word in ("diary", "s3cret", "wr0ng", "mine", "my/secret"))


def test_latencies_are_counted_by_route(capsys):
    served = client("words", max_client_batch_size=3)
    served.post("/embed", json={"inputs": ["a", "b", "c"]})
    served.post("/embed", json={"inputs": ["a"] * 4})
    families = text_string_to_metric_families(served.get("/metrics").text)
    found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["modernbert_requests_total", "/embed", "200"] == 1
    assert found["modernbert_requests_total", "/embed", "413"] == 1
    assert found["modernbert_request_seconds_count", "/embed"] == 2
    assert found["modernbert_requests_running",] == 1, "this very request"


def _scope():
    return {"type": "http", "method": "GET", "path": "/", "headers": [(b"traceparent", b"x")], "client": ("::1", 1)}


def test_a_client_that_does_not_take_its_answer_is_let_go(capsys):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never(*_):
        await asyncio.Future()

    desk = Desk(max_batch_tokens=1)
    asyncio.run(Watch(app, Metrics(desk), seconds=0.01)(_scope(), never, never))
    desk.close()
    assert [each["status"] for each in _lines(capsys)] == [499]


@pytest.mark.parametrize("bug", [RuntimeError("bug"), TimeoutError("bug")], ids=repr)
@pytest.mark.parametrize(
    ("begun", "status"), [(None, 500), (200, 200)], ids=["before its answer", "in the midst of it"]
)
def test_a_bug_of_ours_is_counted_as_the_client_saw_it(begun, status, bug, capsys):
    async def app(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": begun, "headers": []})
        raise bug

    async def send(message): ...

    desk = Desk(max_batch_tokens=1)
    metrics = Metrics(desk)
    with pytest.raises(type(bug), match="bug"):
        asyncio.run(Watch(app, metrics, seconds=60)(_scope(), send, send))
    desk.close()
    assert [each["status"] for each in _lines(capsys)] == [status]
    assert f'modernbert_requests_total{{route="none",status="{status}"}} 1.0' in metrics.text().decode()


def test_a_request_is_a_span_where_opentelemetry_is_installed(monkeypatch, capsys):
    trace = pytest.importorskip("opentelemetry.trace")
    ended = []

    class Span(trace.NonRecordingSpan):
        def __init__(self):
            super().__init__(trace.INVALID_SPAN_CONTEXT)
            self.attributes, self.name = {}, ""

        def set_attributes(self, attributes):
            self.attributes.update(attributes)

        def update_name(self, name):
            self.name = name

    class Tracer(trace.NoOpTracer):
        @contextmanager
        def start_as_current_span(self, name, **_):
            span = Span()
            yield span
            ended.append(span)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(message): ...

    monkeypatch.setattr(trace, "get_tracer", lambda name: Tracer())
    desk = Desk(max_batch_tokens=1)
    asyncio.run(Watch(app, Metrics(desk), seconds=60)(_scope(), send, send))
    desk.close()
    (span,) = ended
    assert span.name == "GET none"
    assert span.attributes == {"http.method": "GET", "http.route": "none", "http.status": 204}
