"""Who is next: documents of many requests that wait for one device. No thread and no clock in here.

A document is due after a wait in proportion to its own work: it may wait as long as it and what its request sent before it
take, `PATIENCE` times over. Who is due first is served first. So a short text passes long ones that came a little earlier, a long one
is passed by those only that come before it is due, and of a request with many texts others get in between.
"""

from collections.abc import Hashable, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate, count
from typing import Generic, TypeVar

from modernbert.infer.ticket import BusyError

PATIENCE = 4.0

_PASSED = 32
"""Documents that may turn out too large for what is left of a batch before it goes as it is."""

_DEAD = 4096
"""Withdrawn documents after which they are looked for; before, each is passed over when it comes up."""


class Order:
    """Documents of one request that want one computation."""

    def __init__(self, key: Hashable, lengths: Sequence[int], *, deadline: float, must: bool = False) -> None:
        """Write it down.

        Args:
            key: of the computation; orders with equal ones share batches.
            lengths: tokens of each document.
            deadline: when it is of no use any more.
            must: never refused.
        """
        self.key = key
        self.lengths = lengths
        self.deadline = deadline
        self.must = must
        self.is_over = False
        """Withdrawn, or too late: its documents do not come up any more."""
        self.waiting = dict.fromkeys(range(len(lengths)), 0.0)
        """Documents that were not taken yet, by place, and the seconds each will take."""


Asked = TypeVar("Asked", bound=Order)

_Entry = tuple[float, int, Asked, int]
"""When it is due, a number that tells equals apart, and which document of which order."""


class Queue(Generic[Asked]):
    """Orders that wait. Not for several threads at once."""

    def __init__(self, *, most_tokens: int, most_orders: int) -> None:
        """An empty one; what is beyond these limits is refused."""
        self.most_tokens = most_tokens
        self.most_orders = most_orders
        self.num_tokens = 0
        self.num_orders = 0
        self.seconds = 0.0
        """Work that waits."""
        self._entries: dict[Hashable, list[_Entry[Asked]]] = {}
        self._numbers = count()
        self._num_dead = 0

    def offer(self, order: Asked, *, now: float, rate: float) -> None:
        """Let it wait.

        Args:
            rate: tokens a second that its computation makes.

        Raises:
            BusyError: too much is waiting, or it would come too late.
        """
        seconds = [length / rate for length in order.lengths]
        dues = [now + PATIENCE * work for work in accumulate(seconds)]
        if self.num_orders and not order.must:
            self._refuse(order, now, sum(seconds), last_due=max(dues, default=now))
        for place, (due, work) in enumerate(zip(dues, seconds, strict=True)):
            order.waiting[place] = work
            heappush(self._entries.setdefault(order.key, []), (due, next(self._numbers), order, place))
        if order.waiting:
            self.num_orders += 1
        self.num_tokens += sum(order.lengths)
        self.seconds += sum(seconds)

    def next(self) -> Asked | None:
        """The order whose document is due first."""
        for entries in self._entries.values():
            while entries and not _waits(entries[0]):
                heappop(entries)
        self._entries = {key: entries for key, entries in self._entries.items() if entries}
        return min(self._entries.values(), key=lambda entries: entries[0], default=[(0, 0, None, 0)])[0][2]

    def take(self, key: Hashable, budget: int, *, now: float) -> tuple[list[tuple[Asked, int]], list[Asked]]:
        """A batch of this computation: those due first that fit together, the very first in any case.

        Returns:
            The documents, as order and place; and orders that turned out to be too late, which are dropped.
        """
        entries = self._entries.get(key, [])
        taken: list[tuple[Asked, int]] = []
        passed: list[_Entry[Asked]] = []
        late: list[Asked] = []
        tokens = 0
        while entries and tokens < budget and len(passed) < _PASSED:
            entry = heappop(entries)
            _, _, order, place = entry
            if not _waits(entry):
                continue
            if order.deadline <= now:
                self.withdraw(order)
                late.append(order)
            elif not taken or tokens + order.lengths[place] <= budget:
                tokens += order.lengths[place]
                taken.append((order, place))
                self._leave(order, place)
            else:
                passed.append(entry)
        for entry in passed:
            heappush(entries, entry)
        return taken, late

    def put_back(self, taken: Sequence[tuple[Asked, int]], *, now: float) -> None:
        """They were not run after all, and are next."""
        for order, place in taken:
            if not order.is_over:
                self.num_orders += not order.waiting
                self.num_tokens += order.lengths[place]
                order.waiting[place] = 0.0
                heappush(self._entries.setdefault(order.key, []), (now, next(self._numbers), order, place))

    def withdraw(self, order: Asked) -> None:
        """Nobody wants it any more."""
        self._num_dead += len(order.waiting)
        for place in list(order.waiting):
            self._leave(order, place)
        order.is_over = True
        if self._num_dead > _DEAD:
            self._bury()

    def _leave(self, order: Asked, place: int) -> None:
        self.seconds -= order.waiting.pop(place)
        self.num_tokens -= order.lengths[place]
        self.num_orders -= not order.waiting
        if not self.num_orders:
            self.seconds = 0.0  # without what rounding left

    def _bury(self) -> None:
        for entries in self._entries.values():
            entries[:] = filter(_waits, entries)
            heapify(entries)
        self._num_dead = 0

    def _refuse(self, order: Asked, now: float, seconds: float, *, last_due: float) -> None:
        tokens = sum(order.lengths)
        if self.num_orders >= self.most_orders:
            raise BusyError(f"{self.num_orders:,} requests are waiting, and no more may", self.seconds)
        if self.num_tokens + tokens > self.most_tokens:
            raise BusyError(
                f"{self.num_tokens:,} tokens are waiting, and with these {tokens:,} they would be more than "
                f"{self.most_tokens:,}",
                self.seconds,
            )
        if now + self.seconds + seconds <= order.deadline:
            return
        before = self._seconds_before(last_due)
        if before and now + before + seconds > order.deadline:
            raise BusyError(f"what is waiting takes {before:,.0f} seconds, and this would come too late", before)

    def _seconds_before(self, due: float) -> float:
        return sum(
            entry[2].waiting[entry[3]]
            for entries in self._entries.values()
            for entry in entries
            if entry[0] <= due and _waits(entry)
        )


def _waits(entry: tuple[float, int, Order, int]) -> bool:
    return entry[3] in entry[2].waiting
