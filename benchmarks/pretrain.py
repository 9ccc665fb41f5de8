"""Pre-training: ours against transformers' Trainer, same text, same weights, alternating, losses and gradients checked first.

    python benchmarks/pretrain.py                                       # Python's standard library as text
    python benchmarks/pretrain.py --text news.jsonl.xz papers.jsonl.xz  # writes docs/benchmarks-pretrain.md
    python benchmarks/pretrain.py --cases 17m:4096 --profile            # where our time goes, nothing compared

A case is a size and the tokens of a step. Each contender takes a step in its turn; a round is one step of each.
"""

import argparse
import gc
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import torch
from torch import nn

from contenders import LENGTH, RATE, Contender, Ours, Step, Stock, concatenated, one_document_a_row, stock_model
from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import Timing, alternate, paired_ratio
from modernbert.core.quantities import Tokens
from modernbert.core.script import as_script
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Loader
from modernbert.data.pieces import InMemory
from modernbert.data.sources import read_documents
from modernbert.data.vocabulary import Vocabulary
from modernbert.demo.corpus import standard_library
from modernbert.model.config import SIZES
from modernbert.model.counts import num_parameters
from modernbert.model.heads import MaskedLM
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh
from modernbert.ops.loss import IGNORE
from modernbert.ops.roofline import matmul_rate
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import train_tokenizer
from modernbert.train.start import with_vocabulary

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-pretrain.md"

OURS = "ours"
PADDED = "Trainer, a document a row"
CHUNKED = "Trainer, concatenated"

MOST_CHARACTERS = 8_000_000
"""Of text read: many times what is trained on here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What all contenders learn from."""

    name: str
    tokenizer: Tokenizer
    documents: list[list[int]]
    """Ids without special ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender in one case."""

    case: str
    contender: str
    tokens: int
    """Real ones of a step, on average."""
    pads: float
    """Share of the places that were computed and hold no token."""
    speed: float
    """Real tokens a second, median over the rounds."""
    of_matmul: float
    """FLOP/s that the real tokens needed, over the matrix-multiply rate measured just before."""
    ratio: tuple[float, float, float]
    """Our speed over this one's: median, lowest and highest of the rounds."""
    rounds: int
    first_loss: float


