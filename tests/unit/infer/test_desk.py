import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.infer.batches import Batches
from modernbert.infer.budget import Search
from modernbert.infer.desk import Desk
from modernbert.infer.engine import Engine, Room, TooLongError
from modernbert.infer.read import Read
from modernbert.infer.ticket import BusyError, GoneError, LateError, Ticket
from support.narrow import Narrow
from support.small import small_model
from support.texts import small_tokenizer
from support.waiting import WAIT, until


class Slow(Narrow):
    """Runs a batch only when it is told to."""

    def __init__(self) -> None:
        super().__init__(10**9)
        self.batches: list[list[list[int]]] = []
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def read(self, packed):
        found = [ids.tolist() for ids in packed.split(packed.ids)]
        self.batches.append(found)
        self.began.release()
        assert self.go.acquire(timeout=WAIT)
        if [13] in found:
            raise RuntimeError("thirteen")
        return found


@pytest.fixture
def desk():
    found = Desk(max_batch_tokens=100)
    yield found
    found.close(WAIT)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as found:
        yield found


def _batches(budget=100) -> Batches:
    return Batches(torch.device("cpu"), Search(budget, budget), budget)


def _ask(desk, batches, read, documents, ticket=None):
    with (ticket or Ticket()).held():
        return desk.results(batches, read, documents)


def test_calls_that_come_while_the_device_is_busy_share_the_next_batch(desk, pool):
    model, batches = Slow(), _batches()
    first = pool.submit(_ask, desk, batches, model.read, [[1, 1]])
    assert model.began.acquire(timeout=WAIT)
    others = [pool.submit(_ask, desk, batches, model.read, [[n], [n, n]]) for n in (2, 3, 4)]
    until(lambda: desk.num_waiting == (3, 9))
    model.go.release(2)
    assert first.result(WAIT) == [[1, 1]]
    assert [other.result(WAIT) for other in others] == [[[n], [n, n]] for n in (2, 3, 4)]
    assert len(model.batches) == 2
    assert sorted(desk.last.lengths) == [1, 1, 1, 2, 2, 2]
    assert sorted(desk.last.owners) == [0, 0, 1, 1, 2, 2]
    assert desk.num_waiting == (0, 0)


def test_calls_that_want_something_else_do_not_share(desk, pool):
    model, batches = Slow(), _batches()
    model.go.release(10)
    reads = [Read(model.read), Read(model.read), lambda packed: model.read(packed)]
    found = [pool.submit(_ask, desk, batches, read, [[n]]) for n, read in enumerate(reads)]
    assert [each.result(WAIT) for each in found] == [[[0]], [[1]], [[2]]]
    assert all([0] not in batch or [2] not in batch for batch in model.batches)


