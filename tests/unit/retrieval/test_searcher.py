import json
import os
import shutil

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.search import candidates, renew
from modernbert.retrieval.search.choices import SETTINGS
from modernbert.retrieval.search.encoders import Encoders
from modernbert.retrieval.searcher import Searcher
from support.retrieval import write_model, write_pylate

LONG_AGO = 10**18
CODE = 'def load_weights(path):\n    """Read them."""\n    return open(path)\n\n\nclass Store:\n    def save(self):\n        pass\n'
TEST = "def test_load_weights():\n    assert load_weights('x')\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "dense")


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    return write_pylate(tmp_path_factory.mktemp("models") / "late")


@pytest.fixture
def docs(tmp_path):
    put(
        tmp_path / "docs" / "lamps.md",
        "".join(f"# Part {n}\n\n{f'Lamp {n} shines at night. ' * 40}\n\n" for n in range(3)),
    )
    put(tmp_path / "docs" / "bell.txt", "Nobody heard the bell.\n")
    return tmp_path / "docs"


@pytest.fixture
def searcher(tmp_path, docs, model):
    with Searcher.open(tmp_path / "index", model=model, store="exact") as searcher:
        searcher.refresh([docs])
        yield searcher


def put(path, text, when=LONG_AGO):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(when, when))


def names(found):
    return [os.path.basename(one.path) for one in found]


def test_what_is_asked_for_comes_first_with_its_lines_and_the_words_that_matched(searcher, docs):
    first = searcher.search("who heard the bell")[0]
    assert (first.path, first.first_line, first.last_line) == (str(docs / "bell.txt"), 1, 1)
    assert {"bell", "heard"} <= {first.text[start:end] for start, end, _ in first.spans}
    assert set(first.legs) == {"dense", "lexical", "fused"}
    assert first.snippet().lines[0].text == "Nobody heard the bell."
    assert json.loads(json.dumps(first.to_json()))["path"] == first.path


def test_a_folder_that_did_not_change_is_refreshed_without_the_model(tmp_path, docs, model):
    with Searcher.open(tmp_path / "index", model=model) as searcher:
        assert searcher.refresh([docs]).chunks_encoded == 4
    with Searcher.open(tmp_path / "index") as again:
        shutil.move(model, f"{model}-away")
        try:
            done = again.refresh()
            assert names(again.search("bell", mode="lexical")) == ["bell.txt"]
        finally:
            shutil.move(f"{model}-away", model)
    assert done.is_nothing
    assert (done.chunks_encoded, done.num_files) == (0, 2)


def test_a_changed_file_has_only_its_new_chunk_encoded_and_the_others_get_their_new_lines(searcher, docs):
    text = (docs / "lamps.md").read_text()
    put(docs / "lamps.md", f"# Before\n\n{'Fog came in. ' * 60}\n\n{text}", LONG_AGO + 1)
    before = searcher.search('"Lamp 2"')[0]
    done = searcher.refresh()
    after = searcher.search('"Lamp 2"')[0]
    assert (done.changed, done.chunks_encoded) == (1, 1)
    assert (after.id, after.first_line) == (before.id, before.first_line + 4)
    assert after.legs["dense"] == before.legs["dense"]


def test_what_is_removed_is_found_no_more(searcher, docs):
    (docs / "bell.txt").unlink()
    assert searcher.refresh().removed == 1
    assert "bell.txt" not in names(searcher.search("bell"))
    other = docs.parent / "other"
    put(other / "fog.txt", "Fog.\n")
    searcher.refresh([other])
    assert names(searcher.search("lamp")) == ["fog.txt"]


def test_a_refresh_that_was_stopped_goes_on_where_it_was(tmp_path, docs, model, monkeypatch):
    monkeypatch.setattr(renew, "AT_ONCE", 1)
    real, calls = Encoders.documents, []

    def stop_at_the_third(self, texts):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, texts)

    monkeypatch.setattr(Encoders, "documents", stop_at_the_third)
    with Searcher.open(tmp_path / "index", model=model) as searcher, pytest.raises(KeyboardInterrupt):
        searcher.refresh([docs])
    with Searcher.open(tmp_path / "index") as searcher:
        assert searcher.refresh().chunks_encoded == 2
        assert len(searcher) == 4
        assert searcher.refresh().is_nothing


def test_literals_and_patterns_must_be_there_however_far_down_they_are(searcher, docs, monkeypatch, capsys):
    for number in range(30):
        put(docs / f"{number}.txt", f"The bell of ship {number} rang.\n")
    searcher.refresh()
    monkeypatch.setattr(candidates, "CANDIDATES", 2)
    assert names(searcher.search('bell "ship 17"', top_k=2)) == ["17.txt"]
    assert names(searcher.search(r"/ship \d3\b/", top_k=5)) in (["13.txt", "23.txt"], ["23.txt", "13.txt"])
    assert searcher.search('"no such words"') == []
    capsys.readouterr()
    monkeypatch.setattr(candidates, "MOST", 4)
    assert searcher.search('"no such words"', top_k=2) == []
    assert "looked at the nearest 4 of 34 chunks" in capsys.readouterr().err


