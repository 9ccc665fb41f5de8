import statistics

import pytest

from modernbert.bench.workloads import PAPER_DOCUMENTS, WORKLOADS, token_ids, workload
from modernbert.core.errors import UserError

TABLE_10 = {"fixed-512": (512, 0), "variable-512": (256, 64), "fixed-8192": (8192, 0), "variable-8192": (4102, 1024)}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_papers_workloads_have_the_papers_lengths(name):
    one = WORKLOADS[name]
    lengths = one.lengths(PAPER_DOCUMENTS)
    assert sum(lengths) == pytest.approx(one.paper_tokens, rel=0.005)  # their draw is not published
    assert (min(lengths), max(lengths)) >= (one.shortest, one.shortest)
    assert max(lengths) <= one.longest <= one.limit
    mean, deviation = TABLE_10[name]
    assert statistics.mean(lengths) == pytest.approx(mean, rel=0.01)
    assert statistics.pstdev(lengths) == pytest.approx(deviation, rel=0.03)


def test_few_documents_are_the_first_of_many():
    one = workload("variable-512")
    assert one.lengths(100)[:10] == one.lengths(10)


def test_a_workload_can_be_so_many_documents_of_one_length():
    one = workload("8x512")
    assert (one.documents, one.lengths(8), one.is_fixed) == (8, [512] * 8, True)


def test_mixed_documents_have_16_to_512_tokens():
    lengths = workload("mixed").lengths(5000)
    assert (min(lengths), max(lengths)) == (16, 512)


@pytest.mark.parametrize("name", ["fixed-513", "0x5", "8x", "x", "8x100000", ""])
def test_a_workload_that_is_none_is_refused(name):
    with pytest.raises(UserError, match=r"--workloads: found .*, expected some of fixed-512, .*, mixed, or .* 8x512"):
        workload(name)


def test_documents_have_their_lengths_and_no_special_tokens():
    documents = token_ids([3, 1, 2000], vocab_size=50)
    assert [len(document) for document in documents] == [3, 1, 2000]
    assert min(map(min, documents)) == 10
    assert max(map(max, documents)) == 49
    assert documents == token_ids([3, 1, 2000], vocab_size=50)
