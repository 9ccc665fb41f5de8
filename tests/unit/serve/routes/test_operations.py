import importlib
import pkgutil
import threading

import pytest
from fastapi.testclient import TestClient

from modernbert.serve import routes
from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from support.served import client, folder_of
from support.waiting import until

OPEN = {path for each in pkgutil.iter_modules(routes.__path__)
        for path in getattr(importlib.import_module(f"{routes.__name__}.{each.name}"), "OPEN", ())}  # fmt: skip


def _fresh(**settings):
    chosen = Settings(dtype="float32", **settings)
    models = Models.open([f"words={folder_of('words')}"], chosen)
    return models, TestClient(application(chosen, models))


def test_it_is_ready_from_warm_up_to_the_end_and_alive_all_the_time():
    models, served = _fresh()
    assert served.get("/health").status_code == 200
    cold = served.get("/ready")
    assert (cold.status_code, cold.json()["error_type"], cold.headers["retry-after"]) == (503, "Unhealthy", "1")
    models.warm_up()
    assert served.get("/ready").status_code == 200
    models.is_ready = False
    assert served.get("/ready").status_code == 503
    assert served.get("/health").status_code == 200


def test_it_warms_up_by_itself_and_closes_behind():
    models, served = _fresh()
    with served:
        until(lambda: served.get("/ready").status_code == 200)
        assert models.is_ready
    assert models.desk.busy_for() == float("inf")


def test_a_model_that_cannot_run_is_told_and_never_ready(capsys):
    models, served = _fresh()
    embedder = models.find("words", "embed")
    embedder.encode = lambda texts: 1 / 0  # a folder that opens and does not compute
    with served:
        until(lambda: "will not be ready: ZeroDivisionError: division by zero" in capsys.readouterr().err)
        assert served.get("/ready").status_code == 503
        assert served.get("/health").status_code == 200


def test_a_device_that_does_not_answer_is_not_healthy():
    models, served = _fresh()
    models.desk.close(60)
    answer = served.get("/health")
    assert answer.status_code == 503
    assert "the device has not answered for 60 seconds: restart the server" in answer.json()["error"]


def test_info_speaks_teis_words():
    info = client("words", "entities").get("/info").json()
    assert (info["model_id"], info["model_dtype"], info["model_type"]) == ("words", "float32", {"embedding": {}})
    assert (info["max_input_length"], info["max_client_batch_size"], info["max_batch_tokens"]) == (1024, 32, 16_384)
    assert [(each["name"], each["abilities"]) for each in info["models"]] == [
        ("words", ["fill-mask", "embed", "zero-shot"]), ("entities", ["tag"]),
    ]  # fmt: skip
    assert client("entities").get("/info").json()["model_type"] == {"tag": {}}


def test_the_last_batch_is_shown():
    _, served = _fresh()
    assert served.get("/inside/batch").json() == {"batch": None, "waiting": {"requests": 0, "tokens": 0}}
    served.post("/embed", json={"inputs": ["a", "two words"]})
    found = served.get("/inside/batch").json()["batch"]
    assert found["num_tokens"] == sum(found["lengths"])
    assert found["owners"] == [0, 0]
    assert found["budget"] >= found["num_tokens"]
    assert found["seconds"] > 0


def test_nothing_but_health_and_the_pages_files_opens_without_a_key():
    served = client("words", api_key=("k",))
    paths = {(method.upper(), path) for path, each in served.app.openapi()["paths"].items() for method in each}
    assert len(paths) > 15
    for method, path in paths | {("GET", "/nothing"), ("POST", "/")}:
        is_open = method == "GET" and path in OPEN
        assert (served.request(method, path).status_code == 401) != is_open, path
    assert served.get("/info", headers={"authorization": "Bearer k"}).status_code == 200
    assert "/health" in OPEN
    assert not OPEN & {"/info", "/metrics", "/ready", "/openapi.json"}


@pytest.mark.parametrize("text", ["\u0000", "𝔣𝔬𝔤 🌫️", "\U0010ffff\ufffe", "א\u0301" * 50])
def test_unicode_of_every_plane_goes_through(text):
    assert client("words").post("/embed", json={"inputs": text}).status_code == 200


def test_overload_is_refused_with_the_time_to_wait_and_what_was_accepted_is_answered():
    models, served = _fresh(max_concurrent_requests=2)
    statuses, barrier = [], threading.Barrier(12)

    def one():
        barrier.wait(60)
        answer = served.post("/embed", json={"inputs": "word " * 1000, "truncate": True})
        statuses.append(answer.status_code)
        assert answer.status_code == 200 or int(answer.headers["retry-after"]) >= 1

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 429}
    assert 200 in statuses
    assert models._num_running == 0
    assert models.desk.num_waiting == (0, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/embed", {"inputs": "a"}), ("/tokenize", {"inputs": "a"}), ("/v1/embeddings", {"input": "a"}),
     ("/classify", {"inputs": "a"}), ("/late/embed", {"inputs": "a"})],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_folder_of_this_machine_that_a_request_names_is_not_read(path, body):
    folder = str(folder_of("sentiment"))
    for name in (folder, f"x={folder}", f"file://{folder}"):
        answer = client("words").post(path, json={**body, "model": name})
        assert answer.status_code == 404, answer.text
    answer = client("words").post("/search", json={"query": "a", "index": folder})
    assert answer.status_code == 404


def test_the_description_says_what_kind_of_answer_has_no_json():
    described = client("words").app.openapi()["paths"]
    assert "content" not in described["/health"]["get"]["responses"]["200"]
    assert "content" not in described["/ready"]["get"]["responses"]["200"]
    assert list(described["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
