"""Fine-tuning and prediction on texts of real lengths: ours against stock transformers, alternating, outputs checked first.

    python benchmarks/finetune.py REVIEWS                  # rows with text and label; writes docs/benchmarks-finetune.md
    python benchmarks/finetune.py REVIEWS --rows 96 --rounds 3 --no-write

REVIEWS is a file of rows with `text` and `label`. Three contenders read the same rows, cut at the same length: ours; stock
transformers with texts of like length together (its `group_by_length`); stock as the well-known notebook runs it, every
text padded to the longest allowed. A round is one epoch of each, by transformers' Trainer in a process of its own, or one
prediction of every row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments, set_seed
from transformers.utils import logging as stock_logging

from modernbert import accelerate
from modernbert.bench.machine import examine
from modernbert.bench.timing import Timing, alternate, times_faster
from modernbert.core.heap import keep_large_blocks
from modernbert.core.script import as_script
from modernbert.data.records import read_records
from modernbert.model.hub import tokenizer_folder
from modernbert.model.precision import best_precision
from modernbert.model.store import load
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.features import Features, collate
from modernbert.tasks.finetune.stock import save_merged, stock_model
from modernbert.tasks.prediction import Prediction
from modernbert.text.tokenizer import Tokenizer
from sized_models import model_folder

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-finetune.md"

OURS, GROUPED, PADDED = "ours", "stock, grouped by length", "stock, padded to the limit"
CONTENDERS = (OURS, GROUPED, PADDED)
TOLERANCE = 1e-4
"""Of logits, float32."""
ROUNDING = 2.0
"""In bfloat16 ours may be so many times as far from stock's float32 as stock's own bfloat16 is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Rows as ids."""

    ids: list[list[int]]
    labels: list[int]
    texts: list[str]

    @property
    def tokens(self) -> int:
        """Real ones, of all rows."""
        return sum(map(len, self.ids))


def main(words: Sequence[str] | None = None) -> None:
    """Check, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows_file", type=Path, metavar="REVIEWS")
    parser.add_argument("--model", default="17m", help="a size, with fresh weights, a packaged model or a folder")
    parser.add_argument("--rows", type=int, default=384)
    parser.add_argument("--longest", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-finetune.md as it is")
    options = parser.parse_args(words)
    stock_logging.set_verbosity_error()
    load_before = os.getloadavg()[0]
    folder = model_folder(options.model, Path(tempfile.mkdtemp(prefix="finetune-benchmark-")))
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    texts = _read(options.rows_file, tokenizer, options.rows, options.longest)
    if options.alone:
        print(json.dumps(_alone(options.alone, folder, texts, tokenizer, options)))
        return
    predictor = partial(_predictor, folder=folder, texts=texts, tokenizer=tokenizer, options=options)
    exact = {name: predictor(name, dtype=torch.float32)() for name in CONTENDERS}
    _check(exact)
    dtype = best_precision().dtype
    predictors = {name: predictor(name, dtype=dtype) for name in CONTENDERS}
    if dtype != torch.float32:
        _check_rounding({name: predict() for name, predict in predictors.items()}, exact[GROUPED])
    peaks: dict[str, list[float]] = {name: [] for name in CONTENDERS}

    def train(name: str) -> float:
        seconds, peak = _elsewhere(name, options)
        peaks[name].append(peak)
        return seconds

    training = alternate({name: partial(train, name) for name in CONTENDERS}, rounds=options.rounds, most_seconds=3600)
    prediction = alternate(predictors, rounds=options.rounds, most_seconds=1800)
    lines = _table(training, prediction, {name: statistics.median(found) for name, found in peaks.items()}, texts)
    print("\n".join(lines))
    if not options.no_write:
        mean_of_all = _mean_length(options.rows_file, tokenizer, options.longest)
        PAGE.write_text(_page(lines, texts, mean_of_all, options, load_before), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _read(path: Path, tokenizer: Tokenizer, rows: int, longest: int) -> Texts:
    found = list(read_records(str(path)))
    chosen = [found[i] for i in np.random.default_rng(0).choice(len(found), min(rows, len(found)), replace=False)]
    texts = [str(row.values["text"]) for row in chosen]
    names = sorted({str(row.values["label"]) for row in found})
    encoded = tokenizer.encode(texts, longest=longest)
    return Texts(ids=encoded.ids, labels=[names.index(str(row.values["label"])) for row in chosen], texts=texts)


def _mean_length(path: Path, tokenizer: Tokenizer, longest: int) -> float:
    """Tokens a text, of all the file's rows."""
    every = tokenizer.encode([str(row.values["text"]) for row in read_records(str(path))], longest=longest)
    return statistics.fmean(map(len, every.ids))


def _trainee(name: str, folder: Path) -> Any:
    settings = Finetune(task="seq_cls", dataset="", model=str(folder))
    model = stock_model(settings, ("negative", "positive")).model
    return accelerate(model) if name == OURS else model


def _epoch(name: str, folder: Path, texts: Texts, tokenizer: Tokenizer, options: argparse.Namespace) -> float:
    """Seconds of training on every row once."""
    set_seed(0)
    rows = [{"input_ids": ids, "labels": label} for ids, label in zip(texts.ids, texts.labels, strict=True)]
    features = Features(rows=rows, owners=list(range(len(rows))), num_cut=0)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=_trainee(name, folder),
            args=TrainingArguments(
                output_dir=scratch,
                per_device_train_batch_size=options.batch,
                num_train_epochs=1,
                learning_rate=8e-5,
                train_sampling_strategy="group_by_length" if name == GROUPED else "random",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                remove_unused_columns=False,
                dataloader_pin_memory=False,
                bf16=best_precision().dtype == torch.bfloat16,
                use_cpu=not torch.cuda.is_available(),
                logging_strategy="no",
            ),
            train_dataset=features,  # type: ignore[arg-type]
            data_collator=partial(_padded, longest=options.longest, pad_id=tokenizer.pad_id)
            if name == PADDED
            else partial(collate, task="seq_cls", pad_id=tokenizer.pad_id),
        )
        began = time.perf_counter()
        trainer.train()
        return time.perf_counter() - began


def _padded(rows: Sequence[dict[str, Any]], *, longest: int, pad_id: int) -> dict[str, torch.Tensor]:
    batch = collate(rows, task="seq_cls", pad_id=pad_id)  # type: ignore[arg-type]
    missing = longest - batch["input_ids"].shape[1]
    return batch | {
        "input_ids": torch.nn.functional.pad(batch["input_ids"], (0, missing), value=pad_id),
        "attention_mask": torch.nn.functional.pad(batch["attention_mask"], (0, missing)),
    }


def _predictor(
    name: str,
    *,
    dtype: torch.dtype,
    folder: Path,
    texts: Texts,
    tokenizer: Tokenizer,
    options: argparse.Namespace,
) -> Callable[[], np.ndarray]:
    """Logits of every row, in order, from texts (tokenising included)."""
    from modernbert.model.heads import SequenceClassifier
    from modernbert.tasks.finetune.stock import Trainee

    settings = Finetune(task="seq_cls", dataset="", model=str(folder))
    trainee: Trainee = stock_model(settings, ("negative", "positive"))
    if name == OURS:
        with tempfile.TemporaryDirectory() as saved:
            save_merged(trainee, Path(saved))
            model = load(saved, SequenceClassifier, dtype=dtype)
        classifier = TextClassifier(model, tokenizer, Prediction(max_length=options.longest))

        def ours() -> np.ndarray:
            encoded = tokenizer.encode(texts.texts, longest=options.longest)
            return np.stack(list(classifier.engine.run_ids(encoded.ids, classifier.logits)))

        return ours
    model = trainee.model.to(dtype).eval()

    @torch.inference_mode()
    def stock() -> np.ndarray:
        encoded = tokenizer.encode(texts.texts, longest=options.longest)
        order = (
            sorted(range(len(encoded.ids)), key=lambda i: -len(encoded.ids[i]))
            if name == GROUPED
            else list(range(len(encoded.ids)))
        )
        logits = np.zeros((len(order), 2), dtype=np.float32)
        for start in range(0, len(order), options.batch):
            members = order[start : start + options.batch]
            rows = [{"input_ids": encoded.ids[i]} for i in members]
            batch = (
                _padded(rows, longest=options.longest, pad_id=tokenizer.pad_id)
                if name == PADDED
                else collate(rows, task="seq_cls", pad_id=tokenizer.pad_id)  # type: ignore[arg-type]
            )
            logits[members] = model(**batch).logits.float().numpy()
        return logits

    return stock


def _check(found: dict[str, np.ndarray]) -> None:
    """Stop unless all say the same in float32."""
    for name in (GROUPED, PADDED):
        gap = float(np.abs(found[name] - found[OURS]).max())
        if not gap < TOLERANCE:
            raise SystemExit(
                f"{name} and ours differ by {gap:.2g} in a logit, expected less than {TOLERANCE:g}: nothing was measured"
            )
        print(f"{name}: logits equal within {gap:.1e}", file=sys.stderr)


def _check_rounding(found: dict[str, np.ndarray], exact: np.ndarray) -> None:
    """Stop if ours loses more by bfloat16 than stock does."""
    gaps = {name: float(np.sqrt(np.mean((logits - exact) ** 2))) for name, logits in found.items()}
    if not gaps[OURS] <= ROUNDING * gaps[GROUPED]:
        raise SystemExit(
            f"bfloat16 moves our logits by {gaps[OURS]:.2g} and stock's by {gaps[GROUPED]:.2g}, expected at most "
            f"{ROUNDING:g} times as much: nothing was measured"
        )
    print("bfloat16 moves logits by " + ", ".join(f"{gap:.1e} ({name})" for name, gap in gaps.items()), file=sys.stderr)


def _alone(
    name: str, folder: Path, texts: Texts, tokenizer: Tokenizer, options: argparse.Namespace
) -> tuple[float, float]:
    """Seconds of one epoch behind two batches that warm up, and by how many MB memory grew at most."""
    from peak import growth

    if name == OURS:
        keep_large_blocks()  # as `modernbert finetune` does
    few = slice(2 * options.batch)
    first = Texts(ids=texts.ids[few], labels=texts.labels[few], texts=texts.texts[few])
    seconds: list[float] = []
    peak = growth(lambda: seconds.extend(_epoch(name, folder, part, tokenizer, options) for part in (first, texts)))
    return seconds[-1], peak


def _elsewhere(name: str, options: argparse.Namespace) -> tuple[float, float]:
    """`_alone` in a process of its own."""
    words = [str(options.rows_file), "--model", options.model, "--alone", name]
    words += [word for flag in ("rows", "longest", "batch") for word in (f"--{flag}", str(getattr(options, flag)))]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the process of {name} failed:\n{done.stderr[-800:]}")
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def _table(
    training: dict[str, Timing], prediction: dict[str, Timing], peaks: dict[str, float], texts: Texts
) -> list[str]:
    lines = [
        "| | training, tokens/s | ours is faster | prediction, tokens/s | ours is faster | peak of training, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name in CONTENDERS:
        cells = []
        for timings in (training, prediction):
            cells += [
                f"{texts.tokens / timings[name].median:,.0f}",
                "" if name == OURS else times_faster(timings[name], timings[OURS]),
            ]
        lines.append(f"| {name} | {' | '.join(cells)} | {peaks[name]:,.0f} |")
    return lines


def _page(lines: list[str], texts: Texts, mean_of_all: float, options: argparse.Namespace, load_before: float) -> str:
    lengths = sorted(map(len, texts.ids))
    quarters = [lengths[len(lengths) * i // 4] for i in (1, 2, 3)]
    return "\n".join([
        "# Fine-tuning and prediction",
        "",
        f"Written by `python benchmarks/finetune.py` ({options.model}, {options.rows} rows, batches of {options.batch}, cut at "
        f"{options.longest} tokens, {options.rounds} rounds), alternating; logits were compared first.",
        "",
        examine().line(load_before),
        "",
        f"{len(lengths)} texts, {sum(lengths):,} tokens, {texts.tokens / len(lengths):.0f} on average ({mean_of_all:.0f} in the "
        f"whole file), quartiles {', '.join(map(str, quarters))}. Real tokens a second: "
        "padding counts for nothing. Numbers: "
        + ("bfloat16" if best_precision().dtype == torch.bfloat16 else "float32 (this CPU would emulate bfloat16)") + ".",
        "",
        *lines,
        "",
        "Grouped is transformers' `group_by_length` (in prediction: sorted by length); padded is every text at the limit, as the "
        "well-known notebook does it. A round of training is one epoch by transformers' Trainer in a process of its own, behind two "
        "batches that warm it up, the optimizer's set-up included.",
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
