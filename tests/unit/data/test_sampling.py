"""The sample is small, even, uniform, and the same in every run."""

import json

import pytest

from modernbert.core.errors import UserError
from modernbert.data.sampling import PASSAGE, passages, sample, smallest_hashes


@pytest.fixture
def files(tmp_path):
    for name, count in [("large", 3000), ("small", 10)]:
        rows = (json.dumps({"text": f"{name} {n} " + "\u00e9" * 100}) + "\n" for n in range(count))
        (tmp_path / f"{name}.jsonl").write_text("".join(rows))
    return [str(tmp_path / "large.jsonl"), str(tmp_path / "small.jsonl")]


def test_each_path_has_an_even_share_and_a_small_one_gives_all(files):
    texts = list(sample(files, most_bytes=200_000))
    large = [text for text in texts if text.startswith("large")]
    assert 99_000 < sum(len(text.encode()) for text in large) <= 100_000
    assert len(texts) - len(large) == 10


def test_the_sample_keeps_the_order_and_does_not_depend_on_it():
    texts = [f"text {n}" for n in range(500)]
    chosen = smallest_hashes(texts, 1_000)
    assert [text for text in texts if text in set(chosen)] == chosen
    assert sorted(smallest_hashes(texts[::-1], 1_000)) == sorted(chosen)
    assert 990 < sum(map(len, chosen)) <= 1_000


def test_all_parts_of_a_corpus_have_the_same_chance():
    chosen = smallest_hashes((f"{n:06}" for n in range(40_000)), 6 * 10_000)
    assert len(chosen) == 10_000
    for quarter in range(4):
        taken = sum(quarter * 10_000 <= int(text) < (quarter + 1) * 10_000 for text in chosen)
        assert abs(taken - 2_500) < 5 * 43  # binomial: 43 is its deviation


def test_what_fits_is_taken_whole():
    assert smallest_hashes(["one", "two", "one"], 9) == ["one", "two", "one"]
    assert smallest_hashes([], 9) == []


@pytest.mark.parametrize(
    "text", ["", "short", "a\nb" * 20_000, "x" * 50_001, " " * 45_000, "\u4e00" * 20_000 + "\n" + "\u4e00" * 20_000]
)
def test_passages_are_the_text(text):
    parts = list(passages(text))
    assert "".join(parts) == text
    assert all(len(part) <= PASSAGE for part in parts)


def test_passages_are_cut_where_white_space_begins():
    parts = list(passages("word " * 10_000))
    assert len(parts) == 3
    assert all(part.startswith(" word") for part in parts[1:])


def test_a_share_without_room_for_a_passage_is_refused(files):
    with pytest.raises(
        UserError, match=r"most_bytes is 100000 for 2 paths, expected 80,000 or more for each: raise it"
    ):
        list(sample(files, most_bytes=100_000))


def test_no_path_is_refused():
    with pytest.raises(UserError, match="there is no document in it"):
        list(sample([], most_bytes=100_000))


def test_a_line_can_be_a_document(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    path, most = str(tmp_path / "a.txt"), 4 * PASSAGE
    assert list(sample([path], most_bytes=most)) == ["one\ntwo\n"]
    assert list(sample([path], most_bytes=most, per_line=True)) == ["one", "two"]
