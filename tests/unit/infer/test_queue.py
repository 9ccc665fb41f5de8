import math

import pytest

from modernbert.infer import queue as queue_file
from modernbert.infer.queue import PATIENCE, Order, Queue
from modernbert.infer.ticket import BusyError

RATE = 100.0
"""Tokens a second."""


def _queue(**limits) -> Queue[Order]:
    return Queue(**{"most_tokens": 10_000, "most_orders": 100} | limits)


def _offer(queue, *lengths, key="embed", now=0.0, deadline=math.inf, must=False) -> Order:
    order = Order(key, lengths, deadline=deadline, must=must)
    queue.offer(order, now=now, rate=RATE)
    return order


def _take(queue, budget, now=0.0):
    head = queue.next()
    return queue.take(head.key, budget, now=now)[0] if head else []


def test_a_batch_holds_documents_of_several_orders_up_to_its_budget():
    queue = _queue()
    one, two, three = _offer(queue, 4, 4), _offer(queue, 4), _offer(queue, 4)
    assert sorted(place for _, place in _take(queue, 12)) == [0, 0, 0], "the second document of an order is due later"
    assert _take(queue, 12) == [(one, 1)]
    assert (queue.num_tokens, queue.num_orders, queue.seconds) == (0, 0, 0.0)
    assert [each.waiting for each in (one, two, three)] == [{}, {}, {}]


def test_computations_are_not_mixed():
    queue = _queue()
    embed, tag = _offer(queue, 5, key="embed"), _offer(queue, 5, key="tag")
    assert _take(queue, 100) == [(embed, 0)]
    assert _take(queue, 100) == [(tag, 0)]


def test_a_document_larger_than_the_budget_goes_alone():
    queue = _queue()
    large, small = _offer(queue, 500), _offer(queue, 5, now=50.0)
    assert _take(queue, 100) == [(large, 0)]
    assert _take(queue, 100) == [(small, 0)]


def test_a_short_document_passes_a_long_one_that_came_just_before():
    queue = _queue()
    long, short = _offer(queue, 800), _offer(queue, 10, now=1.0)
    assert _take(queue, 100) == [(short, 0)]
    assert _take(queue, 100) == [(long, 0)]


def test_a_long_document_is_passed_only_by_what_comes_before_it_is_due():
    queue = _queue()
    long = _offer(queue, 800)
    due = PATIENCE * 800 / RATE
    before, behind = _offer(queue, 10, now=due - 1), _offer(queue, 10, now=due + 1)
    assert [_take(queue, 10) for _ in range(3)] == [[(before, 0)], [(long, 0)], [(behind, 0)]]


def test_others_get_in_between_the_texts_of_a_large_order():
    queue = _queue()
    large = _offer(queue, *[100] * 10)
    assert _take(queue, 100) == [(large, 0)]
    small = _offer(queue, 10, now=1.0)
    assert _take(queue, 100, now=1.0) == [(small, 0)]
    assert _take(queue, 100, now=1.0) == [(large, 1)]


def test_what_does_not_fit_is_passed_over_once_and_is_first_in_the_next_batch():
    queue = _queue()
    first, large, small = _offer(queue, 60), _offer(queue, 70), _offer(queue, 30, now=1.0)
    assert _take(queue, 100) == [(small, 0), (first, 0)]
    assert _take(queue, 100) == [(large, 0)]


def test_who_leaves_costs_nothing():
    queue = _queue()
    gone, stays = _offer(queue, 50, 50), _offer(queue, 50, now=1.0)
    queue.withdraw(gone)
    assert (queue.num_tokens, queue.num_orders) == (50, 1)
    assert _take(queue, 100) == [(stays, 0)]
    assert queue.next() is None


def test_those_who_left_are_forgotten_even_behind_somebody_who_waits(monkeypatch):
    monkeypatch.setattr(queue_file, "_DEAD", 10)
    queue = _queue()
    stays = _offer(queue, 1)
    for _ in range(100):
        queue.withdraw(_offer(queue, 50))
    assert sum(map(len, queue._entries.values())) < 20
    assert _take(queue, 100) == [(stays, 0)]


def test_an_order_past_its_deadline_is_dropped_before_it_is_run():
    queue = _queue()
    late, fine = _offer(queue, 10, 10, deadline=5.0), _offer(queue, 10, now=1.0)
    assert queue.take("embed", 100, now=6.0) == ([(fine, 0)], [late])
    assert late.is_over
    assert queue.num_orders == 0


def test_documents_that_were_not_run_after_all_are_next():
    queue = _queue()
    order = _offer(queue, 10, 10)
    taken = _take(queue, 100)
    queue.put_back(taken, now=0.0)
    assert (queue.num_tokens, queue.num_orders) == (20, 1)
    assert sorted(place for _, place in _take(queue, 100)) == [0, 1]
    queue.put_back(taken, now=0.0)
    queue.withdraw(order)
    queue.put_back(taken, now=0.0)
    assert queue.next() is None, "nobody wants them"


def test_too_many_orders_are_refused():
    queue = _queue(most_orders=2)
    _offer(queue, 100), _offer(queue, 100)
    with pytest.raises(BusyError, match="2 requests are waiting, and no more may") as refused:
        _offer(queue, 1)
    assert refused.value.retry_after == pytest.approx(200 / RATE)
    assert queue.num_orders == 2


def test_too_many_tokens_are_refused_but_never_the_only_order():
    queue = _queue(most_tokens=100)
    first = _offer(queue, 500)
    with pytest.raises(BusyError, match="500 tokens are waiting, and with these 10 they would be more than 100"):
        _offer(queue, 10)
    assert _take(queue, 100) == [(first, 0)]


def test_what_would_come_too_late_is_refused_at_once():
    queue = _queue()
    _offer(queue, *[100] * 20)
    with pytest.raises(BusyError, match="what is waiting takes 9 seconds, and this would come too late"):
        _offer(queue, 900, deadline=10.0)
    assert _offer(queue, 10, deadline=10.0).waiting, "a short one comes before most of them"


def test_a_part_of_what_was_accepted_is_never_refused():
    queue = _queue(most_orders=1, most_tokens=10)
    _offer(queue, 10)
    assert _offer(queue, 10, must=True).waiting
