"""`accelerate`: the same outputs for every head and family, and what sentence-transformers gains from it on real texts.

    python benchmarks/accelerated.py                             # a base on 256 texts; writes docs/benchmarks-accelerate.md
    python benchmarks/accelerated.py --size tiny --texts 32 --no-write

Texts are docstrings and functions of Python's standard library. Weights are random (speed does not depend on them). Stock
and accelerated are the same object, accelerated and restored in turns, called as its users call it: tokenizing,
batching by length and pooling are part of the time. (The file is not called accelerate.py: PEFT imports a library of that name.)
"""

import argparse
import ast
import gc
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a folder is all that is loaded here

import torch
import transformers
from torch import Tensor

from modernbert import accelerate, restore
from modernbert.bench.machine import Machine, examine
from modernbert.bench.timing import alternate, paired_ratio
from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.data.vocabulary import Vocabulary
from modernbert.demo.corpus import standard_library
from modernbert.model.config import SIZES
from modernbert.model.heads import MaskedLM
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh, save
from modernbert.text.train import train_tokenizer
from modernbert.train.start import with_vocabulary

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-accelerate.md"

HEADS = (
    "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification",
    "ModernBertForTokenClassification", "ModernBertForQuestionAnswering", "ModernBertForMultipleChoice",
)  # fmt: skip
FAMILIES = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
KINDS = ("docstrings", "functions")
LONGEST = 512
"""Tokens of a text that are read: what embedding models of this kind are mostly set to."""
MOST_COMPARED = 300
"""Characters of the texts that outputs are compared on: in bfloat16 most CPUs crawl."""

