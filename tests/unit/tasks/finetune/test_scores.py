"""Measures against scikit-learn, seqeval and a transcript of SQuAD's official script, on nasty cases."""

import random
import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score

from modernbert.data.records import Record
from modernbert.tasks.config import METRICS
from modernbert.tasks.finetune.calibration import calibration_error, loss, temperature
from modernbert.tasks.finetune.columns import find_columns
from modernbert.tasks.finetune.examples import Asked, Examples, Tagged, label_names, to_examples
from modernbert.tasks.finetune.linear import linear_scores
from modernbert.tasks.finetune.scores import answer_scores, label_scores, number_scores, several_scores, tag_scores
from modernbert.tasks.prediction import softmax
from support.labelled import ROWS


def _official_normalize(text: str) -> str:
    """As SQuAD's evaluate-v2.0.py does it."""

    def remove_articles(text):
        return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)

    def remove_punctuation(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return " ".join(remove_articles(remove_punctuation(text.lower())).split())


def _official_f1(gold: str, guess: str) -> float:
    golds, guesses = _official_normalize(gold).split(), _official_normalize(guess).split()
    num_same = sum((Counter(golds) & Counter(guesses)).values())
    if len(golds) == 0 or len(guesses) == 0:
        return float(golds == guesses)
    if num_same == 0:
        return 0.0
    precision, recall = num_same / len(guesses), num_same / len(golds)
    return 2 * precision * recall / (precision + recall)


TEXTS = st.sampled_from(
    [
        "",
        "the",
        "The cat",
        "cat",
        "a cat, the cat!",
        "an  answer",
        "U.S.",
        "us",
        "1,000",
        "the a an",
        "ﬁx",
        "Éclair",
        "cat cat",
    ]
)


@given(golds=st.lists(TEXTS.filter(bool), max_size=3), guess=TEXTS)
def test_answers_are_scored_as_the_official_script_does(golds, guess):
    example = Asked("1", "q", "c", tuple((gold, 0) for gold in golds))
    found = answer_scores([guess], [example])
    normal = [gold for gold in golds if _official_normalize(gold)] or [""]
    assert found["exact"] == max(float(_official_normalize(guess) == _official_normalize(gold)) for gold in normal)
    assert found["f1"] == pytest.approx(max(_official_f1(gold, guess) for gold in normal))


def test_questions_without_an_answer_are_scored_apart():
    asked = [Asked("1", "q", "c", (("cat", 0),)), Asked("2", "q", "c", ())]
    assert answer_scores(["cat", "dog"], asked) == {
        "f1": 0.5,
        "exact": 0.5,
        "f1_answerable": 1.0,
        "f1_unanswerable": 0.0,
    }


@pytest.mark.parametrize("true", [[0, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1]])
@pytest.mark.parametrize("guessed", [[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 1, 0]])
def test_two_labels_are_scored_without_a_warning_even_where_one_is_missing(true, guessed):
    found = label_scores(np.array(guessed), np.array(true), 2)
    assert found["accuracy"] == np.mean(np.array(true) == np.array(guessed))
    assert all(-1 <= value <= 1 for value in found.values())


def test_a_constant_guess_correlates_with_nothing_and_is_no_nan():
    assert number_scores(np.ones(4), np.arange(4.0))["spearman"] == 0.0
    assert number_scores(np.arange(4.0) * 3, np.arange(4.0))["pearson"] == pytest.approx(1.0)


def test_rows_without_any_label_count_in_multi_label_scores():
    found = several_scores(np.array([[False, False], [True, False]]), [(), (0, 1)])
    assert found["exact_match"] == 0.5
    assert found["f1_micro"] == pytest.approx(2 / 3)


@given(seed=st.integers(0, 10_000))
def test_entities_are_scored_as_seqeval_does(seed):
    labels = ("O", "B-A", "I-A", "B-B", "I-B")
    chance = np.random.default_rng(seed)
    rows = [chance.integers(0, 5, size=n).tolist() for n in (1, 4, 9)]
    guessed = [chance.integers(0, 5, size=len(row)).tolist() for row in rows]
    examples = [Tagged(("w",) * len(row), tuple(row)) for row in rows]
    names = [[[labels[tag] for tag in row] for row in each] for each in (rows, guessed)]
    assert tag_scores(guessed, examples, labels)["f1"] == pytest.approx(float(f1_score(*names, zero_division=0)))


def test_a_word_that_no_token_stands_for_is_outside():
    found = tag_scores([[1, -1]], [Tagged(("a", "b"), (1, 0))], ("O", "B-A"))
    assert found["f1"] == 1.0


def test_the_temperature_is_the_one_that_scaled_the_logits():
    chance = np.random.default_rng(0)
    logits = chance.normal(size=(4000, 3)) * 2
    shares = softmax(logits)
    targets = np.array([chance.choice(3, p=row) for row in shares])
    found = temperature(logits * 2.5, targets)
    assert found == pytest.approx(2.5, rel=0.08)
    assert loss(logits * 2.5 / found, targets) < loss(logits * 2.5, targets)
    assert calibration_error(shares, targets) < 0.03 < calibration_error(softmax(logits * 2.5), targets)


def test_of_several_labels_each_is_calibrated_by_its_sigmoid():
    chance = np.random.default_rng(0)
    logits = chance.normal(size=(3000, 4)) * 2
    targets = (chance.random((3000, 4)) < 1 / (1 + np.exp(-logits))).astype(float)
    assert temperature(logits * 3, targets) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("task", ["seq_cls", "multi_label", "regression", "token_cls"])
def test_counted_words_learn_what_words_say(task):
    chance = random.Random(0)
    rows = [Record(ROWS[task](chance), f"row {i}") for i in range(300)]
    columns = find_columns(task, rows[0], {})
    labels = label_names(task, rows, columns)
    train, test = (to_examples(task, some, columns, labels, split="train") for some in (rows[:200], rows[200:]))
    found = linear_scores(task, Examples(labels=labels, train=train, validation=[], test=test))
    assert found[METRICS[task][0]] > 0.75
