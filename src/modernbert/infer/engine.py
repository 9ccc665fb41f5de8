"""The one loop under embedding, filling masks, classifying: texts in, one result a text out, in the caller's order.

Texts are read in windows and tokenised ahead (`ahead.py`), sorted by length inside a window, and packed to a budget of
tokens (`budget.py`) that memory has room for (`memory.py`), so that no batch is padded and none outgrows memory.

Shapes:  T tokens   D width
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from modernbert.core.errors import UserError
from modernbert.core.log import progress, say
from modernbert.infer.ahead import Text, Tokenized, read_window, readable, size_of, windows
from modernbert.infer.budget import Search, fill, search_for
from modernbert.infer.light import Light, Rectangles
from modernbert.infer.ticket import current
from modernbert.model.config import ModelConfig
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # a light model runs where torch is not installed
    from torch import nn

    from modernbert.infer.batches import Batches
    from modernbert.infer.desk import Desk

Result = TypeVar("Result")

Reading = Callable[[Any], Sequence[Result]]
"""From a batch, which is `Packed`, or lists of ids where the model is a light one, to one result a document."""

TooLong = Literal["truncate", "refuse"]


class TooLongError(UserError):
    """A text has more tokens than the model takes, and is not to be cut."""


SMALLEST_ON_CPU = 512
"""Tokens of the first batches, from where larger ones are tried."""

SMALLEST = 4096
"""The same on any other device, where fewer cost nearly as much."""

FEW = 2048
"""Characters, and tokens, of a call that is run at once: no window, no thread, no measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much text goes through at once."""

    longest: int
    """Tokens a text may have, [CLS] and [SEP] included."""
    too_long: TooLong = "truncate"
    """What happens to a longer one: its end is cut off and the count is said, or it is refused."""
    budget: int | None = None
    """Tokens of a batch; a single text may be longer. Absent: measured while working, and no more than memory holds."""
    window: int = 16_384
    """Most texts that are sorted by length together; two such windows are in memory."""

    def __post_init__(self) -> None:
        for name, found in (("budget", self.budget), ("window", self.window)):
            if found is not None and found < 1:
                raise UserError(f"{name}: found {found}, expected 1 or more")


def longest_text(config: ModelConfig, tokenizer: Tokenizer) -> int:
    """Tokens that the model was trained for and the tokenizer's files allow."""
    return min(config.max_position_embeddings, tokenizer.longest or config.max_position_embeddings)


