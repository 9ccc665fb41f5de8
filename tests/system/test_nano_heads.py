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
    told = {text.replace("n't", "").replace(" not", "") for text in odds}
    assert all(text in TEXT.lower() for text in told)
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
    found = load(tmp_path / "two", SequenceClassifier, dtype="float32")
    np.testing.assert_array_equal(
        found.classifier.weight[0].numpy(force=True), -found.classifier.weight[1].numpy(force=True)
    )
    assert found.config.problem_type == "single_label_classification"


def test_a_negation_turns_the_words_up_to_the_next_stop():
    import opinions

    assert opinions.words_of("The food wasn't good, but cheap!") == [
        "the", "food", "was", "n't", "not_good", "but", "cheap", "!",
    ]  # fmt: skip
    assert opinions.words_of("It was n’t bad: never dull.") == ["it", "was", "n't", "not_bad", "never", "not_dull"]


def test_a_turned_word_that_no_review_has_is_told_by_the_word_itself():
    import opinions

    said = [("a tasteful room", 1), ("a shabby room", 0), ("it was not cheap", 0), ("it was cheap", 1)]
    teacher = opinions.Counted([(f"{text} {i}", label) for text, label in said for i in range(20)])
    tasteful, shabby, untasteful, unshabby = teacher.log_odds(
        ["a tasteful room", "a shabby room", "not a tasteful room", "not a shabby room"]
    )
    assert tasteful > 0 > shabby
    assert untasteful < unshabby
    assert {"tasteful", "shabby", "cheap"} <= teacher.minds(0.1)
    assert not any(word.startswith(opinions.TURNED) for word in teacher.minds(0.0))


def test_pieces_with_words_that_matter_go_first_until_each_was_seen_often(monkeypatch):
    import distil

    monkeypatch.setattr(distil, "OFTEN", 2)
    pieces = ["one plain", "a dull day", "two plain", "Dull!", "dull again", "a dull and lovely day"]
    assert distil.seldom_first(pieces, frozenset({"dull", "lovely"})) == [
        "a dull day", "Dull!", "a dull and lovely day", "one plain", "two plain", "dull again",
    ]  # fmt: skip


def test_a_negation_goes_behind_a_verb_that_takes_one(monkeypatch):
    import distil

    monkeypatch.setattr(distil, "NEGATED", 1.0)
    found = {
        text
        for seed in range(20)
        for text in distil.negated(["The day was fine.", "It is not.", "It wasn't.", "A day."], random.Random(seed))
    }
    assert found == {"The day was not fine.", "The day wasn't fine."}


def test_the_card_shows_every_contrast_and_counts_the_right_ones():
    import card_parts

    found = [
        {"text": "It is good.", "label": 1, "praise": 0.9},
        {"text": "It isn't good.", "label": 0, "praise": 0.6},
        {"text": "It never fails.", "label": 1, "praise": 0.2},
        {"text": "It fails.", "label": 0, "praise": 0.4},
    ]
    told = card_parts.contrasts(found)
    assert "2 of 4 on the right side of a half, 1 of 2 pairs in the right order" in told
    assert "| It is good. | 90% | It isn't good. | 60% |" in told
    assert "| It never fails. | 20% | It fails. | 40% |" in told


def test_the_packaged_head_is_asked_every_contrast():
    import heads
    from contrasts import CONTRASTS

    found = heads.contrasts("nano")
    assert [one["text"] for one in found] == [text for pair in CONTRASTS for text in pair]
    assert [one["label"] for one in found] == [1, 0] * len(CONTRASTS)
    assert all(0 < one["praise"] < 1 for one in found)