def test_filters_ask_for_the_path_in_its_root(searcher):
    assert set(names(searcher.search("bell", where="path=*.md"))) == {"lamps.md"}
    assert names(searcher.search("lamp", where={"path": "bell.txt"}, mode="dense")) == ["bell.txt"]


def test_of_code_the_definition_comes_first_and_its_test_last(tmp_path, model):
    put(tmp_path / "repo" / "store.py", CODE)
    put(tmp_path / "repo" / "tests" / "test_store.py", TEST)
    with Searcher.open(tmp_path / "index", model=model, store="exact") as searcher:
        searcher.refresh([tmp_path / "repo"], code=True)
        found = searcher.search("load_weights")
        assert names(found) == ["store.py", "test_store.py"]
        assert searcher.search("load_weights", where="language=python", top_k=1) == found[:1]


def test_token_vectors_give_the_order_and_show_what_matched(tmp_path, late):
    put(tmp_path / "docs" / "a.md", "# Title\n\n\nNobody heard the bell.\n")
    put(tmp_path / "docs" / "b.md", "# Other\n\nFog.\n")
    with Searcher.open(tmp_path / "index", model=late, store="exact") as searcher:
        searcher.refresh([tmp_path / "docs"])
        found = searcher.search("bell")
    assert [one.legs["late"] for one in found] == sorted((one.legs["late"] for one in found), reverse=True)
    assert all(
        0 <= start < end <= len(one.text) and 0 < weight <= 1 for one in found for start, end, weight in one.spans
    )
    assert any(weight < 1 for _, _, weight in found[0].spans)


def test_a_context_keeps_to_its_budget_in_tokens_and_cites(searcher, docs):
    context = searcher.context("bell", budget=200)
    assert 0 < context.size <= 200
    assert f"[1] {docs / 'bell.txt'}:1" in context.text
    with pytest.raises(UserError, match="budget: found 0, expected at least 1"):
        searcher.context("bell", budget=0)


def test_another_model_is_refused_with_the_way_out(tmp_path, docs, model, late):
    own = tmp_path / "model"
    shutil.copytree(model, own)
    with Searcher.open(tmp_path / "index", model=own) as searcher:
        searcher.refresh([docs])
    with pytest.raises(UserError, match=r"made with the model .*index anew with --rebuild, or use the first"):
        Searcher.open(tmp_path / "index", model=late)
    with Searcher.open(tmp_path / "index", model=model) as same_weights_elsewhere:
        assert len(same_weights_elsewhere) == 4
    shutil.rmtree(own)
    write_model(own, intermediate_size=96)
    with Searcher.open(tmp_path / "index") as searcher, pytest.raises(UserError, match="--rebuild"):
        searcher.search("bell")


def test_a_view_needs_no_lock_and_refreshes_nothing(searcher):
    with Searcher.open(searcher.folder, read_only=True) as view:
        assert names(view.search("bell"))[0] == "bell.txt"
        with pytest.raises(UserError, match="read_only=True, hence not refreshed: open it without"):
            view.refresh()
    with pytest.raises(UserError, match="still in use by process"):
        Searcher.open(searcher.folder)


def test_an_index_within_what_it_indexes_does_not_hold_itself(docs, model):
    with Searcher.open(docs / "index", model=model, store="exact") as searcher:
        searcher.refresh([docs])
        put(docs / "index" / "note.txt", "Not to be found.\n")
        assert searcher.refresh().num_files == 2


def test_what_cannot_be_meant_is_refused(tmp_path, model, docs):
    with pytest.raises(UserError, match="found no index: make one with  modernbert index PATH"):
        Searcher.open(tmp_path / "nothing")
    with Searcher.open(tmp_path / "index", model=model, store="exact") as searcher:
        assert searcher.search("anything") == []
        assert searcher.context("anything", budget=9).text == ""
        with pytest.raises(UserError, match="found no paths to index, expected files or folders"):
            searcher.refresh()
        with pytest.raises(UserError, match="there is no such file or folder"):
            searcher.refresh([docs / "gone"])
        with pytest.raises(TypeError, match="takes a list of paths"):
            searcher.refresh(str(docs))
        with pytest.raises(UserError, match="top_k=0, expected 1 or more"):
            searcher.search("anything", top_k=0)
    assert json.loads((tmp_path / "index" / SETTINGS).read_text())["paths"] == []
