"""What is written is read back, also in another process; and what damage is told."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.data.shard_writer import write_shards
from modernbert.data.shards import Shards, id_type
from modernbert.data.vocabulary import Vocabulary
from modernbert.text.train import train_tokenizer
from support.texts import small_tokenizer

DOCUMENTS = [[5, 6, 7], [8], [9, 10, 11, 12], [300, 0], [447]]


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "made")


def written(folder, documents=DOCUMENTS, *, shard_tokens=4, **facts):
    with write_shards(folder, small_tokenizer(), shard_tokens=shard_tokens, **facts) as writer:
        for ids in documents:
            writer.append(ids)
    return folder


def edited(folder, **changes):
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | changes))
    return folder


def test_documents_come_back_in_order(folder):
    shards = Shards.open(folder)
    assert [shards.tokens(i).tolist() for i in range(len(shards))] == DOCUMENTS
    assert shards.lengths.tolist() == [3, 1, 4, 2, 1]
    assert shards.lengths.dtype == np.int64
    assert shards.num_tokens == 11
    assert repr(shards) == f"Shards({str(folder)!r}: 5 documents, 11 tokens)"


def test_a_shard_ends_with_the_document_that_reaches_the_limit(folder):
    assert [(shard.name, shard.documents, shard.tokens) for shard in Shards.open(folder).shards] == [
        ("00000", 2, 4),
        ("00001", 1, 4),
        ("00002", 2, 3),
    ]


def test_the_files_are_what_the_format_says(folder):
    assert np.fromfile(folder / "00000.tokens", dtype="<u2").tolist() == [5, 6, 7, 8]
    assert np.fromfile(folder / "00000.ends", dtype="<i8").tolist() == [3, 4]


def test_a_part_of_a_document_is_a_view_that_cannot_be_written(folder):
    shards = Shards.open(folder)
    part = shards.tokens(2, 1, 3)
    assert part.tolist() == [10, 11]
    assert np.shares_memory(part, shards.tokens(2))
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        shards.lengths[0] = 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((5,), r"document 5 of 5: expected 0 to 4"),
        ((-1,), r"document -1 of 5"),
        ((2, 3, 5), r"tokens 3 to 5 of document 2, which has 4"),
        ((2, 3, 2), r"tokens 3 to 2 of document 2"),
        ((2, -1), r"tokens -1 to 4 of document 2"),
    ],
)
def test_no_neighbour_is_ever_read(folder, asked, message):
    with pytest.raises(IndexError, match=message):
        Shards.open(folder).tokens(*asked)


def test_the_tokenizer_and_its_vocabulary_come_along(folder):
    shards = Shards.open(folder)
    assert shards.vocabulary == Vocabulary.of(small_tokenizer())
    assert shards.tokenizer().encode(["some text"]).ids == small_tokenizer().encode(["some text"]).ids


def test_large_vocabularies_take_four_bytes(tmp_path):
    assert id_type(65_536).itemsize == 2
    assert id_type(65_537).itemsize == 4
    with write_shards(tmp_path / "wide", train_tokenizer(["a"], vocab_size=65_600)) as writer:
        writer.append([65_599, 1])
    assert Shards.open(tmp_path / "wide").tokens(0).tolist() == [65_599, 1]
    assert (tmp_path / "wide" / "00000.tokens").stat().st_size == 8


def test_another_process_opens_the_files_anew(folder, tmp_path):
    shards = Shards.open(folder)
    shards.tokens(0)
    _ = shards.lengths
    sent = pickle.dumps(shards)
    assert len(sent) == len(pickle.dumps(Shards.open(folder)))  # no map is sent along
    (tmp_path / "sent").write_bytes(sent)
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).tokens(2).tolist())"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "sent"], capture_output=True, check=True)
    assert json.loads(done.stdout) == [9, 10, 11, 12]


def test_the_fingerprint_is_that_of_the_tokens_and_not_of_where_they_came_from(folder, tmp_path):
    same = written(tmp_path / "same", made_from={"paths": ["elsewhere"]})
    other = written(tmp_path / "other", [*DOCUMENTS[:-1], [446]])
    prints = [Shards.open(path).fingerprint for path in (folder, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert Shards.open(same).made_from == {"paths": ["elsewhere"]}


def test_whole_shards_verify(folder):
    Shards.open(folder).verify()


@pytest.mark.parametrize("name", ["00001.tokens", "00002.ends"])
def test_a_flipped_bit_is_found_by_verify(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[1] ^= 1
    (folder / name).write_bytes(content)
    shards = Shards.open(folder)
    with pytest.raises(UserError, match=rf"{name} is corrupt .*sha256.*copy the folder again"):
        shards.verify()


def test_another_tokenizer_in_the_folder_is_found_by_verify(folder):
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer is not the tokenizer that made these tokens"):
        Shards.open(folder).verify()


@pytest.mark.parametrize(("ends", "tokens"), [([4, 4], 4), ([3, 5], 4), ([-1, 4], 4)], ids=["empty", "far", "negative"])
def test_ends_that_do_not_rise_are_told(folder, ends, tokens):
    np.array(ends, dtype="<i8").tofile(folder / "00000.ends")
    with pytest.raises(UserError, match=r"00000\.ends is damaged"):
        _ = Shards.open(folder).lengths


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "00001.tokens").write_bytes(b"123"), r"00001\.tokens has 3 bytes, expected 8: .*incomplete"),
        (lambda f: (f / "00002.ends").unlink(), r"00002\.ends is missing, expected 16"),
        (lambda f: (f / "index.json").unlink(), r"holds no index\.json: expected a folder that `modernbert data tok"),
        (lambda f: (f / "index.json").write_text('{"for'), r"index\.json is damaged \("),
        (lambda f: (f / "index.json").write_text("[]"), r"index\.json is not the index of token shards"),
        (lambda f: edited(f, format="other"), r"index\.json is not the index of token shards"),
        (lambda f: edited(f, version=2), r"is of version 2, expected 1: install the modernbert that wrote it"),
        (lambda f: edited(f, tokens=12), r"is damaged \(its sums do not agree\)"),
        (lambda f: edited(f, shards=[]), r"is damaged \(its sums do not agree\)"),
        (lambda f: edited(f, shards=None), r"is damaged \('shards' is no list\)"),
        (lambda f: edited(f, vocabulary={}), r"is damaged \('special_ids'\)"),
        (lambda f: edited(f, dtype="uint32"), r"ids of type uint32 do not fit a vocabulary of 448"),
        (
            lambda f: edited(f, shards=[{"name": "0", "documents": 2, "tokens": 1, "sha256": {}}]),
            r"is damaged \(shard '0' makes no sense\)",
        ),
    ],
)
def test_damage_is_one_sentence_when_opened(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError, match=message):
        Shards.open(folder)


def test_a_file_is_no_folder_of_shards(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"a\.txt holds no index\.json"):
        Shards.open(tmp_path / "a.txt")


def test_shards_can_be_moved(folder, tmp_path):
    shutil.move(folder, tmp_path / "moved")
    Shards.open(tmp_path / "moved").verify()
