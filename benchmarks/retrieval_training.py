"""Training what finds, on pairs of real lengths: ours against sentence-transformers, alternating, first losses compared.

    python benchmarks/retrieval_training.py PAIRS                     # rows of query and positive; writes docs/benchmarks-retrieval-training.md
    python benchmarks/retrieval_training.py PAIRS --kinds dense --rows 128 --rounds 3 --no-write

Three contenders read the same rows with the same loss and batch size: ours (`modernbert train-retrieval`); sentence-transformers
by its defaults; the same with texts of like length in a batch, the best that padding can do. A round is one epoch by the
family's trainer.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers.utils import logging as stock_logging

from modernbert import accelerate
from modernbert.bench.machine import examine
from modernbert.bench.timing import Timing, alternate, times_faster
from modernbert.core.script import as_script
from modernbert.model.hub import tokenizer_folder
from modernbert.retrieval.training.config import Kind, TrainRetrieval
from modernbert.retrieval.training.examples import Example, read_examples, to_columns
from modernbert.retrieval.training.run import _loop
from modernbert.retrieval.training.stock import stock_model
from modernbert.text.tokenizer import Tokenizer
from sized_models import model_folder

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-retrieval-training.md"
OURS, STOCK, GROUPED = "ours", "sentence-transformers", "sentence-transformers, like lengths together"
CONTENDERS = (OURS, STOCK, GROUPED)
KINDS: tuple[Kind, ...] = ("dense", "late", "rerank")
TOLERANCE = 1e-4
"""Of the first loss, float32; bfloat16's is a hundred times as much."""


def main(words: Sequence[str] | None = None) -> None:
    """Check, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", default="17m", help="a size, with fresh weights, a packaged model or a folder")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--longest", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-retrieval-training.md as it is")
    options = parser.parse_args(words)
    stock_logging.set_verbosity_error()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        folder = model_folder(options.model, Path(home), head="embedding")
        timings = {kind: _measure(kind, folder, Path(home), options) for kind in options.kinds}
        lengths = _lengths(folder, options)
    lines = _table(timings, options.rows)
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(lines, lengths, options, load_before), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _measure(kind: Kind, folder: Path, home: Path, options: argparse.Namespace) -> dict[str, Timing]:
    """Seconds an epoch of each, after their first losses were found equal."""
    settings = TrainRetrieval(
        kind=kind, data=str(options.pairs), model=str(folder), out=home / "run", num_train_epochs=1, max_length=options.longest,
        per_device_train_batch_size=options.batch, mini_batch_size=min(32, options.batch), save_steps=10**6,
    )  # fmt: skip
    columns = to_columns(_pairs(settings, options.rows), settings.trains_by, None)
    found = {who: _first_loss(who, settings, folder, columns) for who in (OURS, STOCK)}
    limit = TOLERANCE * (1 if _is_float32() else 100)
    if not abs(found[OURS] - found[STOCK]) < limit * max(1.0, abs(found[STOCK])):
        raise SystemExit(f"{kind}: first losses are {found[OURS]:.6f} and {found[STOCK]:.6f}: nothing was measured")
    print(f"{kind}: first losses equal within {abs(found[OURS] - found[STOCK]):.1e}", file=sys.stderr)
    return alternate(
        {who: partial(_epoch, who, settings, folder, columns) for who in CONTENDERS},
        rounds=options.rounds, most_seconds=3600,
    )  # fmt: skip


def _pairs(settings: TrainRetrieval, rows: int) -> list[Example]:
    """Rows drawn by chance; for a reranker each with the next one's document as a wrong one."""
    found = [replace(one, documents=one.documents[:1], scores=None) for one in read_examples(settings)]
    drawn = np.random.default_rng(0).choice(len(found), min(rows, len(found)), replace=False)
    chosen = [found[i] for i in drawn]
    if settings.kind != "rerank":
        return chosen
    others = [*chosen[1:], chosen[0]]
    return [
        replace(one, documents=(*one.documents, *other.documents)) for one, other in zip(chosen, others, strict=True)
    ]


