"""How good predictions are, by the field's measures: scikit-learn's, SciPy's, seqeval's, and SQuAD's exact match and F1.

Shapes:  N rows   C labels   T tokens
"""

import re
import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import cast

import numpy as np

from modernbert.core.errors import require
from modernbert.tasks.config import Task
from modernbert.tasks.entities import is_bio
from modernbert.tasks.finetune.examples import Asked, Choice, Example, Labelled, Tagged
from modernbert.tasks.finetune.features import Features
from modernbert.tasks.passages import best_answers


def score(
    task: Task, outputs: Sequence[np.ndarray], features: Features, examples: Sequence[Example], labels: Sequence[str]
) -> dict[str, float]:
    """All measures of a task, 0 to 1 but for errors.

    Args:
        outputs: logits, one array a row of `features`: [C], of tags [T, C], of answers [2, T] (padding is not read).
    """
    if task == "token_cls":
        return tag_scores(guessed_tags(outputs, features, examples), cast("Sequence[Tagged]", examples), labels)
    if task == "qa":
        asked = cast("Sequence[Asked]", examples)
        return answer_scores(guessed_answers(outputs, features, asked), asked)
    logits_NC = np.stack([np.atleast_1d(row) for row in outputs]).astype(np.float64)
    if task == "multiple_choice":
        rights = np.array([each.target for each in cast("Sequence[Choice]", examples)])
        return {"accuracy": float((logits_NC.argmax(1) == rights).mean())}
    targets = [each.target for each in cast("Sequence[Labelled]", examples)]
    if task == "regression":
        return number_scores(logits_NC[:, 0], np.array(targets, dtype=np.float64))
    if task == "multi_label":
        return several_scores(logits_NC > 0, [cast("tuple[int, ...]", each) for each in targets])
    return label_scores(logits_NC.argmax(1), np.array(targets, dtype=np.int64), len(labels))


def label_scores(guessed_N: np.ndarray, true_N: np.ndarray, num_labels: int) -> dict[str, float]:
    """One label a row; of two labels, precision, recall and F1 are the second's."""
    metrics = require("sklearn.metrics", extra="finetune")
    found = {
        "accuracy": metrics.accuracy_score(true_N, guessed_N),
        "f1_macro": metrics.f1_score(true_N, guessed_N, average="macro", zero_division=0),
        "matthews": metrics.matthews_corrcoef(true_N, guessed_N),
    }
    if num_labels == 2:
        found |= {
            "f1": metrics.f1_score(true_N, guessed_N, zero_division=0),
            "precision": metrics.precision_score(true_N, guessed_N, zero_division=0),
            "recall": metrics.recall_score(true_N, guessed_N, zero_division=0),
        }
    return {name: float(value) for name, value in found.items()}


def several_scores(guessed_NC: np.ndarray, targets: Sequence[Sequence[int]]) -> dict[str, float]:
    """Any number of labels a row."""
    metrics = require("sklearn.metrics", extra="finetune")
    true_NC = np.zeros(guessed_NC.shape, dtype=bool)
    for row, target in enumerate(targets):
        true_NC[row, list(target)] = True
    return {
        "f1_micro": float(metrics.f1_score(true_NC, guessed_NC, average="micro", zero_division=0)),
        "f1_macro": float(metrics.f1_score(true_NC, guessed_NC, average="macro", zero_division=0)),
        "exact_match": float((true_NC == guessed_NC).all(1).mean()),
    }


def number_scores(guessed_N: np.ndarray, true_N: np.ndarray) -> dict[str, float]:
    """A number a row; a correlation with a constant is 0, not NaN."""
    stats = require("scipy.stats", extra="finetune")
    errors_N = guessed_N - true_N
    found = {"mae": float(np.abs(errors_N).mean()), "rmse": float(np.sqrt((errors_N**2).mean()))}
    if len(true_N) < 2 or np.ptp(guessed_N) == 0 or np.ptp(true_N) == 0:
        return {"pearson": 0.0, "spearman": 0.0, **found}
    return {
        "pearson": float(stats.pearsonr(guessed_N, true_N).statistic),
        "spearman": float(stats.spearmanr(guessed_N, true_N).statistic),
        **found,
    }


