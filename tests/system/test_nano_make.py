"""The way from text to a signed, carded model that `models/nano/make.py` goes, on a corpus of a few modules."""

import json
import lzma
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from modernbert.core import packaged
from modernbert.demo.corpus import Document, docstrings
from modernbert.model.catalogue import catalogue
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.fill_mask import MaskFiller
from support.demonstration import MODULES
from support.warm import warm_python

ROOT = Path(__file__).resolve().parents[2]

SMALL = {
    "seed.yaml": {
        r"num_hidden_layers: 4, hidden_size: 128, intermediate_size: 192, num_attention_heads: 2": (
            "num_hidden_layers: 2, hidden_size: 64, intermediate_size: 96, num_attention_heads: 1"
        ),
        r"tokens: 10.5M": "tokens: 12K",
        r"over: 15M": "over: 8K",
        r"warmup: 40K": "warmup: 2K",
    },
    "nano.yaml": {
        r"num_hidden_layers: 7, hidden_size: 128, intermediate_size: 192, num_attention_heads: 2": (
            "num_hidden_layers: 4, hidden_size: 64, intermediate_size: 96, num_attention_heads: 1"
        ),
        r"tokens: 9M": "tokens: 12K",
        r"warmup: 100K": "warmup: 2K",
        r"tokens: 1.25M": "tokens: 8K",
        r"tokens: 3.75M": "tokens: 8K",
        r"at_least: \d+": "at_least: 64",
    },
    "further.yaml": {
        r"num_hidden_layers: 7, hidden_size: 128, intermediate_size: 192, num_attention_heads: 2": (
            "num_hidden_layers: 4, hidden_size: 64, intermediate_size: 96, num_attention_heads: 1"
        ),
        r"tokens: 9M": "tokens: 12K",
        r"warmup: 200K": "warmup: 2K",
        r"tokens: 4M": "tokens: 8K",
        r"size: 16384": "size: 8192",
    },
    "zh_ja.yaml": {
        r"num_hidden_layers: 4, hidden_size: 128, intermediate_size: 192, num_attention_heads: 2": (
            "num_hidden_layers: 2, hidden_size: 64, intermediate_size: 96, num_attention_heads: 1"
        ),
        r"tokens: 7M": "tokens: 12K",
        r"over: 7M": "over: 8K",
        r"warmup: 40K": "warmup: 2K",
        r"tokens: 0.5M": "tokens: 8K",
        r"tokens: 2M": "tokens: 8K",
        r"at_least: \d+": "at_least: 64",
        r"every: 1M, tokens: 20K": "tokens: 2K",
        r"^data:": "data:\n  most_epochs: 1000",
    },
    "mixture.yaml": {r"every: 1M, tokens: 20K": "tokens: 2K", r"^data:": "data:\n  most_epochs: 1000"},
}
"""What differs from the recipes as they are: sizes and budgets."""


def corpus(folder: Path) -> None:
    """Five sources, of docstrings and modules."""
    library = Path(sysconfig.get_path("stdlib"))
    documents = [Document(name=name, text=(library / name).read_text(encoding="utf-8")) for name in MODULES]
    told = [f"{text.split('.')[0]}\n\n{text * 3}" for text in docstrings(documents)]
    texts = {"python": [document.text for document in documents]}
    texts |= {name: told[number::4] for number, name in enumerate(("wiki", "arxiv", "novels", "wikinews"))}
    folder.mkdir()
    for name, rows in texts.items():
        for path, some in ((f"{name}-00000", rows[1:]), (f"heldout-{name}", rows[:1])):
            with lzma.open(folder / f"{path}.jsonl.xz", "wt") as lines:
                lines.writelines(json.dumps({"id": f"{path}-{i}", "text": text}) + "\n" for i, text in enumerate(some))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """The script as it is in a copy of the repository, with small recipes."""
    shutil.copytree(ROOT / "models", tmp_path / "models")
    for name, changes in SMALL.items():
        path = tmp_path / "models" / "nano" / name
        text = path.read_text()
        for pattern, other in changes.items():
            assert re.search(pattern, text, flags=re.MULTILINE), pattern
            text = re.sub(pattern, other, text, flags=re.MULTILINE)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "models" / "nano"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(
        sys, "executable", warm_python("modernbert.train.pretrain")
    )  # of two dozen steps, each a process
    for name in ("make", "zh_ja"):  # of an earlier test's copy
        monkeypatch.delitem(sys.modules, name, raising=False)
    import make

    monkeypatch.setattr(make, "VOCABULARY", 512)
    monkeypatch.setattr(make, "UNUSED", 8)
    corpus(tmp_path / "corpus")
    (tmp_path / "runs" / "nano" / "packages").mkdir(parents=True)  # as if it were made: no downloads in tests
    return make


