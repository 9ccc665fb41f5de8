import asyncio
import shutil
import threading
import time

import pytest
from starlette.requests import Request

from modernbert.core.errors import UserError
from modernbert.infer.ticket import BusyError, current
from modernbert.retrieval.embedder import Embedder
from modernbert.serve.config import Settings
from modernbert.serve.errors import ApiError
from modernbert.serve.models import Models
from modernbert.tasks.tag import Tagger
from support.served import folder_of


def _models(*kinds, **settings):
    return Models.open([f"{kind}={folder_of(kind)}" for kind in kinds], Settings(dtype="float32", **settings))


@pytest.fixture(scope="module")
def models():
    return _models("words", "entities", "late")


def _request(*, leaves_after=1e9) -> Request:
    async def receive():
        await asyncio.sleep(leaves_after)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}, receive)


def test_models_are_found_by_name_and_ability(models):
    assert isinstance(models.find("words", "embed"), Embedder)
    assert isinstance(models.find(None, "tag"), Tagger)
    assert models.find(None, "embed") is models.find("words", "embed")
    assert models.names() == ["words", "entities", "late"]
    assert models.can("tag") == ["entities"]


@pytest.mark.parametrize(
    ("name", "ability", "said"),
    [
        ("nobody", "embed", "model: found 'nobody' for embed, expected one of words"),
        ("words", "tag", "model: found 'words' for tag, expected one of entities"),
        (None, "rerank", "no model here can rerank: start the server with one that can; it has words, entities, late"),
    ],
)
def test_a_model_that_cannot_is_404_and_the_sentence_says_which_can(models, name, ability, said):
    with pytest.raises(ApiError) as found:
        models.find(name, ability)
    assert (found.value.status, found.value.message) == (404, said)


def test_a_model_is_described(models):
    about = models.about("words")
    assert (about.longest, about.width, about.dtype) == (1024, 128, "float32")
    assert about.num_parameters == sum(each.numel() for each in models.find("words", "fill-mask").model.parameters())
    with pytest.raises(ApiError, match="model: found 'x', expected one of words, entities, late"):
        models.about("x")


def test_a_folder_goes_by_its_last_word():
    models = Models.open([f"{folder_of('words')}/"], Settings(dtype="float32"))
    assert models.names() == ["words"]


def test_what_a_run_has_trained_goes_by_the_name_of_the_run(tmp_path, monkeypatch):
    for run in ("reviews", "topics"):
        shutil.copytree(folder_of("words"), tmp_path / run / "model")
    (tmp_path / "live").symlink_to(tmp_path / "topics" / "model")
    monkeypatch.chdir(tmp_path / "reviews" / "model")
    models = Models.open([".", "../../topics/model", "../../live"], Settings(dtype="float32"))
    assert models.names() == ["reviews", "topics", "live"]


def test_two_models_of_one_name_are_refused():
    folder = folder_of("words")
    with pytest.raises(UserError, match="'a' names two models: give one of them another name"):
        Models.open([f"a={folder}", f"a={folder}"], Settings(dtype="float32"))


def test_a_default_prompt_that_no_embedder_has_is_refused_at_the_start():
    with pytest.raises(UserError, match="prompt_name: found 'search', expected one of query, document"):
        _models("words", default_prompt_name="search")


def test_work_is_done_in_a_thread_that_holds_the_requests_ticket(models):
    request = _request()
    here = threading.get_ident()
    ticket, thread = asyncio.run(models.call(request, lambda: (current(), threading.get_ident())))
    assert thread != here
    assert request.state.ticket is ticket
    assert ticket.too_long == "refuse"
    assert ticket.deadline - time.monotonic() < 60
    assert asyncio.run(models.call(_request(), lambda: current().too_long, too_long="truncate")) == "truncate"
    assert asyncio.run(_models("words", auto_truncate=True).call(_request(), lambda: current().too_long)) == "truncate"


def _status(models, request, work):
    with pytest.raises(ApiError) as found:
        asyncio.run(models.call(request, work))
    return found.value.status, found.value.message, found.value.retry_after


def test_a_queue_that_is_full_is_429_with_the_seconds_to_wait(models):
    def work():
        raise BusyError("3 requests are waiting, and no more may", 2.3)

    assert _status(models, _request(), work) == (429, "3 requests are waiting, and no more may: try again later", 3)


def test_a_request_that_takes_too_long_is_504_and_its_thread_hears_of_it():
    models, left = _models("words", timeout=0.05), threading.Event()

    def work():
        ticket = current()
        while not ticket.is_gone:
            time.sleep(0.005)
        left.set()

    status, message, _ = _status(models, _request(), work)
    assert (status, message) == (504, "not answered within 0.05 seconds: send less at a time, or try again later")
    assert left.wait(60)


def test_a_client_that_leaves_takes_its_work_along(models):
    left = threading.Event()

    def work():
        ticket = current()
        while not ticket.is_gone:
            time.sleep(0.005)
        left.set()

    assert _status(models, _request(leaves_after=0.05), work)[0] == 499
    assert left.wait(60)


def test_more_requests_than_may_run_are_refused():
    models, go = _models("words", max_concurrent_requests=1), threading.Event()

    async def two():
        first = asyncio.create_task(models.call(_request(), lambda: go.wait(60)))
        await asyncio.sleep(0)
        with pytest.raises(ApiError, match="1 requests are worked on, and no more may wait") as found:
            await models.call(_request(), lambda: None)
        go.set()
        return found.value.status, await first, await models.call(_request(), lambda: "again")

    assert asyncio.run(two()) == (429, True, "again")


def test_warming_up_runs_every_predictor_and_then_it_is_ready():
    models = _models("words", "sentiment", "entities", "answers", "choices", "reranker", "late", "sparse", "inference")
    assert not models.is_ready
    seen = []
    models.desk.watch = seen.append
    models.warm_up()
    assert models.is_ready
    assert len(seen) >= 12
    models.close()
    assert not models.is_ready


def test_closing_lets_a_request_finish():
    models, begun = _models("words"), threading.Event()

    def work():
        begun.set()
        time.sleep(0.05)
        return models.find(None, "embed").encode(["a"]).shape

    async def both():
        call = asyncio.create_task(models.call(_request(), work))
        await asyncio.to_thread(begun.wait, 60)
        models.is_ready = False
        found = await call
        await asyncio.to_thread(models.close)
        return found

    assert asyncio.run(both()) == (1, 128)
