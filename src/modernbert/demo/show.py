"""The packaged model at work on this machine: masks filled, texts judged, names found, and Python's standard library searched by meaning."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modernbert.demo.corpus import Function, functions, standard_library
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.explain import occlude
from modernbert.tasks.fill_mask import Guess, MaskFiller
from modernbert.tasks.tag import Entity, Tagger

BLANKS = (
    "He was born [MASK] 1879.",
    "The book was written [MASK] Charles Dickens.",
    "She opened the [MASK] and went out.",
    "The capital of France is [MASK].",
    "for i in [MASK](10):",
    "def __init__([MASK], name):",
)
"""Grammar and code, which a small model knows, and a fact, which it does not."""

OPINIONS = (
    "The music was beautiful and the cast is a delight.",
    "One of the worst films I have ever seen.",
    "Delivery was late and the box was broken.",
)
"""For the head `sentiment`."""

NAMES = (
    "Angela Merkel met Apple's Tim Cook in Berlin on Monday.",
    "The European Commission disagreed with German advice to shun British lamb.",
)
"""For the head `entities`."""

QUESTIONS = (
    "remove a directory and all its contents",
    "wait until the thread has finished",
    "parse a date string",
    "compress data with gzip",
)
"""For the search."""

MOST_LETTERS = 400
"""Of a function: its name, its docstring and its first lines tell what it is for, and the demonstration is to be quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A text and the likeliest tokens of its mask."""

    text: str
    guesses: tuple[Guess, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A text, its label, and the words that speak most for it."""

    text: str
    label: str
    score: float
    words: tuple[tuple[str, float], ...]
    """With how much the label's logit falls without each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A text and the names in it."""

    text: str
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question and the functions that are nearest to it, with cosines."""

    question: str
    nearest: tuple[tuple[Function, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was searched, and found."""

    num_functions: int
    seconds: float
    """Taken to embed them."""
    answers: tuple[Answer, ...]


def fill(model: str, texts: Sequence[str] = BLANKS, *, top_k: int = 4) -> list[Filled]:
    """The likeliest tokens of one mask in each text."""
    filled = MaskFiller.from_pretrained(model).fill(texts, top_k=top_k)
    return [Filled(text=text, guesses=tuple(masks[0])) for text, masks in zip(texts, filled, strict=True)]


def judge(model: str, texts: Sequence[str] = OPINIONS, *, top_k: int = 2) -> list[Judged]:
    """Praise or blame, and why."""
    classifier = TextClassifier.from_pretrained(model)
    judged = []
    for text, found in zip(texts, classifier.predict(texts), strict=True):
        words = sorted(occlude(classifier, text, found.label), key=lambda word: -word[1])
        judged.append(Judged(text=text, label=found.label, score=found.score, words=tuple(words[:top_k])))
    return judged


def name(model: str, texts: Sequence[str] = NAMES) -> list[Named]:
    """Persons, organisations, places and others."""
    found = Tagger.from_pretrained(model).predict(texts)
    return [Named(text=text, entities=tuple(one.entities)) for text, one in zip(texts, found, strict=True)]


def search(model: str, questions: Sequence[str] = QUESTIONS, *, top_k: int = 3) -> Search:
    """The functions of Python's standard library that are nearest to each question."""
    embedder = Embedder.from_pretrained(model)
    found = functions(standard_library())
    began = time.perf_counter()
    documents_ND = embedder.encode(
        [f"{one.name}\n{one.source[:MOST_LETTERS]}" for one in found], show_progress_bar=True
    )
    seconds = time.perf_counter() - began
    similar_QN = embedder.similarity(embedder.encode_query(questions), documents_ND)
    answers = tuple(
        Answer(question=question, nearest=tuple((found[i], float(row[i])) for i in np.argsort(-row)[:top_k]))
        for question, row in zip(questions, similar_QN, strict=True)
    )
    return Search(num_functions=len(found), seconds=seconds, answers=answers)
