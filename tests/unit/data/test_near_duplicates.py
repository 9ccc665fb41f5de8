"""Near copies made on purpose, their exact Jaccard, and who wins."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from modernbert.data.near_duplicates import NearDuplicates, rows_of_a_band
from modernbert.data.shingles import runs, words


def made_up(rng, size):
    return [f"w{number}" for number in rng.integers(50_000, size=size)]


def copy_of(document, rng, rate):
    """Some words replaced: each spoils the five runs it is in."""
    return [f"x{rng.integers(50_000)}" if rng.random() < rate else word for word in document]


def jaccard(one, other):
    one, other = (set(runs(words(" ".join(text)), 5).tolist()) for text in (one, other))
    return len(one & other) / len(one | other)


def find(index, name, text):
    return index.find(name, words(" ".join(text)))


def test_near_copies_are_found_and_others_are_not():
    """Recall and precision against exact Jaccard, 0.08 (two standard errors) away from the threshold."""
    rng = np.random.default_rng(3)
    near = far = found_near = found_far = 0
    for _ in range(300):
        first = made_up(rng, int(rng.integers(50, 800)))
        second = copy_of(first, rng, rng.uniform(0, 0.08))
        share = jaccard(first, second)
        index = NearDuplicates(0.8)
        assert find(index, "first", first) is None
        is_found = find(index, "second", second) == "first"
        near, found_near = near + (share > 0.88), found_near + (share > 0.88 and is_found)
        far, found_far = far + (share < 0.72), found_far + (share < 0.72 and is_found)
    assert min(near, far) > 50
    assert found_near / near > 0.97
    assert found_far / far < 0.03


def test_the_first_one_wins_and_only_those_that_stay_count():
    """Each step is a near copy of the one before; those far from the first stay."""
    rng = np.random.default_rng(4)
    chain = [made_up(rng, 400)]
    while jaccard(chain[0], chain[-1]) > 0.5:
        chain.append(copy_of(chain[-1], rng, 0.003))
    assert min(jaccard(one, other) for one, other in pairwise(chain)) > 0.88
    index = NearDuplicates(0.8)
    found = [find(index, f"step {number}", text) for number, text in enumerate(chain)]
    assert found[:3] == [None, "step 0", "step 0"]
    stayed = [number for number, name in enumerate(found) if name is None]
    assert len(stayed) > 1
    assert all(jaccard(chain[one], chain[other]) < 0.88 for one, other in pairwise(stayed))


def test_of_two_near_documents_the_earlier_is_named():
    rng = np.random.default_rng(5)
    middle = made_up(rng, 1000)
    first, last = [*middle[:-100], *made_up(rng, 100)], [*made_up(rng, 100), *middle[100:]]
    index = NearDuplicates(0.75)
    assert jaccard(first, last) < 0.7
    assert [find(index, name, text) for name, text in [("first", first), ("last", last)]] == [None, None]
    assert find(index, "middle", middle) == "first"


def test_a_document_is_found_though_many_others_share_parts_of_its_sketch():
    rng = np.random.default_rng(6)
    first = made_up(rng, 400)
    index = NearDuplicates(0.8)
    find(index, "first", first)
    for number in range(100):
        find(index, f"half {number}", copy_of(first, rng, 0.06))
    assert find(index, "again", first) == "first"


def test_capitals_punctuation_and_white_space_do_not_count():
    index = NearDuplicates(0.9)
    assert index.find("plain", words("the bell rang for nine hours in the fog")) is None
    assert index.find("loud", words("The BELL\n rang, for nine hours -- in the fog!")) == "plain"


def test_scripts_without_spaces_are_compared_by_characters():
    text = "我能吞下玻璃而不伤身体。灯台はまだそこにある。灯台の光は白い。" * 2 + "日本語のテキスト、カタカナ。"
    index = NearDuplicates(0.7)
    assert index.find("first", words(text)) is None
    assert index.find("copy", words(text + "終")) == "first"
    assert index.find("other", words("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。")) is None


def test_short_documents_are_near_only_when_all_words_are_the_same():
    index = NearDuplicates(0.5)
    assert index.find("a", words("fog again today")) is None
    assert index.find("b", words("fog again tonight")) is None
    assert index.find("c", words("Fog again, today.")) == "a"


def test_documents_without_words_are_near_to_none():
    index = NearDuplicates(0.8)
    assert [index.find(name, words("?!")) for name in "ab"] == [None, None]


def test_more_documents_than_the_first_room_holds():
    index = NearDuplicates(0.8)
    texts = [f"{number} one two three four {number}" for number in range(1500)]
    assert {index.find(text, words(text)) for text in texts} == {None}
    assert all(index.find("again", words(text)) == text for text in texts)


def test_a_sketch_is_the_same_in_another_process():
    code = (
        "from modernbert.data.near_duplicates import NearDuplicates as N; from modernbert.data.shingles import words;"
        "print(N(0.8, seed={})._sketch(words('the bell rang for nine hours in the fog')).tolist())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code.format(seed)],
            env={"PYTHONHASHSEED": str(run)}, capture_output=True, text=True, check=True,
        ).stdout
        for run, seed in enumerate((1, 1, 2))
    ]  # fmt: skip
    assert outputs[0] == outputs[1] != outputs[2]


@pytest.mark.parametrize(("threshold", "size"), [(0.5, 3), (0.7, 4), (0.8, 6), (0.9, 10), (1.0, 120)])
def test_a_band_finds_99_of_100_pairs_at_the_threshold(threshold, size):
    assert rows_of_a_band(threshold) == size
