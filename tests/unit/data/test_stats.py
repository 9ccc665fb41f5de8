"""Counted by hand on a few documents."""

import pytest

from modernbert.core.errors import UserError
from modernbert.data.shard_writer import write_shards
from modernbert.data.stats import bars, stats
from support.chunks import chunk
from support.texts import small_tokenizer

LENGTHS = [1, 2, 3, 9, 30, 8]


@pytest.fixture
def folder(tmp_path):
    with write_shards(tmp_path / "made", small_tokenizer(), shard_tokens=10) as writer:
        for length in LENGTHS:
            writer.append(range(length))
    return tmp_path / "made"


def test_everything_is_counted(folder):
    found = stats(folder, length=10)
    assert (found.documents, found.tokens, found.shards, found.vocab_size) == (6, 53, 3, 448)
    assert (found.shortest, found.longest, found.mean) == (1, 30, 53 / 6)
    assert found.quantiles == {"0.01": 1, "0.1": 1, "0.25": 2, "0.5": 3, "0.75": 9, "0.9": 30, "0.99": 30}
    assert found.histogram == {1: 1, 2: 2, 4: 0, 8: 2, 16: 1}
    assert (found.longer, found.longer_tokens) == (2 / 6, 39 / 53)
    assert found.as_dict()["fingerprint"] == found.fingerprint


@pytest.mark.parametrize("length", [3, 4, 10, 1024])
def test_pieces_are_those_that_chunking_makes(folder, length):
    pieces = sum(len(chunk(range(n), length)) for n in LENGTHS)
    assert stats(folder, length=length).pieces == pieces


def test_bars_are_as_long_as_they_count():
    assert bars({1: 0, 2: 1, 4: 40}, width=20) == ["1     0", "2-3  █ 1", f"4-7  {'█' * 20} 40"]


def test_checksums_are_read_only_when_asked_for(folder):
    content = bytearray((folder / "00000.tokens").read_bytes())
    content[0] ^= 1
    (folder / "00000.tokens").write_bytes(content)
    assert not stats(folder).is_verified
    with pytest.raises(UserError, match=r"00000\.tokens is corrupt"):
        stats(folder, verify=True)


def test_a_length_without_room_for_a_token_is_refused(folder):
    with pytest.raises(UserError, match=r"length is 2, expected 3 or more"):
        stats(folder, length=2)