def test_an_error_reaches_who_caused_it_and_nobody_else(desk, pool):
    model, batches = Slow(), _batches()
    first = pool.submit(_ask, desk, batches, model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    bad, good = (pool.submit(_ask, desk, batches, model.read, [[n], [7]]) for n in (13, 14))
    until(lambda: desk.num_waiting[0] == 2)
    model.go.release(10)
    assert first.result(WAIT) == [[1]]
    assert good.result(WAIT) == [[14], [7]]
    with pytest.raises(RuntimeError, match="thirteen"):
        bad.result(WAIT)
    assert _ask(desk, batches, model.read, [[5]]) == [[5]], "and the desk goes on"


def test_who_has_left_is_not_computed(desk, pool):
    model, batches, ticket = Slow(), _batches(), Ticket()
    first = pool.submit(_ask, desk, batches, model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    second = pool.submit(_ask, desk, batches, model.read, [[2]], ticket)
    until(lambda: desk.num_waiting[0] == 1)
    ticket.leave()
    with pytest.raises(GoneError):
        second.result(WAIT)
    assert desk.num_waiting == (0, 0)
    model.go.release(2)
    assert first.result(WAIT) == [[1]]
    assert _ask(desk, batches, model.read, [[3]]) == [[3]]
    assert [[2]] not in model.batches
    with pytest.raises(GoneError):
        _ask(desk, batches, model.read, [[2]], ticket)


def test_who_is_too_late_hears_it_at_once_and_is_not_computed(desk, pool):
    model, batches = Slow(), _batches()
    first = pool.submit(_ask, desk, batches, model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    with pytest.raises(LateError):
        _ask(desk, batches, model.read, [[2]], Ticket(deadline=time.monotonic() + 0.05))
    model.go.release(2)
    assert first.result(WAIT) == [[1]]
    assert [[2]] not in model.batches


def test_running_out_of_memory_cuts_the_batch_and_loses_nothing(pool):
    desk, model = Desk(max_batch_tokens=1000), Narrow(8)
    batches = _batches(1000)
    found = [pool.submit(_ask, desk, batches, model.read, [[n] * 4] * 3) for n in range(5)]
    assert [each.result(WAIT) for each in found] == [[[n] * 4] * 3 for n in range(5)]
    assert max(model.seen) <= 8
    with pytest.raises(UserError, match="text 1 has 9 tokens and does not fit in memory even alone"):
        _ask(desk, batches, model.read, [[1], [1] * 9])
    desk.close(WAIT)


def test_a_full_queue_refuses_and_an_accepted_call_finishes(pool):
    desk, model, batches = Desk(max_batch_tokens=100, most_orders=1), Slow(), _batches()
    first = pool.submit(_ask, desk, batches, model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    second = pool.submit(_ask, desk, batches, model.read, [[2]])
    until(lambda: desk.num_waiting[0] == 1)
    with pytest.raises(BusyError, match="1 requests are waiting, and no more may"):
        _ask(desk, batches, model.read, [[3]])
    accepted = Ticket()
    accepted.is_accepted = True
    third = pool.submit(_ask, desk, batches, model.read, [[4]], accepted)
    model.go.release(10)
    assert [each.result(WAIT) for each in (first, second, third)] == [[[1]], [[2]], [[4]]]
    desk.close(WAIT)


def test_closing_answers_what_was_accepted_and_takes_nothing_new(pool):
    desk, model, batches = Desk(max_batch_tokens=100), Slow(), _batches()
    first = pool.submit(_ask, desk, batches, model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    second = pool.submit(_ask, desk, batches, model.read, [[2]])
    until(lambda: desk.num_waiting[0] == 1)
    closing = pool.submit(desk.close, WAIT)
    until(lambda: desk._is_closing)
    with pytest.raises(BusyError, match="the server is stopping"):
        _ask(desk, batches, model.read, [[3]])
    model.go.release(10)
    closing.result(WAIT)
    assert [first.result(WAIT), second.result(WAIT)] == [[[1]], [[2]]]
    assert desk.busy_for() == float("inf"), "nobody works there any more"


def test_a_batch_that_takes_long_shows(desk, pool):
    model = Slow()
    assert desk.busy_for() == 0
    first = pool.submit(_ask, desk, _batches(), model.read, [[1]])
    assert model.began.acquire(timeout=WAIT)
    until(lambda: desk.busy_for() > 0.01)
    model.go.release()
    first.result(WAIT)


def test_who_looks_on_cannot_stop_the_work(capsys):
    desk = Desk(max_batch_tokens=100, watch=lambda ran: 1 / 0)
    assert _ask(desk, _batches(), Narrow(100).read, [[1]]) == [[1]]
    assert _ask(desk, _batches(), Narrow(100).read, [[2]]) == [[2]]
    desk.close(WAIT)
    assert "watching a batch failed: division by zero" in capsys.readouterr().err


def test_no_document_gives_no_result(desk):
    assert _ask(desk, _batches(), Narrow(9).read, []) == []


def test_an_engine_at_a_desk_gives_what_it_gives_alone(desk, pool):
    model, tokenizer = small_model()
    read = Read(_means, (model,))
    texts = [f"{'word ' * (n % 40)}{n}" for n in range(90)]
    alone = list(Engine(model, tokenizer, Room(longest=64)).run(texts, read))
    shared = Engine(model, tokenizer, Room(longest=64))
    shared.share(desk)
    parts = [texts[start : start + 9] for start in range(0, 90, 9)]
    found = [pool.submit(lambda part: list(shared.run(part, read)), part) for part in parts]
    together = [row for each in found for row in each.result(WAIT)]
    torch.testing.assert_close(torch.stack(together), torch.stack(alone), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.stack(list(shared.run(iter(texts), read, show_progress=True))), torch.stack(alone))


def _means(packed, model):
    return [states.mean(0) for states in model.model(packed).split(list(packed.lengths))]


def test_a_ticket_says_what_becomes_of_long_texts_and_counts_tokens(desk, capsys):
    model = Narrow(10**9)
    engine = Engine(model, small_tokenizer(), Room(longest=8))
    engine.share(desk)
    texts = ["a few words that are too many", "b"]
    refusing, cutting = Ticket(too_long="refuse"), Ticket(too_long="truncate")
    with refusing.held(), pytest.raises(TooLongError, match=r"text 0 has .* tokens, expected 8 or fewer"):
        list(engine.run(texts, model.read))
    with cutting.held():
        found = list(engine.run(texts, model.read))
    assert [len(ids) for ids in found] == [8, 3]
    assert cutting.num_tokens == 11
    assert "were not read" not in capsys.readouterr().err, "a client cannot read a server's stderr"
