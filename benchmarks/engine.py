"""Texts to vectors, end to end: our Embedder against SentenceTransformer, same weights, same texts, outputs equal first.

    python benchmarks/engine.py                                     # everything; writes docs/benchmarks-engine.md
    python benchmarks/engine.py --size 17m --texts 100 --parts speed --no-write

The texts are Python's standard library: docstrings, functions, and a mix with whole modules. Weights are random (speed
does not depend on them), the vocabulary is learnt from the texts. SentenceTransformer is stock (sdpa) and sorts by length.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import Timing, alternate, paired_ratio
from modernbert.core.script import as_script
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh, save
from modernbert.retrieval.embedder import Embedder
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import train_tokenizer
from modernbert.train.start import with_vocabulary
from peak import growth
from real_texts import KINDS, texts

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-engine.md"
FIGURE = PAGE.with_suffix(".png")

OURS, ST_8, ST_32 = "ours", "SentenceTransformer, batches of 8", "SentenceTransformer, batches of 32"
ONE = "one short text"
TEXTS = "texts.json"
PARTS = ("speed", "linear", "memory")

Encode = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of text in one precision: rates are medians, ratios are round by round."""

    kind: str
    dtype: str
    num_texts: int
    tokens: int
    texts_per_second: dict[str, float]
    ratios: dict[str, tuple[float, float, float]]
    """Each rival's time over ours: median, lowest, highest."""
    rounds: int
    error: float
    stock_error: float
    """In bfloat16, stock's own distance from its float32."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=sorted(SIZES))
    parser.add_argument("--texts", type=int, default=300, help="of each kind")
    parser.add_argument("--kinds", nargs="+", default=["docstrings", "functions", "mixed", ONE], choices=[*KINDS, ONE])
    parser.add_argument("--dtypes", nargs="+", default=_default_dtypes(), choices=["float32", "bfloat16"])
    parser.add_argument("--longest", type=int, default=512, help="tokens; what is longer is cut, on both sides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600.0, help="of a row, after which three rounds do")
    parser.add_argument("--memory-size", default="17m", choices=sorted(SIZES))
    parser.add_argument("--memory-texts", type=int, default=10_000)
    parser.add_argument("--linear-size", default="17m", choices=sorted(SIZES))
    parser.add_argument("--linear", type=int, nargs="+", default=[125, 250, 500, 1000, 2000, 4000, 8000])
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    parser.add_argument("--peak-of", choices=[OURS, ST_8, ST_32], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.peak_of:
        print(json.dumps(_peak(options.folder, options.peak_of)))
        return
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        if "speed" in options.parts:
            folder = _model(Path(home) / "speed", options.size, options.longest)
            lines += _speed_lines(options.size, _speed_rows(folder, options))
        if "linear" in options.parts:
            folder = _model(Path(home) / "linear", options.linear_size, options.longest)
            lines += _linear_lines(
                options.linear_size, _seconds_by_count(folder, options.linear, options.rounds), options
            )
        if "memory" in options.parts:
            folder = _model(Path(home) / "memory", options.memory_size, options.longest)
            lines += _memory_lines(options.memory_size, options.memory_texts, folder)
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(lines, options.longest, examine()), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _default_dtypes() -> list[str]:
    return ["float32", "bfloat16"] if best_precision().dtype == torch.bfloat16 else ["float32"]


# ---------------------------------------------------------------- contenders


def _model(folder: Path, size: str, longest: int) -> Path:
    """A checkpoint that both sides open, limited to `longest` tokens."""
    tokenizer = train_tokenizer(texts("mixed", 2000), vocab_size=8192, longest=longest)
    config = replace(with_vocabulary(SIZES[size], Vocabulary.of(tokenizer)), max_position_embeddings=longest)
    save(fresh(config, Encoder), folder)
    tokenizer.save(folder)
    return folder


def _contender(name: str, folder: Path, dtype: torch.dtype) -> Encode:
    if name == OURS:
        return Embedder.from_pretrained(folder, pooling="mean", dtype=dtype).encode
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    encoder = Transformer(str(folder), model_kwargs={"attn_implementation": "sdpa", "dtype": dtype})
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    model = SentenceTransformer(modules=[encoder, Pooling(width, "mean")], device="cpu")
    size = 8 if name == ST_8 else 32
    return lambda found: np.asarray(model.encode(found, batch_size=size, show_progress_bar=False), dtype=np.float32)


# ---------------------------------------------------------------- speed


def _speed_rows(folder: Path, options: argparse.Namespace) -> list[Row]:
    rows = []
    for dtype in options.dtypes:
        contenders = {name: _contender(name, folder, getattr(torch, dtype)) for name in (OURS, ST_8, ST_32)}
        truth = _contender(ST_8, folder, torch.float32) if dtype != "float32" else None
        for kind in options.kinds:
            row = _compare(kind, dtype, contenders, truth, Tokenizer.load(folder), options)
            print(f"{row.dtype} {row.kind}: " + json.dumps(asdict(row)["texts_per_second"]), file=sys.stderr)
            rows.append(row)
    return rows


def _compare(
    kind: str,
    dtype: str,
    contenders: dict[str, Encode],
    truth: Encode | None,
    tokenizer: Tokenizer,
    options: argparse.Namespace,
) -> Row:
    found = texts("docstrings", 1) if kind == ONE else texts(kind, options.texts)
    rounds = 20 * options.rounds if kind == ONE else options.rounds
    outputs = {name: encode(found) for name, encode in contenders.items()}
    error, stock_error = _check(kind, outputs, None if truth is None else truth(found))
    timings = alternate(
        {name: lambda encode=encode: encode(found) for name, encode in contenders.items()},
        rounds=rounds,
        most_seconds=options.seconds,
    )
    return Row(
        kind=kind,
        dtype=dtype,
        num_texts=len(found),
        tokens=sum(map(len, tokenizer.encode(found, longest=options.longest).ids)),
        texts_per_second={name: len(found) / timing.median for name, timing in timings.items()},
        ratios={name: paired_ratio(timings[name], timings[OURS]) for name in timings if name != OURS},
        rounds=len(timings[OURS].seconds),
        error=error,
        stock_error=stock_error,
    )


def _check(kind: str, outputs: dict[str, np.ndarray], truth: np.ndarray | None) -> tuple[float, float]:
    """Nothing is timed that is not equal: 1e-4 in float32, in bfloat16 twice stock's own error."""
    if truth is None:
        error = max(float(np.abs(outputs[OURS] - outputs[name]).max()) for name in outputs)
        assert error < 1e-4, f"{kind}: vectors differ by {error}: nothing to time"
        return error, 0.0
    error, stock_error = (float(np.abs(outputs[name] - truth).max()) for name in (OURS, ST_8))
    assert error <= 2 * stock_error + 1e-3, f"{kind}: bfloat16 error {error} against stock's {stock_error}"
    return error, stock_error


