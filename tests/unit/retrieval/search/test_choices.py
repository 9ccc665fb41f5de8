import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.documents.chunk import Chunking
from modernbert.retrieval.index.server import Server
from modernbert.retrieval.search.choices import (
    FOLDER,
    INDEX,
    SETTINGS,
    Choices,
    as_choice,
    as_store,
    forget,
    index_in,
    nearest,
    store_named,
)  # fmt: skip

CHOICES = Choices(model="nano", paths=("/a",), code=True, chunking=Chunking(size=9))


def test_choices_come_back_as_they_were(tmp_path):
    assert Choices.load(tmp_path) is None
    CHOICES.save(tmp_path)
    assert Choices.load(tmp_path) == CHOICES


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"format": 1, "what": 2}'])
def test_a_damaged_file_is_refused_with_the_way_out(tmp_path, damage):
    (tmp_path / SETTINGS).write_text(damage)
    with pytest.raises(UserError, match=r"is damaged .* index anew with --rebuild"):
        Choices.load(tmp_path)


def test_a_later_format_is_refused(tmp_path):
    (tmp_path / SETTINGS).write_text('{"format": 2}')
    with pytest.raises(UserError, match="found format 2, this version of modernbert reads 1"):
        Choices.load(tmp_path)


def test_stores_are_read_from_words_and_kept_without_their_key(monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "secret")
    server = store_named("http://localhost:6333/papers")
    assert server == Server(url="http://localhost:6333", collection="papers", api_key="secret")
    assert "secret" not in str(as_choice(server))
    assert as_store(as_choice(server)) == server
    assert as_store(as_choice(store_named("exact"))) == "exact"
    for wrong in ("faiss", "http://localhost:6333", "http://localhost:6333/"):
        with pytest.raises(UserError, match="expected edge, exact or http://HOST:PORT/COLLECTION"):
            store_named(wrong)


def test_the_nearest_index_is_found_from_below(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    with pytest.raises(UserError, match=r"found no \.modernbert-index here or above"):
        nearest(below)
    CHOICES.save(tmp_path / FOLDER)
    assert nearest(below) == tmp_path / FOLDER


def test_an_index_is_found_by_its_own_folder_and_by_the_one_that_has_it(tmp_path):
    CHOICES.save(tmp_path / FOLDER)
    assert index_in(tmp_path) == index_in(tmp_path / FOLDER) == (tmp_path / FOLDER).resolve()
    with pytest.raises(UserError, match=f"{tmp_path / 'no'}: found no index: make one with  modernbert index PATH"):
        index_in(tmp_path / "no")


def test_only_an_index_is_forgotten(tmp_path):
    forget(tmp_path / "nothing")
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="this is no index of ours: name another folder"):
        forget(tmp_path)
    CHOICES.save(tmp_path)
    (tmp_path / INDEX).mkdir()
    forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
