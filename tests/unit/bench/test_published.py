import pytest

from modernbert.bench.published import everything, published
from modernbert.bench.rivals import rival


def test_the_papers_figures_are_found_by_model_and_workload():
    found = published("modernbert-base", "variable-8192")
    assert (found.thousand_tokens_per_second, found.largest_batch, found.seconds) == (133.8, 98, 251.2)
    assert published("bert-base", "fixed-8192") is None
    assert published("modernbert-tiny", "fixed-512") is None
    assert published("modernbert-base", "8x512") is None


def test_every_row_is_of_a_model_that_can_be_measured():
    for table in (everything()["rows"], everything()["seconds_for_8192_documents"]["rows"]):
        assert all(rival(*key.split("-")) is not None for key in table)


@pytest.mark.parametrize(("workload", "tokens"), [("fixed-512", 4_194_304), ("fixed-8192", 67_108_864)])
def test_published_seconds_and_tokens_a_second_say_the_same(workload, tokens):
    for key in everything()["rows"]:
        found = published(key, workload)
        if found is not None and found.seconds is not None:
            assert tokens / found.seconds / 1e3 == pytest.approx(found.thousand_tokens_per_second, rel=0.01)
