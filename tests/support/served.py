"""A small model of random weights for everything that can be served, made once, and the application over any of them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import torch
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modernbert.model.heads import MultipleChoice, QuestionAnswerer, SequenceClassifier, TokenClassifier
from modernbert.retrieval.dense import Dense, Normalize
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.sparse import SparseEncoder
from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from support.retrieval import write_classifier, write_model
from support.small import small_model

TAGS = ("O", "B-PER", "I-PER", "B-LOC")
TEXTS = ["The captain counted seven lamps.", "", "Nobody heard the bell, 𝔣𝔬𝔤 lay on the harbour 🌫️."]


KINDS = ("words", "sentiment", "entities", "answers", "choices", "reranker", "late", "sparse")


@lru_cache
def client(*kinds: str, **settings: object) -> TestClient:
    """Of a server with these models, each by the name of its kind; with all that the routes need where none is named."""
    return TestClient(_server(*kinds, **settings), raise_server_exceptions=False)


@contextmanager
def live(*kinds: str, **settings: object) -> Iterator[str]:
    """The same behind a real socket, models of its own, which end with it: its address."""
    server = uvicorn.Server(uvicorn.Config(_server(*kinds, **settings), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


def _server(*kinds: str, **settings: object) -> FastAPI:
    chosen = Settings(dtype="float32", **settings)  # type: ignore[arg-type]
    return application(chosen, Models.open([f"{kind}={folder_of(kind)}" for kind in kinds or KINDS], chosen))


@lru_cache
def folder_of(kind: str) -> Path:
    """A model's folder."""
    folder = Path(mkdtemp(prefix="served-")) / kind
    _WRITE[kind](folder)
    return folder


def _late(folder: Path) -> None:
    model, tokenizer = small_model()
    torch.manual_seed(0)
    LateInteraction(model.model, tokenizer, behind=[Dense(128, 16), Normalize()]).save_pretrained(folder)


_WRITE: dict[str, Callable[[Path], object]] = {
    "words": write_model,
    "sentiment": lambda folder: write_model(folder, SequenceClassifier, labels=("bad", "good", "mixed")),
    "entities": lambda folder: write_model(folder, TokenClassifier, labels=TAGS),
    "parts-of-speech": lambda folder: write_model(folder, TokenClassifier, labels=("NOUN", "VERB")),
    "answers": lambda folder: write_model(folder, QuestionAnswerer, labels=("start", "end")),
    "choices": lambda folder: write_model(folder, MultipleChoice),
    "inference": lambda folder: write_model(folder, SequenceClassifier, labels=("entailment", "neutral")),
    "reranker": lambda folder: write_classifier(folder, 1),
    "late": _late,
    "sparse": lambda folder: SparseEncoder(*small_model()).save_pretrained(folder),
}
