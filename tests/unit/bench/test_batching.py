import pytest

from modernbert.bench.batching import PACKED_TOKENS, SORTED_PLACES, grouped
from modernbert.bench.workloads import workload


@pytest.mark.parametrize("batching", ["given", "sorted", "packed"])
@pytest.mark.parametrize("name", ["variable-512", "variable-8192", "fixed-512"])
def test_every_document_goes_through_once(batching, name):
    groups = grouped(workload(name).lengths(100), batching)
    assert sorted(i for group in groups for i in group) == list(range(100))


def test_sorted_batches_hold_few_places_and_little_padding():
    lengths = workload("variable-512").lengths(500)
    groups = grouped(lengths, "sorted")
    places = [len(group) * max(lengths[i] for i in group) for group in groups]
    assert max(places) <= SORTED_PLACES["cpu"]
    assert sum(places) < 1.05 * sum(lengths)
    given = grouped(lengths, "given", given_batch=32)
    assert sum(len(group) * max(lengths[i] for i in group) for group in given) > 1.3 * sum(lengths)


def test_packed_batches_are_filled_with_tokens():
    lengths = [512] * 100
    assert [len(group) for group in grouped(lengths, "packed")] == [32, 32, 32, 4]
    assert PACKED_TOKENS["cpu"] == 32 * 512


def test_a_document_above_the_room_goes_alone():
    assert grouped([9000, 5, 20_000], "sorted") == [[2], [0], [1]]
    assert grouped([9000, 5, 20_000], "packed") == [[2], [0, 1]]


def test_a_gpu_gets_larger_batches():
    assert len(grouped([512] * 100, "sorted", device="cuda")) == 1
