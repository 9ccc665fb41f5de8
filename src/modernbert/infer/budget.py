"""How many tokens a batch has: the smallest number that is about as fast as any, found while working."""

from collections.abc import Hashable, Sequence

TURNS = "ABBAABBA"
"""Whose batch is next: the best budget so far (A) or its challenger (B). Texts come sorted by length, and in this order
both get as many early, shorter texts as late, longer ones; the median forgives each one disturbed batch."""

WORTH = 1.02
"""A larger budget takes more memory, so it must be faster by this much."""

FULL = 0.75
"""Batches with less than this share of their budget are not measured: a window's last one, or one of long texts."""

LARGEST = 131_072
"""Tokens. No device that we know gains from more."""

_searches: dict[Hashable, "Search"] = {}


def search_for(key: Hashable, *, smallest: int) -> "Search":
    """One search a process for each key: the model's shape, its device and its precision. It goes on where it was."""
    return _searches.setdefault(key, Search(smallest))


class Search:
    """Two budgets take turns on real work; the larger one, twice the other, stays if it is faster, and meets its double.

    So measuring costs nothing: every batch is one that somebody wanted. State: the best so far, and the rates.
    """

    def __init__(self, smallest: int, largest: int = LARGEST) -> None:
        """Start with `smallest`; where `largest` is the same, nothing is searched."""
        self.best = smallest
        """The smallest budget known to be fast."""
        self.largest = largest
        """Never more than this; it falls when memory runs out."""
        self.is_settled = 2 * smallest > largest
        self._is_warm = False
        self._rates: list[float] = []

    def next(self) -> int:
        """Tokens of the next batch."""
        if self.is_settled or TURNS[len(self._rates)] == "A":
            return self.best
        return 2 * self.best

    def note(self, budget: int, tokens: int, seconds: float) -> None:
        """A batch that was given `budget` had so many tokens and took so long."""
        if self.is_settled or budget != self.next() or not FULL * budget <= tokens <= budget:
            return
        if not self._is_warm:  # the first batch pays for what is made once: kernels, plans, memory
            self._is_warm = True
            return
        self._rates.append(tokens / max(seconds, 1e-9))
        if len(self._rates) == len(TURNS):
            self._decide()

    def shrink(self, tokens: int) -> None:
        """Memory did not suffice for this many: from now on at most half, and no more tries."""
        self.largest = max(1, tokens // 2)
        self.best = min(self.best, self.largest)
        self.is_settled = True

    def _decide(self) -> None:
        import statistics  # which few texts need not wait for

        best, challenger = (
            statistics.median(rate for rate, turn in zip(self._rates, TURNS, strict=True) if turn == who)
            for who in "AB"
        )
        self._rates.clear()
        if challenger < WORTH * best:
            self.is_settled = True
            return
        self.best *= 2
        self.is_settled = 2 * self.best > self.largest


def fill(lengths: Sequence[int], start: int, budget: int) -> int:
    """How many documents from `start` on are a batch of at most `budget` tokens; the first goes in any case.

    >>> fill([2, 3, 4, 9], 0, budget=7), fill([2, 3, 4, 9], 2, budget=7), fill([9, 2], 0, budget=7)
    (2, 1, 1)
    """
    tokens = 0
    for number in range(start, len(lengths)):
        tokens += lengths[number]
        if tokens > budget:
            return max(1, number - start)
    return len(lengths) - start
