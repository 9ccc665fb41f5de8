"""A server that is not there, and one whose collection another index filled."""

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.server import Server
from support.records import SETTINGS, answers, assert_same, query, record


def test_a_server_that_does_not_answer_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no Qdrant answers there .* start one, for example  docker run -p 6333:6333"):
        Index.open(tmp_path / "i", SETTINGS, store=Server(url="http://127.0.0.1:9", collection="c", timeout=1))


def test_a_server_that_forgot_everything_is_told_again(tmp_path, capsys):
    nowhere = Server(url=":memory:", collection="c")
    with Index.open(tmp_path / "i", SETTINGS, store=nowhere) as index:
        index.add([record(number) for number in range(6)])
        before = answers(index, query())
    with Index.open(tmp_path / "i", SETTINGS, store=nowhere) as index:
        assert_same(answers(index, query()), before)
    assert "(it has 0 records of 6)" in capsys.readouterr().err


def test_another_collection_is_filled_anew(tmp_path, capsys):
    for collection in ("one", "two"):
        place = Server(url=str(tmp_path / "qdrant"), collection=collection)
        with Index.open(tmp_path / "i", SETTINGS, store=place) as index:
            index.add([record(number) for number in range(6)])
            assert len(index.search(query())) == 6
    assert "(it was sent to " in capsys.readouterr().err