def guessed_tags(outputs: Sequence[np.ndarray], features: Features, examples: Sequence[Example]) -> list[list[int]]:
    """A tag for each word of each example that a token stands for; -1 for a word that none does."""
    found = [[-1] * len(each.words) for each in cast("Sequence[Tagged]", examples)]
    places: dict[int, int] = defaultdict(int)
    for logits_TC, heads, owner in zip(outputs, features.heads, features.owners, strict=True):
        tags_T = np.asarray(logits_TC).argmax(-1)
        for head in heads:
            if head is not None:
                found[owner][places[owner]] = int(tags_T[head])
            places[owner] += 1
    return found


def tag_scores(guessed: Sequence[Sequence[int]], examples: Sequence[Tagged], labels: Sequence[str]) -> dict[str, float]:
    """Entities that are right in type and both ends, where tags are BIO; the share of right tags in any case."""
    outside = labels.index("O") if "O" in labels else 0
    guessed = [[outside if tag < 0 else tag for tag in row] for row in guessed]
    pairs = [(a, b) for row, each in zip(guessed, examples, strict=True) for a, b in zip(row, each.tags, strict=True)]
    found = {"accuracy": sum(a == b for a, b in pairs) / len(pairs)}
    if not is_bio(labels):
        true, predicted = [b for _, b in pairs], [a for a, _ in pairs]
        metrics = require("sklearn.metrics", extra="finetune")
        return {"f1": float(metrics.f1_score(true, predicted, average="macro", zero_division=0)), **found}
    seqeval = require("seqeval.metrics", extra="finetune")
    true_names = [[labels[tag] for tag in each.tags] for each in examples]
    names = [[labels[tag] for tag in row] for row in guessed]
    return {
        "f1": float(seqeval.f1_score(true_names, names, zero_division=0)),
        "precision": float(seqeval.precision_score(true_names, names, zero_division=0)),
        "recall": float(seqeval.recall_score(true_names, names, zero_division=0)),
        **found,
    }


def guessed_answers(outputs: Sequence[np.ndarray], features: Features, examples: Sequence[Asked]) -> list[str]:
    """The best answer to each question, "" where the text does not say. Sets without such questions get an answer always."""
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, owner in enumerate(features.owners):
        rows_of[owner].append(row)
    always = all(each.answers for each in examples)
    found = []
    for number, example in enumerate(examples):
        parts = [features.parts[row] for row in rows_of[number]]
        starts, ends = ([np.asarray(outputs[row])[side] for row in rows_of[number]] for side in (0, 1))
        best = best_answers(parts, starts, ends, top_k=2)
        answer = best[1] if always and best[0].start == best[0].end and len(best) > 1 else best[0]
        found.append(example.context[answer.start : answer.end])
    return found


def answer_scores(guessed: Sequence[str], examples: Sequence[Asked]) -> dict[str, float]:
    """SQuAD's measures (Rajpurkar et al., arXiv 1606.05250 and 1806.03822): the best over the given answers."""
    exact, overlap = [], []
    for answer, example in zip(guessed, examples, strict=True):
        golds = [text for text, _ in example.answers if _plain(text)] or [""]
        exact.append(max(float(_plain(answer) == _plain(gold)) for gold in golds))
        overlap.append(max(_overlap(answer, gold) for gold in golds))
    found = {"f1": float(np.mean(overlap)), "exact": float(np.mean(exact))}
    says = np.array([bool(each.answers) for each in examples])
    if not says.all():
        has = np.array(overlap)
        found |= {
            "f1_answerable": float(has[says].mean()) if says.any() else 0.0,
            "f1_unanswerable": float(has[~says].mean()),
        }
    return found


def _overlap(answer: str, gold: str) -> float:
    words, golden = _plain(answer).split(), _plain(gold).split()
    if not words or not golden:
        return float(words == golden)
    same = sum((Counter(words) & Counter(golden)).values())
    return 2 * same / (len(words) + len(golden))


def _plain(text: str) -> str:
    """Lower case, without punctuation, articles and extra space."""
    bare = "".join(mark for mark in text.lower() if mark not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
