"""One device and its owner: a thread that packs documents of everybody's calls into batches and runs them.

Each call hands its documents over and waits; texts are cut in a few threads, which all share. Nothing is waited for when the device is free: a batch
is what is there. Who is next, `queue.py` says.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from modernbert.core.cores import cores
from modernbert.core.log import say
from modernbert.infer.batches import Batches
from modernbert.infer.light import Rectangles
from modernbert.infer.queue import Order, Queue
from modernbert.infer.ticket import BusyError, GoneError, LateError, Ticket, current
from modernbert.ops.packed import Packed

Result = TypeVar("Result")

_LONGEST_WAIT = threading.TIMEOUT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One batch, afterwards."""

    lengths: tuple[int, ...]
    """Tokens of each document, in the stream's order."""
    owners: tuple[int, ...]
    """Whose each was: calls counted from 0."""
    budget: int
    """Tokens that had room."""
    seconds: float

    @property
    def num_tokens(self) -> int:
        """Of all documents."""
        return sum(self.lengths)


class _Asked(Order):
    """An order, what it wants, and the place where its results gather."""

    def __init__(
        self,
        batches: Batches | Rectangles,
        read: Callable[[Packed], Sequence[Any]],
        documents: Sequence[list[int]],
        ticket: Ticket,
        first: int,
    ) -> None:
        super().__init__(read, [len(ids) for ids in documents], deadline=ticket.deadline, must=ticket.is_accepted)
        self.batches = batches
        self.read = read
        self.documents = documents
        self.first = first
        self.results: dict[int, Any] = {}
        self.failure: BaseException | None = None
        self.done = threading.Event()

    def give(self, place: int, result: object) -> None:
        self.results[place] = result
        if len(self.results) == len(self.documents):
            self.done.set()

    def fail(self, failure: BaseException) -> None:
        self.failure = failure
        self.done.set()


class Desk:
    """Takes documents and gives results. Any number of threads may ask; one thread runs."""

    def __init__(
        self,
        *,
        max_batch_tokens: int,
        most_tokens: int = 2**20,
        most_orders: int = 2**16,
        watch: Callable[[Ran], None] | None = None,
    ) -> None:
        """Start the thread.

        Args:
            max_batch_tokens: of a batch; a single document may be longer.
            most_tokens: that may wait.
            most_orders: calls that may wait.
            watch: told of every batch.
        """
        self.max_batch_tokens = max_batch_tokens
        self.last: Ran | None = None
        """The batch that ran last."""
        self._queue: Queue[_Asked] = Queue(most_tokens=most_tokens, most_orders=most_orders)
        self._changed = threading.Condition()
        self._is_closing = False
        self.watch = watch
        """Told of every batch, in the owner's thread."""
        self.tokenizing = ThreadPoolExecutor(len(cores()), thread_name_prefix="desk-tokenize")
        """Where texts are cut."""
        self._began: float | None = None
        self._owner = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._owner.start()

    @property
    def num_waiting(self) -> tuple[int, int]:
        """Calls and tokens."""
        with self._changed:
            return self._queue.num_orders, self._queue.num_tokens

    def busy_for(self) -> float:
        """Seconds that the batch under way has taken so far; infinite when the owner is dead."""
        began = self._began
        if not self._owner.is_alive():
            return float("inf")
        return 0.0 if began is None else time.monotonic() - began

    def results(
        self,
        batches: Batches | Rectangles,
        read: Callable[[Packed], Sequence[Result]],
        documents: Sequence[list[int]],
        *,
        first: int = 0,
    ) -> list[Result]:
        """One result a document, in order, waited for. The ticket that this thread holds is heeded.

        Args:
            read: calls whose `read` are equal share batches.
            first: number of the first document, to name it by.

        Raises:
            BusyError: too much is waiting, or the desk is closing.
            LateError: the ticket's deadline has passed.
            GoneError: its request has left.
        """
        ticket = current() or Ticket()
        if not documents:
            return []
        if ticket.is_gone:
            raise GoneError
        asked = _Asked(batches, read, documents, ticket, first)
        with self._changed:
            if self._is_closing and not ticket.is_accepted:
                raise BusyError("the server is stopping", 1.0)
            self._queue.offer(asked, now=time.monotonic(), rate=batches.rate)
            ticket.is_accepted = True
            self._changed.notify()
        with ticket.waking(asked.done):
            asked.done.wait(min(max(0.0, ticket.deadline - time.monotonic()), _LONGEST_WAIT))
        if asked.failure is not None:
            raise asked.failure
        if len(asked.results) == len(documents):
            ticket.num_tokens += sum(asked.lengths)
            return [asked.results[place] for place in range(len(documents))]
        with self._changed:
            self._queue.withdraw(asked)
        raise GoneError if ticket.is_gone else LateError

    def close(self, patience: float = 0.0) -> None:
        """Take no new request; answer those accepted for so many seconds, then give up."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._owner.join(patience)

    def _serve(self) -> None:
        while True:
            with self._changed:
                while (head := self._queue.next()) is None:
                    if self._is_closing:
                        return
                    self._changed.wait()
                budget = max(1, min(head.batches.budget, self.max_batch_tokens))
                taken, late = self._queue.take(head.key, budget, now=time.monotonic())
            for asked in late:
                asked.fail(LateError())
            if taken:
                self._began = time.monotonic()
                self._run(taken, budget)
                self._began = None
            del head, taken, late  # nothing is kept of a request while nobody asks

    def _run(self, taken: list[tuple[_Asked, int]], budget: int) -> None:
        head, place = taken[0]
        start = time.perf_counter()
        try:
            found = head.batches.run(
                head.read,
                [asked.documents[place] for asked, place in taken],
                budget=budget,
                number=head.first + place,
            )
        except Exception as failure:  # noqa: BLE001 (whatever it is, its own request hears of it, and no other)
            self._part(taken, budget, failure)
            return
        if found is None:
            with self._changed:
                self._queue.put_back(taken, now=time.monotonic())
            return
        self._note(taken, budget, time.perf_counter() - start)
        for (asked, place), result in zip(taken, found, strict=True):
            asked.give(place, result)

    def _part(self, taken: list[tuple[_Asked, int]], budget: int, failure: Exception) -> None:
        """Run each request's documents again without the others': an error belongs to who caused it."""
        groups: dict[_Asked, list[tuple[_Asked, int]]] = {}
        for asked, place in taken:
            groups.setdefault(asked, []).append((asked, place))
        if len(groups) > 1:
            for own in groups.values():
                self._run(own, budget)
            return
        asked, _ = taken[0]
        with self._changed:
            self._queue.withdraw(asked)
        asked.fail(failure)

    def _note(self, taken: list[tuple[_Asked, int]], budget: int, seconds: float) -> None:
        numbers: dict[_Asked, int] = {}
        owners = tuple(numbers.setdefault(asked, len(numbers)) for asked, _ in taken)
        lengths = tuple(asked.lengths[place] for asked, place in taken)
        self.last = Ran(lengths=lengths, owners=owners, budget=budget, seconds=seconds)
        if self.watch is not None:
            try:
                self.watch(self.last)
            except Exception as failure:  # noqa: BLE001 (who only looks on must not stop the work)
                say(f"watching a batch failed: {failure}")