def _speed_lines(size: str, rows: list[Row]) -> list[str]:
    lines = [
        "## Speed",
        "",
        f"ModernBERT-{size} shape. Texts a second, medians of alternating rounds; a ratio is a rival's time over ours, round by "
        "round, with its range.",
        "",
        "| texts | dtype | number | tokens | ours | ST, batches of 8 | ratio | ST, batches of 32 | ratio | rounds | "
        "largest difference |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        rivals = [
            f"{row.texts_per_second[name]:,.1f} | {row.ratios[name][0]:.2f} ({row.ratios[name][1]:.2f}–{row.ratios[name][2]:.2f})"
            for name in (ST_8, ST_32)
        ]
        error = f"{row.error:.1e}" + (f" (stock {row.stock_error:.1e})" if row.stock_error else "")
        lines.append(
            f"| {row.kind} | {row.dtype} | {row.num_texts:,} | {row.tokens:,} | {row.texts_per_second[OURS]:,.1f} | "
            f"{' | '.join(rivals)} | {row.rounds} | {error} |"
        )
    return [*lines, ""]


# ---------------------------------------------------------------- memory


def _memory_lines(size: str, count: int, folder: Path) -> list[str]:
    """Each in a process of its own: memory that another had left behind would be used again, unseen."""
    (folder / TEXTS).write_text(
        json.dumps(texts("mixed", count)), encoding="utf-8"
    )  # parsing leaves memory behind, too
    peaks = {}
    for name in (OURS, ST_8, ST_32):
        command = [sys.executable, __file__, "--peak-of", name, "--folder", str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks[name] = float(json.loads(done.stdout.splitlines()[-1]))
        print(f"memory, {name}: {peaks[name]:,.0f} MB", file=sys.stderr)
    return [
        "## Memory",
        "",
        f"What encoding {count:,} mixed texts adds to the process at its peak (ModernBERT-{size} shape, float32, model and "
        "texts loaded before, results included), each in a process of its own.",
        "",
        "| contender | MB | of the largest |",
        "|---|---:|---:|",
        *(f"| {name} | {peak:,.0f} | {peak / max(peaks.values()):.0%} |" for name, peak in peaks.items()),
        "",
    ]


def _peak(folder: Path, name: str) -> float:
    encode, found = _contender(name, folder, torch.float32), json.loads((folder / TEXTS).read_text(encoding="utf-8"))
    encode(found[:1])  # what is made once: threads, tables, lazy imports
    return growth(lambda: encode(found))


# ---------------------------------------------------------------- cost by number of documents


def _seconds_by_count(folder: Path, counts: Sequence[int], rounds: int) -> dict[int, Timing]:
    encode = _contender(OURS, folder, torch.float32)
    encode(texts("mixed", max(counts)))  # the budget is found here
    found = {count: texts("mixed", count) for count in sorted(counts)}
    names = {str(count): lambda each=each: encode(each) for count, each in found.items()}
    timings = alternate(names, rounds=min(3, rounds), most_seconds=math.inf)
    return {int(name): timing for name, timing in timings.items()}


def _linear_lines(size: str, seconds: dict[int, Timing], options: argparse.Namespace) -> list[str]:
    exponent, _ = _fit(seconds)
    lines = [
        "## Cost by number of documents",
        "",
        f"Mixed texts, ModernBERT-{size} shape, float32, ours: seconds = c · documents^{exponent:.3f} (least squares over "
        "logarithms; 1 is linear).",
        "",
        "| documents | seconds | documents a second |",
        "|---:|---:|---:|",
        *(f"| {count:,} | {timing.median:.2f} | {count / timing.median:,.0f} |" for count, timing in seconds.items()),
        "",
    ]
    if options.no_write:
        return lines
    _draw(seconds, f"ModernBERT-{size}, mixed texts, this machine's CPU")
    return [*lines, f"![Seconds against documents, both logarithmic]({FIGURE.name})", ""]


def _fit(seconds: dict[int, Timing]) -> tuple[float, float]:
    """Exponent and constant of seconds = constant x documents ^ exponent."""
    logs = np.log([[count, timing.median] for count, timing in seconds.items()])
    exponent, constant = np.polyfit(logs[:, 0], logs[:, 1], 1) if len(logs) > 1 else (1.0, logs[0, 1] - logs[0, 0])
    return float(exponent), float(np.exp(constant))


def _draw(seconds: dict[int, Timing], title: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    exponent, constant = _fit(seconds)
    counts = np.array(list(seconds))
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(counts, constant * counts**exponent, color="#bbbbbb", label=f"fitted: documents^{exponent:.2f}")
    axes.plot(counts, [timing.median for timing in seconds.values()], "o", color="#1f5fbf", label="measured")
    axes.set(xscale="log", yscale="log", xlabel="documents", ylabel="seconds", title=title)
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(FIGURE, dpi=80)


def _page(lines: list[str], longest: int, machine: Machine) -> str:
    head = [
        "# Benchmarks: texts to vectors",
        "",
        "*Written by `python benchmarks/engine.py`; no number here is typed by hand.*",
        "",
        f"`Embedder.encode` against `SentenceTransformer.encode` (stock transformers, sdpa; it sorts by length itself), from "
        f"strings to pooled float32 vectors, on texts of Python's standard library cut at {longest:,} tokens: docstrings, "
        "functions, and a mix of both with a whole module for every 32. Same weights (random: speed does not depend on "
        "them), same tokenizer; vectors are checked equal before anything is timed.",
        "",
        machine.line(),
        "",
    ]
    return "\n".join([*head, *lines]).rstrip() + "\n"


if __name__ == "__main__":
    as_script(main)
