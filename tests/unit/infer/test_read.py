from modernbert.infer.read import Read
from modernbert.ops.packed import Packed
from support.narrow import Narrow


def test_two_reads_are_equal_when_way_and_what_it_is_given_are():
    one, other = Narrow(10), Narrow(10)
    assert Read(one.read) == Read(one.read)
    assert hash(Read(one.read, (3,))) == hash(Read(one.read, (3,)))
    assert Read(one.read, (3,)) != Read(one.read, (4,))
    assert Read(one.read) != Read(other.read)


def test_it_hands_on_what_it_was_given():
    read = Read(lambda packed, times: [packed.num_tokens * times] * packed.num_documents, (3,))
    assert read(Packed.from_lists([[1, 2], [3]])) == [9, 9]
