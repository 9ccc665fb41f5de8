"""Praise or blame by counted words and pairs of words, where a negation turns the words behind it: the teacher of `sentiment`.

Words between a negation and the next stop are words of their own (`not_good`; Das and Chen 2001, Pang et al. 2002). Few reviews have
`not_tasteful`: such a word also says what the word says that it turns, at a share and with the other sign (VADER's factor; Hutto and
Gilbert 2014).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, identity
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

WORD = re.compile(r"n't\b|\w+?(?=n't\b)|\w+|[.,;:!?]")
"""wasn't is two words, was and n't, as where somebody has parted them before."""
STOPS = frozenset(".,;:!?") | {"but"}
NEGATIONS = frozenset(
    [
        "n't",
        "not",
        "never",
        "no",
        "nothing",
        "nobody",
        "none",
        "neither",
        "nor",
        "without",
        "cannot",
        "hardly",
        "barely",
        "scarcely",
    ]
)
TURNED = "not_"
FACTOR = -0.74
"""What a turned word says of the word itself."""


class Counted:
    """A linear model over words and pairs of words of `rows`, each a text and whether it praises."""

    def __init__(self, rows: Sequence[tuple[str, int]]) -> None:
        texts = [text for text, _ in rows]
        found = TfidfVectorizer(analyzer=_counted, min_df=2).fit(texts).vocabulary_
        turned = {TURNED + word for word in found if " " not in word and not word.startswith(TURNED)}
        self._words = TfidfVectorizer(analyzer=_counted, vocabulary=sorted({*found, *turned}), sublinear_tf=True)
        counts: csr_matrix = self._words.fit_transform(texts)
        self._backed = _backed(self._words.vocabulary_)
        self._linear = LogisticRegression(C=10, solver="liblinear")
        self._linear.fit(counts @ self._backed, [label for _, label in rows])

    def log_odds(self, texts: Sequence[str]) -> np.ndarray:
        """Of praise against blame, one a text."""
        return self._linear.decision_function(self._words.transform(texts) @ self._backed)

    def minds(self, least: float = 1.0) -> frozenset[str]:
        """Single words whose weight is that far from none, as they are written."""
        weights = self._linear.coef_[0]
        return frozenset(
            word
            for word, at in self._words.vocabulary_.items()
            if abs(weights[at]) >= least and " " not in word and not word.startswith(TURNED)
        )


def words_of(text: str) -> list[str]:
    """In small letters, turned where they stand behind a negation; of stops only ! and ? are words."""
    found, is_turned = [], False
    for word in plain_words(text):
        if word in STOPS:
            is_turned = False
        if word not in ".,;:":
            found.append(TURNED + word if is_turned and word not in NEGATIONS else word)
        is_turned |= word in NEGATIONS
    return found


def _counted(text: str) -> list[str]:
    words = words_of(text)
    return [*words, *(f"{left} {right}" for left, right in pairwise(words))]


def plain_words(text: str) -> list[str]:
    """In small letters, with stops."""
    return WORD.findall(text.lower().replace("’", "'"))


def _backed(vocabulary: Mapping[str, int]) -> csr_matrix:
    """[V, V]: what each word counts for, itself and, where it is turned, the word it turns."""
    turned = [
        (at, vocabulary[plain])
        for word, at in vocabulary.items()
        if (plain := word.replace(TURNED, "")) != word and plain in vocabulary
    ]
    size = len(vocabulary)
    rows, columns = np.array(turned, dtype=np.int64).reshape(-1, 2).T
    return identity(size, format="csr") + csr_matrix((np.full(len(turned), FACTOR), (rows, columns)), (size, size))
