"""The demonstration of a packaged model, with a small library: parsing all of it takes seconds."""

import json
import sysconfig
from pathlib import Path

import pytest

from modernbert.cli.demo import Demo
from modernbert.core import packaged
from modernbert.demo import show
from modernbert.demo.config import Settings
from modernbert.demo.corpus import Document
from support.demonstration import MODULES
from support.packages import package


@pytest.fixture
def wee(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "embedding")
    library = Path(sysconfig.get_path("stdlib"))
    documents = [Document(name=name, text=(library / name).read_text(encoding="utf-8")) for name in MODULES]
    monkeypatch.setattr(show, "standard_library", lambda: documents)
    return "wee"


def test_it_fills_masks_searches_and_offers_to_train(wee, capsys):
    Demo(model=wee, settings=Settings()).run()
    told = capsys.readouterr().out
    assert all(" ".join(text.split()) in told for text in show.BLANKS)
    assert all(question in told for question in show.QUESTIONS)
    assert "functions of the standard library" in told
    assert told.splitlines()[-1] == "train one yourself, live: modernbert demo --train"


def test_heads_are_shown_where_the_model_has_them(wee, capsys, monkeypatch):
    monkeypatch.setattr(show, "search", lambda _: show.Search(num_functions=0, seconds=0.0, answers=()))
    monkeypatch.setattr(packaged, "FOLDER", Path(packaged.__file__).parents[1] / "models")
    Demo(model="nano", settings=Settings()).run()
    told = capsys.readouterr().out
    assert "      positive " in told
    assert ": beautiful" in told
    assert "Angela Merkel PER" in told


def test_a_program_reads_the_same(wee, capsys):
    Demo(model=wee, settings=Settings(), json=True).run()
    told = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in told["filled"]] == list(show.BLANKS)
    assert {len(row["guesses"]) for row in told["filled"]} == {4}
    answers = told["search"]["answers"]
    assert [row["question"] for row in answers] == list(show.QUESTIONS)
    cosines = [cosine for _, cosine in answers[0]["nearest"]]
    assert cosines == sorted(cosines, reverse=True)


def test_a_question_in_a_functions_own_words_finds_it(wee):
    one = show.functions(show.standard_library())[0]
    text = f"{one.name}\n{one.source[: show.MOST_LETTERS]}"
    found = show.search(wee, [text])
    assert found.answers[0].nearest[0][0] == one
    assert found.answers[0].nearest[0][1] == pytest.approx(1, abs=1e-4)
