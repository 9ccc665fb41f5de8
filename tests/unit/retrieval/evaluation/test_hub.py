"""Sets in the Hub's layout, by `datasets` from a folder; tasks as mteb has them, loaded; and what is said offline."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from modernbert.core.errors import MissingExtraError, UserError
from modernbert.retrieval.evaluation.hub import of_task
from modernbert.retrieval.evaluation.sources import open_collection

CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: qrels/train.jsonl}
  - {split: test, path: qrels/test.jsonl}
- config_name: corpus
  data_files: [{split: corpus, path: corpus.jsonl}]
- config_name: queries
  data_files: [{split: queries, path: queries.jsonl}]
---
"""
CORPUS = [{"_id": "1", "title": "Ships", "text": "They sail."}, {"_id": "2", "title": "", "text": "towers"}]
QUERIES = [{"_id": "a", "text": "what sails?"}, {"_id": "b", "text": "what stands?"}]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def _write(folder, card=CARD):
    (folder / "qrels").mkdir(parents=True)
    (folder / "README.md").write_text(card)
    judged = {"test": [{"query-id": "a", "corpus-id": "1", "score": 1.0}], "train": [{"query-id": "b", "corpus-id": "2", "score": 1.0}]}  # fmt: skip
    for name, rows in {"corpus": CORPUS, "queries": QUERIES, "qrels/test": judged["test"], "qrels/train": judged["train"]}.items():  # fmt: skip
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("name", ["default", "qrels"])
def test_a_set_in_the_hubs_layout_is_read(tmp_path, name):
    folder = _write(tmp_path / "sea", CARD.replace("config_name: default", f"config_name: {name}"))
    found = open_collection(f"hub:{folder}")
    assert (found.name, found.documents["1"]) == ("sea", "Ships They sail.")
    assert found.relevant == {"a": {"1": 1}}
    assert open_collection(f"hub:{folder}", split="train").relevant == {"b": {"2": 1}}


def test_judgements_may_be_a_set_of_their_own(tmp_path):
    lines = CARD.splitlines(keepends=True)
    _write(tmp_path / "sea", "".join([*lines[:2], *lines[6:]]))
    (tmp_path / "sea-qrels").mkdir()
    (tmp_path / "sea-qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nb\t2\t1\n")
    assert open_collection(f"hub:{tmp_path / 'sea'}").relevant == {"b": {"2": 1}}


def test_a_split_that_is_not_there_is_one_sentence(tmp_path):
    folder = _write(tmp_path / "sea")
    with pytest.raises(UserError, match=r"has no judgements 'dev'.*found no split 'dev', expected one of train, test"):
        open_collection(f"hub:{folder}", split="dev")


def test_offline_is_one_sentence():
    with pytest.raises(
        UserError, match=r"'nobody/nothing', corpus cannot be had \(.*\): go online once, or give a folder"
    ):
        open_collection("hub:nobody/nothing")


def _task(**subsets):
    data = {
        name: {"test": {"corpus": CORPUS, "queries": QUERIES, "relevant_docs": relevant, "top_ranked": None}}
        for name, relevant in subsets.items()
    }
    return SimpleNamespace(metadata=SimpleNamespace(name="Sea"), dataset=data, load_data=lambda: None)


def test_a_task_of_mteb_gives_its_collection():
    found = of_task(_task(default={"a": {"1": 1}}))
    assert (found.name, found.queries, found.relevant) == ("Sea", {"a": "what sails?"}, {"a": {"1": 1}})
    several = _task(en={"a": {"1": 1}}, de={"b": {"2": 1}})
    assert of_task(several, subset="de").name == "Sea-de"
    with pytest.raises(UserError, match=r"found no subset '', expected mteb:Sea/SUBSET of en, de"):
        of_task(several)
    with pytest.raises(UserError, match=r"found no split 'dev', expected one of test"):
        of_task(several, subset="en", split="dev")


def _mteb(monkeypatch, get_task):
    mteb = ModuleType("mteb")
    mteb.get_task = get_task  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mteb", mteb)


def test_what_mteb_says_becomes_one_sentence(monkeypatch):
    def unknown(name, *, hf_subsets):
        raise KeyError(f"KeyError: '{name}' not found. Did you mean: 'Sea'?")

    _mteb(monkeypatch, unknown)
    with pytest.raises(UserError, match=r"mteb knows no task 'Se' \('Se' not found\. Did you mean: 'Sea'\?\): check"):
        open_collection("mteb:Se")

    def far(**_):
        raise ConnectionError("Couldn't reach it.\nmany more lines")

    asked = []
    task = _task(en={"a": {"1": 1}})
    task.load_data = far
    _mteb(monkeypatch, lambda name, *, hf_subsets: asked.append((name, hf_subsets)) or task)
    with pytest.raises(
        UserError, match=r"the set of mteb's MultiLongDocRetrieval cannot be had \(Couldn't reach it\): go"
    ):
        open_collection("mldr")
    assert asked == [("MultiLongDocRetrieval", ["en"])]


def test_without_mteb_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(MissingExtraError, match="pip install mteb"):
        open_collection("mteb:SciFact")
