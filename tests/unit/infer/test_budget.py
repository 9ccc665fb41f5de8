from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.infer.budget import TURNS, Search, fill, search_for


def _settle(search: Search, rate) -> list[int]:
    """Feed it full batches of a device with this rate, tokens a second by budget; the budgets it asked for."""
    asked = []
    while not search.is_settled:
        asked.append(search.next())
        search.note(asked[-1], asked[-1], asked[-1] / rate(asked[-1]))
    return asked


@pytest.mark.parametrize(
    ("rate", "best"),
    [
        (lambda budget: 1000.0, 512),
        (lambda budget: min(budget, 4096), 4096),
        (lambda budget: budget / (budget + 200), 8192),  # 16,384 would gain 1.2%
        (lambda budget: 5000 - budget, 512),
        (lambda budget: budget, 131_072),
    ],
    ids=["flat", "saturates at 4096", "saturates slowly", "falls", "never enough"],
)
def test_the_smallest_budget_that_is_about_as_fast_wins(rate, best):
    search = Search(512)
    _settle(search, rate)
    assert search.best == search.next() == best


def test_two_budgets_take_turns_after_a_first_batch_that_does_not_count():
    assert _settle(Search(512), lambda budget: 1.0) == [512, *(512 if turn == "A" else 1024 for turn in TURNS)]


@pytest.mark.parametrize("drift", [0.97, 1.03])
def test_a_drift_of_speed_is_no_reason(drift):
    """Texts get longer through a window, and each batch slower or faster than the one before; budgets are of equal merit."""
    search, batches = Search(512), []

    def rate(budget):
        batches.append(budget)
        return 1000 * drift ** len(batches)

    _settle(search, rate)
    assert search.best == 512


def test_one_slow_batch_is_no_reason():
    search, batches = Search(512), []

    def rate(budget):
        batches.append(budget)
        return 10 if len(batches) == 3 else min(budget, 1024)

    _settle(search, rate)
    assert search.best == 1024


def test_batches_that_are_not_full_or_of_another_budget_do_not_count():
    search = Search(512)
    for _ in range(50):
        search.note(512, 100, 0.001)
        search.note(512, 600, 0.001)
        search.note(400, 400, 0.001)
    assert search.next() == 512
    assert not search.is_settled
    assert len(_settle(search, lambda budget: 1.0)) == 1 + len(TURNS)


def test_a_fixed_budget_is_never_searched():
    search = Search(700, 700)
    assert search.is_settled
    search.note(700, 700, 1.0)
    assert search.next() == 700


@given(st.integers(2, 10_000), st.integers(1, 20_000))
def test_out_of_memory_halves_and_ends_the_search(smallest, tokens):
    search = Search(smallest)
    search.shrink(tokens)
    assert search.is_settled
    assert search.next() == max(1, min(smallest, tokens // 2))


def test_a_search_goes_on_where_it_was():
    search = search_for(("a model", "cpu"), smallest=512)
    assert search_for(("a model", "cpu"), smallest=4096) is search
    assert search_for(("a model", "cuda"), smallest=4096) is not search


@given(st.lists(st.integers(0, 40)), st.integers(1, 60))
def test_batches_hold_every_document_once_within_the_budget(lengths, budget):
    groups, start = [], 0
    while start < len(lengths):
        count = fill(lengths, start, budget)
        assert count >= 1
        groups.append(lengths[start : start + count])
        start += count
    assert [length for group in groups for length in group] == lengths
    assert all(len(group) == 1 or sum(group) <= budget for group in groups)
    assert all(sum(group) + following[0] > budget for group, following in pairwise(groups))