def main(words: Sequence[str] | None = None) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="+", default=[], help="files of documents; absent: Python's standard library")
    parser.add_argument("--cases", nargs="+", default=_default_cases(device), help="such as base:2048 17m:4096")
    parser.add_argument("--vocabulary", type=int, default=50_368, help="tokens of the vocabulary learnt from the text")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=150.0, help="of a case, after which three rounds do")
    parser.add_argument("--fuse", action="store_true", help="ours with devices.compile")
    parser.add_argument("--profile", action="store_true", help="tell where our time goes, and compare nothing")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-pretrain.md as it is")
    options = parser.parse_args(words)
    load = os.getloadavg()[0]
    text = _read(options.text, options.vocabulary)
    if options.profile:
        from hotspots import where_time_goes

        for case in options.cases:
            size, room = _parse(case)
            model = _fresh(size, text)
            ours = Ours(model, text.documents, _vocabulary(text), room=room, device=device, fuses=options.fuse)
            print("\n".join([f"{case}:", *where_time_goes(ours)]))
        return
    rows = []
    for case in options.cases:
        rows += _compare(case, text, options.rounds, options.seconds, device, fuses=options.fuse)
    print("\n".join(_table(rows)))
    if not options.no_write:
        PAGE.write_text(_page(rows, text, examine(), load, options.fuse), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _default_cases(device: torch.device) -> list[str]:
    """A handful of minutes' work."""
    return ["base:2048", "17m:4096"] if device.type == "cpu" else ["base:16384", "17m:65536"]


def _parse(case: str) -> tuple[str, int]:
    size, _, room = case.partition(":")
    return size, int(room)


def _read(paths: Sequence[str], vocab_size: int) -> Text:
    """Documents of all files in turn, so that each has its part, and a vocabulary learnt from them."""
    if paths:
        each = [(document.text for document in read_documents([path])) for path in paths]
        texts = (text for text in chain.from_iterable(zip_longest(*each)) if text is not None)
    else:
        texts = (document.text for document in standard_library())
    chosen, characters = list[str](), 0
    for text in texts:
        chosen.append(text)
        characters += len(text)
        if characters >= MOST_CHARACTERS:
            break
    random.Random(17).shuffle(chosen)
    tokenizer = train_tokenizer(chosen, vocab_size=vocab_size)
    documents = [ids for ids in tokenizer.encode(chosen, special=False).ids if ids]
    name = ", ".join(Path(path).name for path in paths) or "the Python standard library"
    print(f"{len(documents):,} documents, {sum(map(len, documents)):,} tokens of {name}", file=sys.stderr)
    return Text(name=name, tokenizer=tokenizer, documents=documents)


def _vocabulary(text: Text) -> Vocabulary:
    return Vocabulary.of(text.tokenizer)


def _fresh(size: str, text: Text) -> MaskedLM:
    return fresh(with_vocabulary(SIZES[size], _vocabulary(text)), MaskedLM)


def _compare(
    case: str, text: Text, rounds: int, most_seconds: float, device: torch.device, *, fuses: bool
) -> list[Row]:
    size, room = _parse(case)
    model = _fresh(size, text)
    check_equal(model, stock_model(model, sparse=True), text)
    rate = matmul_rate(best_precision(device).dtype, device.type)
    with tempfile.TemporaryDirectory() as scratch:
        contenders = _contenders(model, text, room, device, Path(scratch), fuses=fuses)
        first = {name: contender.step() for name, contender in contenders.items()}
        losses = [step.loss for step in first.values()]
        assert max(losses) - min(losses) < 0.3, f"{case}: the same weights begin with losses {losses}: nothing to time"
        taken: dict[str, list[Step]] = {name: [] for name in contenders}
        timings = alternate(
            {name: lambda name=name: taken[name].append(contenders[name].step()) for name in contenders},
            rounds=rounds,
            most_seconds=most_seconds,
        )
        for contender in contenders.values():
            contender.close()
    a_token = {name: _for_each_token(timings[name], steps) for name, steps in taken.items()}
    rows = [
        Row(
            case=case,
            contender=name,
            tokens=round(sum(step.tokens for step in steps) / len(steps)),
            pads=1 - sum(step.tokens for step in steps) / sum(step.places for step in steps),
            speed=1 / a_token[name].median,
            of_matmul=sum(step.flops for step in steps) / sum(timings[name].seconds) / rate,
            ratio=paired_ratio(a_token[name], a_token[OURS]),
            rounds=len(steps),
            first_loss=first[name].loss,
        )
        for name, steps in taken.items()
    ]
    for row in rows:
        print(f"{case} {row.contender}: {row.speed:,.0f} tokens/s, ours {row.ratio[0]:.2f}x", file=sys.stderr)
    del contenders
    gc.collect()
    return rows


def _contenders(
    model: MaskedLM, text: Text, room: int, device: torch.device, scratch: Path, *, fuses: bool
) -> dict[str, Contender]:
    """Each with a model of its own and about `room` real tokens a step."""
    folder, vocabulary = scratch / "tokenizer", _vocabulary(text)
    text.tokenizer.save(folder)
    length = min(LENGTH, room)
    padded = one_document_a_row(text.documents, vocabulary, length)
    chunks = concatenated(text.documents, vocabulary, length)
    batch = max(1, round(room * len(padded) / sum(map(len, padded))))

    def stock(rows: list[list[int]], batch: int, *, sparse: bool) -> Stock:
        twin = stock_model(model, sparse=sparse)
        return Stock(
            twin,
            rows,
            shape=model.config,
            tokenizer_folder=folder,
            batch=batch,
            device=device,
            scratch=scratch,
        )

    return {
        PADDED: stock(padded, batch, sparse=False),
        CHUNKED: stock(chunks, room // length, sparse=True),
        OURS: Ours(model, text.documents, vocabulary, room=room, device=device, fuses=fuses),
    }


def _for_each_token(timing: Timing, steps: list[Step]) -> Timing:
    return Timing(seconds=tuple(s / step.tokens for s, step in zip(timing.seconds, steps, strict=True)))


def check_equal(ours: MaskedLM, stock: nn.Module, text: Text) -> None:
    """Loss and gradients of both on the same masked documents, in float32 on the CPU; an `AssertionError` tells the difference."""
    source = {"text": (Source(path=Path("memory")), InMemory(text.documents, _vocabulary(text)))}
    rows = Rows(length=Tokens(256), room=Tokens(512))
    with Loader(source, rows, Masking(), seeds=Seeds(5), tokens=512) as loader:
        (row,) = loader.take(1).rows
    packed = row.packed
    loss = ours.loss(packed, row.labels).loss
    theirs = stock(
        input_ids=packed.to_padded(packed.ids, fill=_vocabulary(text).pad_id),
        attention_mask=packed.to_padded(torch.ones_like(packed.ids)),
        labels=packed.to_padded(row.labels, fill=IGNORE),
    ).loss
    mine, other = float(loss.detach()), float(theirs.detach())
    assert abs(mine - other) < 1e-4, f"losses differ: {mine} and stock's {other}"
    loss.backward()
    theirs.backward()
    twins = dict(stock.named_parameters())
    for name, parameter in ours.named_parameters():
        gradient, twin = parameter.grad, twins[name].grad
        assert gradient is not None
        assert twin is not None
        difference = float((gradient - twin).abs().max() / twin.abs().max())
        assert difference < 1e-3, f"gradients of {name} differ by {difference:.1e} of the largest"
    ours.zero_grad()
    stock.zero_grad()


def _table(rows: list[Row]) -> list[str]:
    lines = [
        "| case | contender | tokens a step | pads | tokens/s | of matmul | ours is faster (range) | rounds | first loss |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        ratio = "" if row.contender == OURS else "{:.2f} ({:.2f}–{:.2f})".format(*row.ratio)
        lines.append(
            f"| {row.case} | {row.contender} | {row.tokens:,} | {row.pads:.0%} | {row.speed:,.0f} | {row.of_matmul:.0%} | "
            f"{ratio} | {row.rounds} | {row.first_loss:.2f} |"
        )
    return lines


def _page(rows: list[Row], text: Text, machine: Machine, load: float, fuses: bool) -> str:
    lengths = sorted(map(len, text.documents))
    quarters = [lengths[len(lengths) * i // 4] for i in (1, 2, 3)]
    sizes = {row.case.partition(":")[0] for row in rows}
    parameters = {size: num_parameters(with_vocabulary(SIZES[size], _vocabulary(text))) for size in sizes}
    lines = [
        "# Benchmarks: pre-training",
        "",
        "*Written by `python benchmarks/pretrain.py`; no number here is typed by hand.*",
        "",
        "Optimizer steps with everything in them but tokenizing: data, forward, backward, clipping, AdamW. Tokens a second "
        "are real ones, pads not counted, medians over rounds in which the contenders take turns, one step each. All have "
        "the same weights at first, "
        f"mask {RATE:.0%} and see at most {LENGTH:,} tokens of a document at once. Before timing, loss and every gradient of "
        "ours and of the stock model are compared on the same masked documents (largest difference below 0.1 %).",
        "",
        f"* **{OURS}**: `modernbert pretrain`'s loader and trainer, packed, in {machine.dtype}"
        + (", feed-forward compiled." if fuses else "."),
        f"* **{PADDED}**: transformers' Trainer and its collator, as `run_mlm.py --line_by_line`: padded to the longest of "
        f"the batch, ends beyond {LENGTH:,} cut off, sdpa.",
        f"* **{CHUNKED}**: the same as `run_mlm.py` without it: documents end to end in rows of {LENGTH:,}, which see "
        "each other, with `sparse_prediction=True`.",
        "",
        machine.line(load),
        "",
        f"Text: {text.name}; {len(lengths):,} documents, {sum(lengths):,} tokens, quartiles of their length "
        + ", ".join(f"{length:,}" for length in quarters)
        + "; models: "
        + ", ".join(f"{size} {number / 1e6:,.0f} M parameters" for size, number in sorted(parameters.items()))
        + f", vocabulary of {text.tokenizer.vocab_size:,}.",
        "",
        *_table(rows),
        "",
        '"Of matmul" is the FLOP that the real tokens need (forward and backward, by formula) a second, over the '
        "matrix-multiply rate measured just before; pads and masked-out attention count for nothing.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    as_script(main)
