"""How fast this machine annotates, by annotating: the worker's own code on text that every Python brings along."""

import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from modernbert.bulk.annotator import Annotator
from modernbert.bulk.config import Recipe

_CHARACTERS = 1500
"""Of a document: about what a web page has in its median."""

_WINDOW = 128


def texts(num: int, characters: int = _CHARACTERS) -> Iterator[str]:
    """Pieces of the standard library, again from the start when it ends."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    found = 0
    while True:
        for path in files:
            content = path.read_text(encoding="utf-8", errors="ignore")
            for start in range(0, len(content), characters):
                if found == num:
                    return
                yield content[start : start + characters]
                found += 1


def tokens_per_second(recipe: Recipe, *, seconds: float) -> float:
    """Of one worker in this process, tokenising included, after a first window that is not counted."""
    import torch

    torch.set_num_threads(recipe.threads)
    annotator = Annotator(recipe)
    tokens, taken, is_warm = 0, 0.0, False
    source = texts(1_000_000)
    while taken < seconds:
        window = [next(source) for _ in range(_WINDOW)]
        began = time.perf_counter()
        prepared = annotator.prepare(window)
        annotator.annotate(prepared)
        if is_warm:
            tokens, taken = tokens + prepared.num_tokens, taken + time.perf_counter() - began
        is_warm = True
    return tokens / taken
