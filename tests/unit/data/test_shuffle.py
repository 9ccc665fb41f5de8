"""A permutation, the same for ever, and as even as chance would make it."""

import numpy as np
import pytest

from modernbert.core.seeds import Seeds
from modernbert.data.shuffle import TABLE, Permutation

LARGE = [TABLE + 1, 3 * TABLE, 2**17, 2**17 + 1, 999_983]


def key(number):
    return Seeds(3).for_("order", number)


def chi_square(counts):
    """The statistic less its mean, in standard deviations: below 5 unless something is wrong."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def test_every_number_comes_once_for_all_small_sizes():
    for size in range(1, 301):
        assert sorted(Permutation(size, key(size))(np.arange(size)).tolist()) == list(range(size))


@pytest.mark.parametrize("size", LARGE)
def test_every_number_comes_once_for_large_sizes(size):
    order = Permutation(size, key(1))(np.arange(size))
    assert order.dtype == np.int64
    assert (np.bincount(order, minlength=size) == 1).all()


@pytest.mark.parametrize("size", [TABLE, TABLE + 1, 10**6])
def test_a_place_can_be_asked_for_alone(size):
    order = Permutation(size, key(2))
    places = np.array([size - 1, 0, 77])
    assert order(places).tolist() == order(np.arange(size))[places].tolist()


def test_the_largest_corpora_are_no_trouble():
    size = 2**40 + 7
    found = Permutation(size, key(0))(np.arange(size - 50_000, size))
    assert found.min() >= 0
    assert found.max() < size
    assert np.unique(found).size == 50_000
    assert abs(found.mean() / size - 0.5) < 0.01


def test_the_order_never_changes():
    """A run that resumes with a newer version must read on where it was."""
    assert Permutation(10, 17)(np.arange(10)).tolist() == [0, 9, 6, 7, 5, 8, 2, 1, 4, 3]
    assert Permutation(10**6, 17)(np.arange(5)).tolist() == [928453, 509931, 883087, 761718, 233145]


def test_another_key_is_another_order():
    for size in (300, 10**6):
        first, second = (Permutation(size, key(n))(np.arange(300)) for n in (1, 2))
        assert (first == second).mean() < 0.05


def test_all_orders_of_four_are_equally_frequent():
    orders = [tuple(Permutation(4, key(n))(np.arange(4)).tolist()) for n in range(12_000)]
    counts = np.unique(np.array([int("".join(map(str, order))) for order in orders]), return_counts=True)[1]
    assert counts.size == 24
    assert chi_square(counts) < 5


@pytest.mark.parametrize("size", [9_600, TABLE + 1, 40_000], ids=["table", "network", "network of another width"])
def test_numbers_fall_evenly_on_places_and_on_pairs_of_places(size):
    """Sequential bias was what hurt the reference: neighbours that stay near each other, early ones that stay early."""
    num_parts, keys = 12, 6
    single, pairs, steps = (np.zeros((num_parts, num_parts)) for _ in range(3))
    for number in range(keys):
        order = Permutation(size, key(number))(np.arange(size))
        part = order * num_parts // size
        np.add.at(single, (np.arange(size) * num_parts // size, part), 1)
        np.add.at(pairs, (part[:-1], part[1:]), 1)
        np.add.at(steps, (part[:-7], part[7:]), 1)
    for counts in (single, pairs, steps):
        assert abs(chi_square(counts)) < 5


@pytest.mark.parametrize("size", [TABLE, 10**6])
def test_neighbours_are_as_far_apart_as_chance_has_it(size):
    order = Permutation(size, key(5))(np.arange(TABLE))
    rising = (np.diff(order) > 0).mean()
    assert abs(rising - 0.5) < 5 / np.sqrt(12 * TABLE)  # runs of a permutation: variance 1/12 a step
    near = (np.abs(np.diff(order)) <= size // 100).mean()
    assert abs(near - 0.0199) < 5 * np.sqrt(0.02 / TABLE)
    assert abs(np.corrcoef(np.arange(TABLE), order)[0, 1]) < 5 / np.sqrt(TABLE)
