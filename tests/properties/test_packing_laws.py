"""What holds for any lengths, any room and any look-ahead."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.data.packing import pack

law = settings(deadline=None, max_examples=300)


@st.composite
def tasks(draw):
    room = draw(st.integers(1, 40))
    lengths = draw(st.lists(st.integers(1, room), max_size=60))
    return lengths, room, draw(st.integers(1, 70))


def pack_slowly(lengths, room, look_ahead):
    """The contract read aloud, for `pack` to be compared with."""
    left, bins = list(range(len(lengths))), []
    while left:
        filling = [left.pop(0)]
        while True:
            free = room - sum(lengths[i] for i in filling)
            fitting = [i for i in left if i < left[0] + look_ahead and lengths[i] <= free]
            if not fitting:
                break
            best = max(fitting, key=lambda i: (lengths[i], -i))
            left.remove(best)
            filling.append(best)
        bins.append(sorted(filling, key=lambda i: (-lengths[i], i)))
    return bins


@given(tasks())
@law
def test_packing_is_what_its_slow_twin_does(task):
    lengths, room, look_ahead = task
    assert pack(lengths, room, look_ahead=look_ahead) == pack_slowly(lengths, room, look_ahead)


@given(tasks())
@law
def test_every_document_lands_exactly_once(task):
    lengths, room, look_ahead = task
    bins = pack(lengths, room, look_ahead=look_ahead)
    assert sorted(index for bin in bins for index in bin) == list(range(len(lengths)))
    assert all(bins)


@given(tasks())
@law
def test_no_bin_overflows(task):
    lengths, room, look_ahead = task
    assert all(sum(lengths[i] for i in bin) <= room for bin in pack(lengths, room, look_ahead=look_ahead))


@given(tasks())
@law
def test_the_same_input_gives_the_same_bins(task):
    lengths, room, look_ahead = task
    again = pack(tuple(lengths), room, look_ahead=look_ahead)
    assert pack(lengths, room, look_ahead=look_ahead) == again


@given(tasks())
@law
def test_documents_a_look_ahead_apart_never_swap_bins(task):
    lengths, room, look_ahead = task
    bin_of = {index: n for n, bin in enumerate(pack(lengths, room, look_ahead=look_ahead)) for index in bin}
    latest = -1
    for index in range(look_ahead, len(lengths)):
        latest = max(latest, bin_of[index - look_ahead])
        assert latest <= bin_of[index]


@given(tasks())
@law
def test_the_oldest_waiting_document_is_in_the_next_bin(task):
    lengths, room, look_ahead = task
    waiting = set(range(len(lengths)))
    for bin in pack(lengths, room, look_ahead=look_ahead):
        assert min(waiting) in bin
        waiting -= set(bin)


@given(tasks())
@law
def test_the_next_bins_oldest_document_did_not_fit(task):
    lengths, room, look_ahead = task
    bins = pack(lengths, room, look_ahead=look_ahead)
    for bin, after in pairwise(bins):
        assert sum(lengths[i] for i in bin) + lengths[min(after)] > room


@given(tasks(), st.data())
@law
def test_documents_beyond_the_look_ahead_are_not_looked_at(task, data):
    """So a loader can pack a stream piece by piece."""
    lengths, room, look_ahead = task
    more = data.draw(st.lists(st.integers(1, room), max_size=20))
    bins, longer = pack(lengths, room, look_ahead=look_ahead), pack(lengths + more, room, look_ahead=look_ahead)
    num_safe = sum(min(after) + look_ahead <= len(lengths) for after in bins[1:])
    assert bins[:num_safe] == longer[:num_safe]