Run = Callable[[Sequence[str]], list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far outputs at real tokens are apart."""

    subject: str
    difference: float
    """Accelerated from stock, both in float32."""
    half: float
    """Accelerated in half precision from stock in float32."""
    stock_half: float
    """The same of stock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One call on all texts."""

    family: str
    kind: str
    dtype: str
    texts: int
    tokens: int
    stock: float
    """Seconds, median."""
    accelerated: float
    ratio: float
    low: float
    high: float
    rounds: int


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=sorted(SIZES))
    parser.add_argument("--texts", type=int, default=256, help="of each kind")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES, help="to be timed")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--dtypes", nargs="+", default=_default_dtypes(), help="float32, bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120.0, help="of a case, after which three rounds do")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-accelerate.md as it is")
    options = parser.parse_args(words)
    sources = [document.text for document in standard_library()][:200]
    texts = {kind: evenly(list(_texts(kind, sources)), options.texts) for kind in options.kinds}
    warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by older names
    transformers.utils.logging.set_verbosity_error()  # heads are new on purpose
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        _write_checkpoint(Path(folder), options.size, texts)
        some = [text[:MOST_COMPARED] for text in evenly([text for each in texts.values() for text in each], 6)]
        parities = [_parity(subject, folder, some) for subject in (*HEADS, "LoRA", *FAMILIES)]
        print("\n".join(_parity_table(parities)))
        speeds = [
            _speed(family, kind, dtype, folder, texts[kind], options.rounds, options.seconds)
            for dtype in options.dtypes
            for family in options.families
            for kind in options.kinds
        ]
    print("\n" + "\n".join(_speed_table(speeds)))
    if not options.no_write:
        with write_atomically(PAGE, "w") as file:
            file.write(_page(options.size, parities, speeds, examine()))
        print(f"wrote {PAGE}", file=sys.stderr)


def _default_dtypes() -> list[str]:
    return ["float32", "bfloat16"] if best_precision().dtype == torch.bfloat16 else ["float32"]


def _texts(kind: str, sources: list[str]) -> Iterator[str]:
    """Docstrings, or whole functions, of the standard library, module after module, each once."""
    seen: set[str] = set()
    for source in sources:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes in others' strings
                tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if kind == "docstrings":
                has_one = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                text = ast.get_docstring(node) if has_one else None
            else:
                text = ast.get_source_segment(source, node) if isinstance(node, ast.FunctionDef) else None
            if text and len(text) >= 40 and text not in seen:
                seen.add(text)
                yield text


def evenly(items: list[str], count: int) -> list[str]:
    """So many of them, the same every time, from all over the list."""
    return [items[i * len(items) // count] for i in range(count)] if count < len(items) else items


def _write_checkpoint(folder: Path, size: str, texts: dict[str, list[str]]) -> None:
    tokenizer = train_tokenizer([text for each in texts.values() for text in each], vocab_size=8192, longest=LONGEST)
    model = fresh(with_vocabulary(SIZES[size], Vocabulary.of(tokenizer)), MaskedLM)
    save(model, folder)
    tokenizer.save(folder)


def _parity(subject: str, folder: str, texts: list[str]) -> Parity:
    whole, half = (_load(subject, folder, dtype) for dtype in (torch.float32, torch.bfloat16))
    truth, rough = whole[1](texts), half[1](texts)
    accelerate(whole[0]), accelerate(half[0])
    found = Parity(
        subject=subject,
        difference=_largest(whole[1](texts), truth),
        half=_largest(half[1](texts), truth),
        stock_half=_largest(rough, truth),
    )
    assert found.difference < 1e-3, f"{subject}: outputs differ by {found.difference}: nothing to time"
    assert found.half <= 2 * found.stock_half + 1e-3, f"{subject}: {found.half} in bfloat16, stock {found.stock_half}"
    return found


def _largest(found: list[Tensor], truth: list[Tensor]) -> float:
    pairs = zip(found, truth, strict=True)
    return max(float((one.float() - other.float()).abs().max()) for one, other in pairs if other.numel())


def _load(subject: str, folder: str, dtype: torch.dtype) -> tuple[object, Run]:
    """The model as its library loads it, and the call that its users make; new heads are the same in every dtype."""
    torch.manual_seed(0)
    if subject in FAMILIES:
        import sentence_transformers

        options = {"num_labels": 1} if subject == "CrossEncoder" else {}
        kind = getattr(sentence_transformers, subject)
        model = kind(folder, device="cpu", **options).to(dtype)
        return model, partial(_call_family, model)
    name = "ModernBertForSequenceClassification" if subject == "LoRA" else subject
    model = getattr(transformers, name).from_pretrained(folder).eval()
    if subject == "LoRA":
        import peft

        model = peft.get_peft_model(
            model, peft.LoraConfig(target_modules=["Wqkv", "Wo", "Wi"], init_lora_weights=False)
        )
        model.eval()
    model.to(dtype)
    return model, partial(_call_head, model, transformers.AutoTokenizer.from_pretrained(folder))


def _call_head(
    model: torch.nn.Module, tokenizer: Callable[..., dict[str, Tensor]], texts: Sequence[str]
) -> list[Tensor]:
    """Outputs at real tokens, where there is one a token."""
    given = dict(tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt"))
    if type(model).__name__ == "ModernBertForMultipleChoice":
        given = {name: value.unflatten(0, (-1, 2)) for name, value in given.items()}
    is_real = given["attention_mask"].bool()
    with torch.inference_mode():
        outputs = model(**given).to_tuple()
    return [output[is_real] if output.shape[:2] == is_real.shape else output for output in outputs]


def _call_family(model: object, texts: Sequence[str]) -> list[Tensor]:
    match type(model).__name__:
        case "CrossEncoder":
            return [model.predict([(texts[0], text) for text in texts], convert_to_tensor=True)]
        case "SparseEncoder":
            return [model.encode(list(texts), convert_to_tensor=True).to_dense()]
        case "MultiVectorEncoder":
            return list(model.encode_document(list(texts)))
    return [model.encode(list(texts), convert_to_tensor=True)]


def _speed(
    family: str, kind: str, dtype: str, folder: str, texts: list[str], rounds: int, most_seconds: float
) -> Speed:
    model, call = _load(family, folder, getattr(torch, dtype))

    def stock() -> None:
        restore(model)
        call(texts)

    def accelerated() -> None:
        accelerate(model)
        call(texts)

    accelerate(model)
    call(texts[:32])  # kernels are built, and weights laid out, once
    timings = alternate({"stock": stock, "accelerated": accelerated}, rounds=rounds, most_seconds=most_seconds)
    ratio, low, high = paired_ratio(timings["stock"], timings["accelerated"])
    tokens = model.tokenizer(texts, truncation=True, max_length=LONGEST)["input_ids"]
    found = Speed(
        family=family,
        kind=kind,
        dtype=dtype,
        texts=len(texts),
        tokens=sum(map(len, tokens)),
        stock=timings["stock"].median,
        accelerated=timings["accelerated"].median,
        ratio=ratio,
        low=low,
        high=high,
        rounds=len(timings["stock"].seconds),
    )
    print(f"{dtype} {family} {kind}: {found.stock:.2f} s, {found.accelerated:.2f} s, {ratio:.2f}x", file=sys.stderr)
    gc.collect()
    return found


def _parity_table(rows: list[Parity]) -> list[str]:
    lines = ["| model | float32 | bfloat16 | stock in bfloat16 |", "|---|---:|---:|---:|"]
    return lines + [f"| {row.subject} | {row.difference:.1e} | {row.half:.1e} | {row.stock_half:.1e} |" for row in rows]


def _speed_table(rows: list[Speed]) -> list[str]:
    lines = [
        "| family | texts | dtype | number | tokens | stock, s | accelerated, s | faster (range) | rounds |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {row.family} | {row.kind} | {row.dtype} | {row.texts} | {row.tokens:,} | {row.stock:.2f} | {row.accelerated:.2f} | "
        f"{row.ratio:.2f} ({row.low:.2f}–{row.high:.2f}) | {row.rounds} |"
        for row in rows
    ]


def _page(size: str, parities: list[Parity], speeds: list[Speed], machine: Machine) -> str:
    return "\n".join([
        "# Benchmarks: accelerate",
        "",
        "*Written by `python benchmarks/accelerated.py`; no number here is typed by hand.*",
        "",
        f"Models of the {size} size with random weights, as transformers, PEFT and sentence-transformers load them (sdpa), on "
        "docstrings and functions of Python's standard library.",
        "",
        machine.line(),
        "",
        "## The same outputs",
        "",
        "Largest difference of any output at a real token: accelerated from stock, both in float32; then in bfloat16, "
        "accelerated and stock, each from stock in float32.",
        "",
        *_parity_table(parities),
        "",
        "## Faster",
        "",
        "Seconds of one `encode`, `predict` or `encode_document` of all texts, tokenizing and pooling included, medians. Stock "
        "and accelerated take turns on the same object; the range is over rounds. A cross-encoder reads each text in a pair with the "
        "first of them, which the tokens do not count.",
        "",
        *_speed_table(speeds),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
