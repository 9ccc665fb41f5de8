"""What counting words reaches on the same rows: TF-IDF under a linear model, the score that a fine-tuned model has to beat.

Of texts, words and pairs of words; of pairs of texts, the words that both, the first or the second have, and their cosine; of
tags, the word, its shape, its end and its neighbours. Seconds instead of minutes. Not for questions and choices.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from modernbert.core.errors import require
from modernbert.tasks.config import Task
from modernbert.tasks.finetune.examples import Examples, Labelled, Tagged
from modernbert.tasks.finetune.scores import label_scores, number_scores, several_scores, tag_scores

_C = 10.0
"""Inverse strength of the regularisation."""


def linear_scores(task: Task, examples: Examples) -> dict[str, float]:
    """Scores of the test rows."""
    if task == "token_cls":
        return _tags(examples)
    train, test = (cast("list[Labelled]", rows) for rows in (examples.train, examples.test))
    features = _PairFeatures() if train[0].pair is not None else _TextFeatures()
    train_NF, test_NF = features.fit(train), features.read(test)
    if task == "regression":
        ridge = require("sklearn.linear_model", extra="finetune").Ridge(alpha=1.0)
        ridge.fit(train_NF, [each.target for each in train])
        return number_scores(ridge.predict(test_NF), np.array([each.target for each in test], dtype=np.float64))
    linear = require("sklearn.linear_model", extra="finetune").LogisticRegression(max_iter=1000, C=_C)
    if task == "seq_cls":
        linear.fit(train_NF, [each.target for each in train])
        return label_scores(linear.predict(test_NF), np.array([each.target for each in test]), len(examples.labels))
    targets = [cast("tuple[int, ...]", each.target) for each in train]
    guessed_NC = np.zeros((len(test), len(examples.labels)), dtype=bool)
    for label in range(len(examples.labels)):
        has_it = [label in target for target in targets]
        guessed_NC[:, label] = linear.fit(train_NF, has_it).predict(test_NF) if len(set(has_it)) == 2 else has_it[0]
    return several_scores(guessed_NC, [cast("tuple[int, ...]", each.target) for each in test])


class _TextFeatures:
    def __init__(self) -> None:
        text = require("sklearn.feature_extraction.text", extra="finetune")
        # Characters stand in for words where nothing is spaced.
        self._words = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        self._letters = text.TfidfVectorizer(
            analyzer="char", ngram_range=(1, 2), sublinear_tf=True, max_features=50_000
        )
        self._vectorizer = self._words

    def fit(self, rows: Sequence[Labelled]) -> Any:
        texts = [row.text for row in rows]
        spaces = sum(text.count(" ") for text in texts) / max(1, sum(map(len, texts)))
        self._vectorizer = self._words if spaces > 0.05 else self._letters
        return self._vectorizer.fit_transform(texts)

    def read(self, rows: Sequence[Labelled]) -> Any:
        return self._vectorizer.transform([row.text for row in rows])


class _PairFeatures:
    def __init__(self) -> None:
        self._one = _TextFeatures()

    def fit(self, rows: Sequence[Labelled]) -> Any:
        self._one.fit([Labelled(text or "", None, 0) for row in rows for text in (row.text, row.pair)])
        return self.read(rows)

    def read(self, rows: Sequence[Labelled]) -> Any:
        sparse = require("scipy.sparse", extra="finetune")
        left = self._one.read(rows)
        right = self._one.read([Labelled(row.pair or "", None, 0) for row in rows])
        both = left.multiply(right)
        cosine = sparse.csr_matrix(both.sum(1))
        return sparse.hstack([both, abs(left - right), cosine]).tocsr()


def _tags(examples: Examples) -> dict[str, float]:
    features = require("sklearn.feature_extraction", extra="finetune").DictVectorizer()
    linear = require("sklearn.linear_model", extra="finetune").LogisticRegression(max_iter=200, C=_C)
    train, test = (cast("list[Tagged]", rows) for rows in (examples.train, examples.test))
    linear.fit(
        features.fit_transform(words_around([row.words for row in train])), [tag for row in train for tag in row.tags]
    )
    guessed = iter(linear.predict(features.transform(words_around([row.words for row in test]))).tolist())
    return tag_scores([[next(guessed) for _ in row.tags] for row in test], test, examples.labels)


def words_around(rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What a linear model may know of each word: itself, its shape, its end, and its neighbours."""
    found = []
    for row in rows:
        words = ["<", *row, ">"]
        for left, word, right in zip(words, words[1:-1], words[2:], strict=False):
            found.append(
                {"word": word.lower(), "is": word[:1].isupper() + 2 * word.isupper(), "end": word[-3:], "left": left.lower(),
                 "right": right.lower(), "left is": left[:1].isupper(), "right is": right[:1].isupper()}
            )  # fmt: skip
    return found