class Engine:
    """Runs a model over any number of texts. Holds no state of a call: threads may share it."""

    def __init__(self, model: "nn.Module | Light", tokenizer: Tokenizer, room: Room) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.room = room
        self._desk: Desk | None = None
        self._shared: Batches | Rectangles | None = None

    def share(self, desk: "Desk") -> None:
        """From now on the desk runs the batches, in which documents of several calls and engines may be."""
        self._desk, self._shared = desk, self._batches(is_few=False)
        self.tokenizer.confine(desk.tokenizing)

    @property
    def too_long(self) -> TooLong:
        """What happens to a longer text: what the request at hand says (see `ticket.py`), or else the room."""
        ticket = current()
        return self.room.too_long if ticket is None or ticket.too_long is None else ticket.too_long

    def run(
        self,
        texts: Iterable[Text],
        read: Reading[Result],
        *,
        most_tokens: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[Result]:
        """One result a text, streaming, in order. `read` makes a batch's results, one a document.

        What goes wrong with a text or in the caller's iterable is raised where plain iteration would raise it: behind the
        results of all texts before. Close the iterator to stop early.

        Args:
            texts: strings, or pairs of strings (`[CLS] text [SEP] pair [SEP]`).
            read: called without gradients.
            most_tokens: of all texts together, special ones included, for results that grow with them; more are refused before they run.
            show_progress: a bar on stderr.

        Raises:
            UserError: a text is not valid Unicode, or too long where that is refused, or alone too large for memory; or they
                have more tokens together than they may.
        """
        is_few = _is_few(texts)
        ready, tokenize = readable(texts), partial(self._tokenize, self.too_long)
        documents = self._at_once(ready, tokenize) if is_few else windows(ready, tokenize, largest=self.room.window)
        counted = documents if most_tokens is None else _counted(documents, most_tokens)
        return self._stream(counted, texts, read, is_few=is_few, show_progress=show_progress)

    def run_ids(
        self,
        documents: Iterable[list[int]],
        read: Reading[Result],
        *,
        show_progress: bool = False,
    ) -> Iterator[Result]:
        """The same for who has cut texts into ids, special tokens around them, no longer than the model takes."""
        is_few = _is_few(documents)
        if is_few:
            found, failure, _ = read_window(iter(documents), FEW)
            ready = iter([Tokenized(documents=found, num_cut=[0] * len(found), failure=failure)])
        else:
            ready = windows(iter(documents), _as_they_are, largest=self.room.window)
        return self._stream(ready, documents, read, is_few=is_few, show_progress=show_progress)

    def run_window(self, documents: Sequence[list[int]], read: Reading[Result]) -> list[Result]:
        """One result a document, of ids as `run_ids` takes them, all sorted together.

        Nothing here looks at a clock: with a fixed `Room.budget` the batches follow from the documents alone, so the
        results are the same bits every time, on the same machine with the same number of threads.
        """
        return self._call(read, is_few=False).results(list(documents), first=0, watch=None)

    def _stream(
        self,
        documents: Iterator[Tokenized],
        texts: Iterable[object],
        read: Reading[Result],
        *,
        is_few: bool,
        show_progress: bool,
    ) -> Iterator[Result]:
        call = self._call(read, is_few=is_few)
        num_read = num_cut_texts = num_cut_tokens = 0
        ending = closing(documents) if isinstance(documents, Generator) else nullcontext()
        with ending, _Watch(texts) if show_progress else nullcontext() as watch:
            try:
                for window in documents:
                    first, num_read = num_read, num_read + len(window.documents)
                    num_cut_texts += sum(cut > 0 for cut in window.num_cut)
                    num_cut_tokens += sum(window.num_cut)
                    yield from call.results(window.documents, first=first, watch=watch)
                    if window.failure is not None:
                        raise window.failure
                    del window  # the next is on its way already
            finally:
                if num_cut_texts and current() is None:  # whoever asks through a server was told by it
                    say(
                        f"{num_cut_texts} of {num_read} texts were longer than {self.room.longest:,} tokens: "
                        f"{num_cut_tokens:,} tokens at their ends were not read"
                    )

    def _call(self, read: Reading[Result], *, is_few: bool) -> "_Call[Result]":
        if self._desk is not None and self._shared is not None:
            return _AtDesk(read, self._shared, self._desk)
        return _Call(read, self._batches(is_few=is_few))

    def _batches(self, *, is_few: bool) -> "Batches | Rectangles":
        if isinstance(self.model, Light):
            return Rectangles(self.model)
        import torch

        from modernbert.infer.batches import Batches
        from modernbert.infer.memory import most_tokens

        weight = next(self.model.parameters())
        if is_few or self.room.budget is not None:
            fixed = self.room.budget or FEW
            return Batches(weight.device, Search(fixed, fixed), fixed)
        shape = (type(self.model).__qualname__, sum(each.numel() for each in self.model.parameters()))
        search = search_for(
            (*shape, weight.dtype, weight.device, torch.get_num_threads()),
            smallest=SMALLEST_ON_CPU if weight.device.type == "cpu" else SMALLEST,
        )
        return Batches(weight.device, search, most_tokens(self.model, weight.device) or search.largest)

    @staticmethod
    def _at_once(texts: Iterator[Text], tokenize: Callable[[Sequence[Text], int], Tokenized]) -> Iterator[Tokenized]:
        found, failure, _ = read_window(texts, FEW)
        tokenized = tokenize(found, 0) if found else Tokenized(documents=[], num_cut=[])
        yield tokenized if tokenized.failure else replace(tokenized, failure=failure)

    def _tokenize(self, too_long: TooLong, texts: Sequence[Text], first: int) -> Tokenized:
        columns = [texts] if isinstance(texts[0], str) else zip(*texts, strict=True)
        encoded = self.tokenizer.encode(*columns, longest=self.room.longest)  # type: ignore[arg-type]
        if too_long == "refuse":
            for number, cut in enumerate(encoded.num_cut):
                if cut:
                    refusal = TooLongError(
                        f"text {first + number} has {self.room.longest + cut:,} tokens, expected {self.room.longest:,} "
                        "or fewer: split it, or let its end be cut off with too_long='truncate'"
                    )
                    return Tokenized(documents=encoded.ids[:number], num_cut=[0] * number, failure=refusal)
        return Tokenized(documents=encoded.ids, num_cut=encoded.num_cut)


class _Call(Generic[Result]):
    """What the batches of one call have in common."""

    def __init__(self, read: Reading[Result], batches: "Batches | Rectangles") -> None:
        self.read = read
        self.batches = batches

    def results(self, documents: list[list[int]], *, first: int, watch: "_Watch | None") -> list[Result]:
        """Run one window. Short documents come first: they are what budgets are compared on."""
        order = sorted(range(len(documents)), key=lambda i: len(documents[i]))
        lengths = [len(documents[i]) for i in order]
        results: dict[int, Result] = {}
        while len(results) < len(order):
            done, budget = len(results), self.batches.budget
            members = order[done : done + fill(lengths, done, budget)]
            found = self.batches.run(
                self.read, [documents[i] for i in members], budget=budget, number=first + members[0]
            )
            if found is None:
                continue
            results.update(zip(members, found, strict=True))
            if watch is not None:
                watch.update(len(members), sum(lengths[done : done + len(members)]))
        return [results[i] for i in range(len(documents))]


class _AtDesk(_Call[Result]):
    """The same where the device belongs to somebody: batches are shared with other calls."""

    def __init__(self, read: Reading[Result], batches: "Batches | Rectangles", desk: "Desk") -> None:
        super().__init__(read, batches)
        self.desk = desk

    def results(self, documents: list[list[int]], *, first: int, watch: "_Watch | None") -> list[Result]:
        """Hand one window over, and wait."""
        found = self.desk.results(self.batches, self.read, documents, first=first)
        if watch is not None:
            watch.update(len(documents), sum(map(len, documents)))
        return found


class _Watch:
    """A bar with the rates so far."""

    def __init__(self, texts: Iterable[object]) -> None:
        self._bar = progress("speed")
        self._total = len(texts) if isinstance(texts, Sized) else None
        self._num_texts = self._num_tokens = 0

    def __enter__(self) -> "_Watch":
        self._bar.start()
        self._task = self._bar.add_task("texts", total=self._total)
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, texts: int, tokens: int) -> None:
        """A batch is done."""
        self._num_texts += texts
        self._num_tokens += tokens
        seconds = max(time.perf_counter() - self._began, 1e-9)
        rates = f"{self._num_texts / seconds:,.0f} texts/s, {self._num_tokens / seconds:,.0f} tokens/s"
        self._bar.update(self._task, advance=texts, speed=rates)


def _as_they_are(documents: Sequence[list[int]], _: int) -> Tokenized:
    return Tokenized(documents=list(documents), num_cut=[0] * len(documents))


def _counted(documents: Iterator[Tokenized], most_tokens: int) -> Iterator[Tokenized]:
    num_tokens = 0
    for window in documents:
        num_tokens += sum(map(len, window.documents))
        if num_tokens > most_tokens:
            raise UserError(
                f"found {num_tokens:,} tokens, expected {most_tokens:,} or fewer: give fewer texts at a time"
            )
        yield window


def _is_few(texts: Iterable[object]) -> bool:
    """A list that is at hand and short enough."""
    return isinstance(texts, list | tuple) and len(texts) <= FEW // 64 and sum(map(size_of, texts)) <= FEW