def _contender(who: str, settings: TrainRetrieval, folder: Path, columns: dict[str, list]) -> Any:
    """A trainer, and the bar that watches it."""
    model = stock_model(settings, folder)
    loop = _loop(settings, accelerate(model) if who == OURS else model, columns, None)
    if who == GROUPED:
        sizes = [sum(len(str(text)) for text in row) for row in zip(*columns.values(), strict=True)]
        loop.trainer.args.batch_sampler = partial(_LikeLengths, sizes)
    return loop


class _LikeLengths(DefaultBatchSampler):
    """Batches of neighbours by length, in a random order."""

    def __init__(self, sizes: Sequence[int], dataset: Any, batch_size: int, drop_last: bool, **rest: Any) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=drop_last, **rest)
        order = np.argsort(np.array(sizes), kind="stable").tolist()
        self._batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    def __iter__(self) -> Any:
        yield from np.random.default_rng(0).permutation(np.array(self._batches, dtype=object)).tolist()

    def __len__(self) -> int:
        return len(self._batches)


def _first_loss(who: str, settings: TrainRetrieval, folder: Path, columns: dict[str, list]) -> float:
    trainer = _contender(who, settings, folder, columns).trainer
    features, labels = trainer.collect_features(next(iter(trainer.get_train_dataloader())))
    torch.manual_seed(0)
    with torch.no_grad():
        loss = trainer.loss(features, labels)
    return float(sum(loss.values()) if isinstance(loss, dict) else loss)


def _epoch(who: str, settings: TrainRetrieval, folder: Path, columns: dict[str, list]) -> float:
    """Seconds of training on every row once."""
    loop = _contender(who, settings, folder, columns)
    began = time.perf_counter()
    with loop.watch:
        loop.trainer.train()
    if loop.watch.was_stopped:
        raise SystemExit("stopped: nothing was written")
    return time.perf_counter() - began


def _lengths(folder: Path, options: argparse.Namespace) -> list[int]:
    """Tokens of every text of the rows, sorted."""
    settings = TrainRetrieval(kind="dense", data=str(options.pairs), model=str(folder))
    columns = to_columns(_pairs(settings, options.rows), settings.trains_by, None)
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    texts = [str(text) for column in columns.values() for text in column]
    return sorted(len(ids) for ids in tokenizer.encode(texts, longest=options.longest).ids)


def _is_float32() -> bool:
    from modernbert.model.precision import best_precision

    return best_precision().dtype == torch.float32


def _table(timings: dict[Kind, dict[str, Timing]], rows: int) -> list[str]:
    lines = ["| | " + " | ".join(f"{kind}, pairs/s | ours is faster" for kind in timings) + " |"]
    lines.append("|---" * (1 + 2 * len(timings)) + "|")
    for who in CONTENDERS:
        cells = []
        for found in timings.values():
            cells += [
                f"{rows / found[who].median:,.1f}",
                "" if who == OURS else times_faster(found[who], found[OURS]),
            ]
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return lines


def _page(lines: list[str], lengths: list[int], options: argparse.Namespace, load_before: float) -> str:
    quarters = [lengths[len(lengths) * i // 4] for i in (1, 2, 3)]
    return "\n".join([
        "# Training what finds, measured",
        "",
        f"Written by `python benchmarks/retrieval_training.py` ({options.model}, {options.rows} pairs, batches of {options.batch}, cut at "
        f"{options.longest} tokens, {options.rounds} rounds), alternating; first losses were compared first.",
        "",
        examine().line(load_before),
        "",
        f"{len(lengths):,} texts, {sum(lengths):,} tokens, quartiles of their length {', '.join(map(str, quarters))}. dense: "
        "CachedMultipleNegativesRankingLoss, late: its multi-vector form, rerank: binary cross-entropy of each pair. Numbers: "
        + ("float32 (this CPU would emulate bfloat16)" if _is_float32() else "bfloat16") + ".",
        "",
        *lines,
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
