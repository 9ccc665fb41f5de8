"""Whatever comes, leaves and runs, in any order: who was accepted is answered once, nobody starves, no budget is broken."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modernbert.infer.queue import PATIENCE, Order, Queue
from modernbert.infer.ticket import BusyError

RATE = 50.0
keys = st.sampled_from(["embed", "tag", "rank"])
lengths = st.lists(st.integers(0, 60), min_size=1, max_size=6)


class Life(RuleBasedStateMachine):
    """A queue, and a list that says what should be in it."""

    def __init__(self):
        super().__init__()
        self.queue = Queue(most_tokens=400, most_orders=8)
        self.now = 0.0
        self.accepted: dict[Order, float] = {}
        """And when each came."""
        self.over: set[Order] = set()
        self.taken: dict[Order, list[int]] = {}

    @rule(key=keys, lengths=lengths, patience=st.sampled_from([1.0, 20.0, math.inf]), must=st.booleans())
    def somebody_comes(self, key, lengths, patience, must):
        order = Order(key, lengths, deadline=self.now + patience, must=must)
        try:
            self.queue.offer(order, now=self.now, rate=RATE)
        except BusyError:
            assert self.queue.num_orders
            assert not must
            return
        self.accepted[order], self.taken[order] = self.now, []

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def somebody_leaves(self, data):
        order = data.draw(st.sampled_from(list(self.accepted)))
        self.queue.withdraw(order)
        self.over.add(order)

    @rule(budget=st.integers(1, 100), is_lost=st.booleans())
    def a_batch_runs(self, budget, is_lost):
        head = self.queue.next()
        waiting = [order for order in self.accepted if order.waiting]
        assert (head is None) == (not waiting), "while somebody waits, somebody is next"
        if head is None:
            return
        first_due = min(self._due(order, place) for order in waiting for place in order.waiting)
        taken, late = self.queue.take(head.key, budget, now=self.now)
        assert all(order.deadline <= self.now for order in late)
        self.over.update(late)
        sizes = [order.lengths[place] for order, place in taken]
        assert sum(sizes) <= budget or len(taken) == 1
        assert {order.key for order, _ in taken} <= {head.key}
        assert not self.over & {order for order, _ in taken}, "the departed cost nothing"
        if taken and not late and not is_lost:
            order, place = taken[0]
            assert self._due(order, place) <= first_due + 1e-9, "who is due first is served first"
        if is_lost:
            self.queue.put_back(taken, now=-math.inf)
            for order, place in taken:
                order.lost = getattr(order, "lost", set()) | {place}
            return
        for order, place in taken:
            self.taken[order].append(place)

    @invariant()
    def everybody_is_answered_once_at_most_and_nobody_is_forgotten(self):
        for order, places in self.taken.items():
            assert len(places) == len(set(places))
            if order not in self.over:
                assert sorted([*places, *order.waiting]) == list(range(len(order.lengths)))

    @invariant()
    def the_counts_are_right(self):
        waiting = [order for order in self.accepted if order.waiting]
        assert self.queue.num_orders == len(waiting)
        assert self.queue.num_tokens == sum(order.lengths[place] for order in waiting for place in order.waiting)
        assert self.queue.seconds >= -1e-6

    def _due(self, order, place):
        if place in getattr(order, "lost", ()):
            return -math.inf
        return self.accepted[order] + PATIENCE * sum(order.lengths[: place + 1]) / RATE

    def teardown(self):
        while head := self.queue.next():
            taken, late = self.queue.take(head.key, 50, now=self.now)
            self.over.update(late)
            for order, place in taken:
                self.taken[order].append(place)
        for order, places in self.taken.items():
            assert order in self.over or sorted(places) == list(range(len(order.lengths)))


TestLife = Life.TestCase
TestLife.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