def test_text_becomes_a_packaged_model_with_a_head_and_a_card(make, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["make.py", "corpus", "--out", "runs/nano", "--until", "pairs.jsonl"])
    make.main()
    nano = make.PACKAGE
    assert nano == tmp_path / "src" / "modernbert" / "models" / "nano"
    monkeypatch.setattr(packaged, "FOLDER", nano.parent)
    assert MaskFiller.from_pretrained("nano").fill(["import [MASK]"])[0][0]

    def run(script: str, *words: object) -> None:
        subprocess.run([sys.executable, f"models/nano/{script}.py", *map(str, words)], check=True)

    run("words", "runs/nano/pairs.jsonl", "--batch", 8, "--epochs", 2, "--out", "runs/nano/embedding")
    run("package", "head", "runs/nano/embedding", "--name", "embedding", "--out", nano)
    judged = tmp_path / "runs" / "nano" / "judged"
    texts = ("runs/nano/held-out", "--shards", "runs/nano/shards", "--models", f"nano={nano}")
    run("held_out", *texts, "--tokens", 2000, "--out", judged / "held_out.json")
    run("blanks", "--model", nano, "--out", judged / "blanks.json")
    scores = {"pretrained": {"score": 0.9}, "scratch": {"score": 0.8}, "tf-idf": {"score": 0.7}}
    (judged / "downstream.json").write_text(json.dumps({"sst2": scores}))
    (judged / "retrieval.json").write_text(json.dumps({"BM25": {"scifact": 0.6}, "embedding": {"scifact": 0.5}}))
    run("card", judged, "--runs", "runs/nano", "--out", nano)

    packaged._checked.cache_clear()
    trunk, head = catalogue()
    assert (trunk.name, head.name) == ("nano", "nano:embedding")
    assert trunk.about.startswith("A ModernBERT of ")
    assert Embedder.from_pretrained("nano").encode(["two"]).shape == (1, 256)
    card = (nano / "README.md").read_text()
    for told in (
        "| bigram |",
        "| sst2 | accuracy | 0.900 | 0.800 | 0.700 |",
        "| BM25 | 0.600 |",
        "how: preserve",
        "First guess right",
    ):
        assert told in card
    assert [card.count(f"| {stage} |") for stage in ("nano, decay", "further, decay")] == [1, 1]
    of_head = nano / "heads" / "embedding" / "README.md"
    before = of_head.read_text()
    assert "| BM25 | 0.600 |" in before
    (judged / "retrieval.json").unlink()  # a head's card keeps what is not judged anew
    run("card", judged, "--runs", "runs/gone", "--out", nano)
    assert of_head.read_text() == before
    assert (nano / "README.md").read_text() == card
    for name in ("seed", "nano"):  # their facts stand in the card alone
        shutil.rmtree(tmp_path / "runs" / "nano" / name)
    run("card", judged, "--runs", "runs/nano", "--out", nano)
    assert (nano / "README.md").read_text() == card
    (nano / "README.md").write_text(_without_the_last_run(card))
    run("card", judged, "--runs", "runs/nano", "--out", nano)
    read_on = (nano / "README.md").read_text()
    assert [line for line in read_on.splitlines() if "| further, " in line] == [
        line for line in card.splitlines() if "| further, " in line
    ]
    assert read_on.count("```yaml") == card.count("```yaml") == 3
    assert " further reads on from there, on 1 processes: Python " in read_on


def _without_the_last_run(card: str) -> str:
    lines = [line for line in card.splitlines() if "| further, " not in line]
    blocks = "\n".join(lines).split("```yaml")
    return "```yaml".join(blocks[:-1]).rstrip() + "\n"


SENTENCES = {
    "zh": ("我们今天去公园。", "北京是中国的首都。", "他出生于上海，是一名演员。", "这部电影很好看。", "酒店的房间很干净。", "河边有很多人。"),
    "ja": ("吾輩は猫である。", "彼は部屋を出て行った。", "雨が降っていた。", "母は台所で飯を炊いている。", "東京へ行きました。", "彼女の顔は赤くなった。"),
}  # fmt: skip


def test_chinese_and_japanese_become_a_model_and_a_page(make, tmp_path, monkeypatch):
    import zh_ja

    monkeypatch.setattr(zh_ja, "VOCABULARY", 512)
    monkeypatch.setattr(zh_ja, "UNUSED", 8)
    draw = random.Random(17)
    for name, sentences in SENTENCES.items():
        with lzma.open(tmp_path / "corpus" / f"{name}-00000.jsonl.xz", "wt", encoding="utf-8") as lines:
            for i in range(300):
                text = "".join(draw.choices(sentences, k=40)) + str(i)
                lines.write(json.dumps({"id": f"{name}-{i}", "text": text}) + "\n")
    judged = tmp_path / "runs" / "zh-ja" / "judged"
    judged.mkdir(parents=True)
    scores = {"pretrained": {"score": 0.9}, "scratch": {"score": 0.8}, "tf-idf": {"score": 0.7}}
    (judged / "downstream.json").write_text(json.dumps(dict.fromkeys(("chnsenticorp", "jsts"), scores)))
    monkeypatch.setattr("sys.argv", ["zh_ja.py", "corpus", "--task-data", "tasks"])
    zh_ja.main()
    page = (tmp_path / "runs" / "zh-ja" / "README.md").read_text(encoding="utf-8")
    for told in (
        "| jsts | Spearman | 0.900 | 0.800 | 0.700 |",
        "| bigram |",
        "It starts from counted embeddings.",
        "First guess right: Chinese ",
        "吾輩は猫で",
    ):
        assert told in page
    assert page.count("| zh-ja, decay |") == 1
