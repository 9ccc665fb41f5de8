"""What three of nano's ablations read that nano does not: its text in other vocabularies, and a small part of it.

    python models/nano/ablation_data.py CORPUS --out runs/nano

CORPUS as for `make.py`, which has made OUT's tokenizer, shards and held-out before (`--until python`). What is there is kept.
Half an hour on one core.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from make import SOURCES, TOKENIZER_BYTES, UNUSED, Step, carry_out, shards_of, texts

from modernbert.core.config import read
from modernbert.core.script import as_script
from modernbert.data.shard_writer import write_shards
from modernbert.data.shards import Shards
from modernbert.train.config import Recipe

HERE = Path(__file__).parent
VOCABULARIES = {"8k": 8_192, "32k": 32_768}
FEW = 500_000
"""Tokens of all sources together: a quarter of what an ablation reads."""


def main() -> None:
    """Shards below OUT/vocabulary-8k, OUT/vocabulary-32k and OUT/few."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("corpus", type=Path)
    words.add_argument("--out", type=Path, default=Path("runs/nano"), help="the recipes name runs/nano")
    given = words.parse_args()
    few(given.out / "shards", given.out / "few")
    carry_out(vocabularies(given.corpus, given.out))


def vocabularies(corpus: Path, out: Path) -> Iterator[Step]:
    """The same documents by other tokenizers, learnt from the same text as nano's."""
    for name, size in VOCABULARIES.items():
        folder = out / f"vocabulary-{name}"
        tokenizer = folder / "tokenizer"
        sizes = ("--vocab-size", size, "--num-unused", UNUSED, "--most-bytes", TOKENIZER_BYTES)
        yield Step(made=tokenizer, words=("tokenizer", "train", *texts(corpus).values(), "--out", tokenizer, *sizes))
        yield from shards_of(corpus, tokenizer, folder)


def few(shards: Path, out: Path) -> None:
    """Of every source documents drawn by chance, as many tokens as its share of FEW; the last document is cut."""
    weights = {
        name: source.weight
        for name, source in read(Recipe, HERE / "nano.yaml", HERE / "mixture.yaml").data.sources.items()
    }
    for name in SOURCES:
        if (out / name).exists():
            continue
        whole = Shards.open(shards / name)
        left = round(FEW * weights[name] / sum(weights.values()))
        with write_shards(out / name, whole.tokenizer(), made_from={"part of": name}) as writer:
            for document in np.random.default_rng(17).permutation(len(whole)).tolist():
                if not left:
                    break
                ids = whole.tokens(document)[:left]
                writer.append(ids)
                left -= len(ids)


if __name__ == "__main__":
    as_script(main)
