"""How the packaged heads are taught: rows from a teacher, and a number that becomes two labels."""

import json
import lzma
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from modernbert.model.heads import SequenceClassifier, TokenClassifier
from modernbert.model.store import fresh, load, save
from modernbert.ops.packed import Packed
from support.small import small_model
from support.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]
TEXT = (
    "A lovely day in Rome. It was awful, said Anna, really dull and awful!\nRome 2, Paris 1\n" + "Lovely words. " * 40
)


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "models" / "nano"))


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text.jsonl"
    path.write_text(json.dumps({"text": TEXT}) + "\n")
    return str(path)


def _rows(folder: Path) -> list[dict]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_open_text_gets_the_odds_of_a_teacher_that_counted_reviews(tmp_path, corpus, monkeypatch):
    import distil

    for name, field in (("sst2", "sentence"), ("imdb", "text")):
        (tmp_path / name).mkdir()
        with lzma.open(tmp_path / name / "train.jsonl.xz", "wt") as file:
            for word, label in (("lovely", 1), ("awful", 0)):
                file.writelines(json.dumps({field: f"a {word} film {i}", "label": label}) + "\n" for i in range(9))
    monkeypatch.setattr(
        "sys.argv", ["", "sentiment", str(tmp_path), corpus, "--rows", "80", "--out", str(tmp_path / "o")]
    )
    distil.main()
    odds = {row["text"].lower(): row["label"] for row in _rows(tmp_path / "o")}
    praise = [value for text, value in odds.items() if "lovely" in text]
    blame = [value for text, value in odds.items() if "awful" in text]
    assert min(praise) > 0 > max(blame)
    assert max(map(abs, odds.values())) <= distil.ODDS
    assert all(text in TEXT.lower() for text in odds)
    assert any(len(text) >= distil.PARAGRAPHS[0] for text in odds)


def test_open_text_gets_the_tags_of_a_tagger(tmp_path, corpus):
    import distil

    _, tokenizer = small_model()
    config = tiny_config(vocab_size=tokenizer.vocab_size, labels=("O", "B-LOC", "I-LOC"))
    save(fresh(config, TokenClassifier, seed=4), tmp_path / "teacher")
    tokenizer.save(tmp_path / "teacher")
    assert "Rome 2, Paris 1" in distil._lines(TEXT)
    rows = list(distil.entities(tmp_path / "teacher", [corpus], 50, random.Random(1)))
    lines = {" ".join(row["tokens"]).lower().replace(" ", "") for row in rows}
    assert lines <= {found.lower().replace(" ", "") for found in distil._lines(TEXT)}
    assert all(len(row["tokens"]) == len(row["tags"]) for row in rows)
    some = [set(row["tags"]) != {"O"} for row in rows]
    assert sum(some) >= 4 * (len(some) - sum(some))


def test_two_labels_have_the_odds_of_the_number_before():
    import two_sided

    model = fresh(tiny_config(labels=("score",), problem_type="regression"), SequenceClassifier, seed=2)
    with torch.no_grad():
        model.classifier.bias.fill_(0.3)
    packed = Packed.from_lists([[1, 5, 9], [7, 7]])
    with torch.no_grad():
        odds_N = model(packed)[:, 0]
        probabilities_N2 = two_sided.two_sided(model)(packed).softmax(1)
    torch.testing.assert_close(probabilities_N2[:, 1], torch.sigmoid(odds_N))
    assert model.config.labels == ("negative", "positive")


def test_the_script_writes_a_classifier_that_opens(tmp_path, monkeypatch):
    import two_sided

    _, tokenizer = small_model()
    config = tiny_config(vocab_size=tokenizer.vocab_size, labels=("score",), problem_type="regression")
    save(fresh(config, SequenceClassifier, seed=2), tmp_path / "run")
    tokenizer.save(tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["two_sided.py", str(tmp_path / "run"), "--out", str(tmp_path / "two")])
    two_sided.main()
    found = load(tmp_path / "two", SequenceClassifier)
    np.testing.assert_array_equal(
        found.classifier.weight[0].numpy(force=True), -found.classifier.weight[1].numpy(force=True)
    )
    assert found.config.problem_type == "single_label_classification"
