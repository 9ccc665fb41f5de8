"""Scales of activations, found once on texts: an int8 graph with them gives a text the same numbers in any batch.

Shapes:  N numbers that entered a matrix
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from modernbert.core.errors import require
from modernbert.core.seeds import Seeds
from modernbert.export.graph import ACTIVATION_STEPS, Graph, Span
from modernbert.export.source import Source
from modernbert.infer.padding import padded
from modernbert.infer.runtimes import Session, open_session

MOST_TOKENS = 8192
"""That are looked at."""

_OF_A_TEXT = 1 << 12
_OF_ALL = 1 << 16
"""Numbers of each matrix's input that a span is chosen on, besides its extremes."""

_SHARES = tuple(np.linspace(1.0, 0.2, 33))
"""Of the whole range: what is cut off may cost less than coarse steps for all the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was found."""

    spans: dict[str, Span]
    """By the name of the matrix that they enter."""
    num_tokens: int


def calibrate(source: Source, texts: Sequence[str]) -> Calibration:
    """Run the model in float32 on texts, and choose the span of each matrix's input that rounding hurts least.

    Raises:
        UserError: there is no text with a word in it.
    """
    documents = source.documents(texts, "find scales of activations on")
    samples: dict[str, _Sample] = {}
    num_tokens = 0
    with TemporaryDirectory() as home:
        names, run = _watched(source, Path(home) / "model.onnx")
        for document in documents:
            for name, found in zip(names, run(*padded([document], 0)), strict=True):
                samples.setdefault(name, _Sample(name)).add(found)
            num_tokens += len(document)
            if num_tokens >= MOST_TOKENS:
                break
    spans = {name: best_span(each.numbers()) for name, each in samples.items()}
    return Calibration(spans=spans, num_tokens=num_tokens)


def best_span(numbers_N: np.ndarray) -> Span:
    """The span whose 255 steps, with what lies outside at its ends, are nearest to the numbers in squares; 0 is one of them."""
    low, high = min(0.0, float(numbers_N.min())), max(0.0, float(numbers_N.max()))
    if low == high:
        return Span(0.0, 1.0)
    return min((Span(low * share, high * share) for share in _SHARES), key=lambda span: _error(numbers_N, span))


def _error(numbers_N: np.ndarray, span: Span) -> float:
    whole = np.clip(np.rint(numbers_N / span.scale) + span.zero, 0, ACTIVATION_STEPS)
    return float(np.square((whole - span.zero) * span.scale - numbers_N).sum())


def _watched(source: Source, path: Path) -> tuple[list[str], Session]:
    """The float32 graph with every matrix's input among its outputs."""
    onnx = require("onnx", extra="onnx")
    graph = Graph("float32")
    source.write(graph)
    names = list(graph.entering)
    model = graph.finish({graph.entering[name]: None for name in names}, {})
    onnx.save_model(model, path, save_as_external_data=True, location=f"{path.name}_data")
    return names, open_session(path, "onnxruntime", outputs=[graph.entering[name] for name in names])


class _Sample:
    """Numbers at random, and the smallest and largest of all."""

    def __init__(self, name: str) -> None:
        self._draw = Seeds(0).numpy("export.calibrate", name)
        self._kept: list[np.ndarray] = []

    def add(self, found: np.ndarray) -> None:
        self._kept.append(self._thinned(found.ravel(), _OF_A_TEXT))

    def numbers(self) -> np.ndarray:
        """[N]"""
        return self._thinned(np.concatenate(self._kept), _OF_ALL)

    def _thinned(self, numbers_N: np.ndarray, most: int) -> np.ndarray:
        if len(numbers_N) <= most:
            return numbers_N
        chosen = self._draw.choice(numbers_N, most, replace=False)
        return np.concatenate([chosen, [numbers_N.min(), numbers_N.max()]])
