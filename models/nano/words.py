"""The head `embedding`: sentence vectors of words alone.

    python models/nano/words.py runs/nano/pairs.jsonl --out runs/nano/embedding

Token embeddings are counted (train/cooccurrence.py), and then learn which pairs belong together, each pair against all others of
its batch, which are of the same source: to tell code from a news item teaches little. One layer is there, but silent: its outputs are 0. So a step costs a look-up and a norm instead of an encoder, and in
minutes every token has seen more pairs than the whole model could read in a day. What is written computes exactly what was
trained here, in ModernBERT's own layout.

A token says how much it matters, though two norms make all vectors equally long: the last number of each is its silence. The
norm counts it, the last gain is 0, and so the larger it is, the shorter is what is left of the token.

Shapes:  V vocabulary   D width   N texts   T tokens
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modernbert.core.files import atomic_folder
from modernbert.core.heap import keep_large_blocks
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.model.encoder import Encoder
from modernbert.model.folder import copy_tokenizer
from modernbert.model.store import save
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.corpora import Corpora
from modernbert.train.recipes import read_recipe
from modernbert.train.start import starting_model

HERE = Path(__file__).parent
SHAPE = "model={num_hidden_layers: 1, hidden_size: 256, intermediate_size: 64, num_attention_heads: 4, initializer_range: 0.04}"
LONGEST = 256
"""Tokens of a text."""
SCALE = 20.0
"""Cosines are multiplied by it, sentence-transformers' own."""
FEW = 20_000
"""Pairs by which numbers are put in order."""
SILENCE = 8.0
"""Of every token at first, where the other numbers are about 1: it takes a tenth of the length."""


class Pair(NamedTuple):
    """Ids of two texts that belong together, [CLS] and [SEP] around them."""

    anchor: np.ndarray
    positive: np.ndarray
    source: str = ""


def main() -> None:
    """Count, learn, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pairs", type=Path, help="JSON lines with anchor, positive and source, shuffled")
    words.add_argument(
        "--recipe", nargs="+", default=[HERE / "nano.yaml", HERE / "mixture.yaml"], help="whose text is counted"
    )
    words.add_argument("--tokenizer", type=Path, default=Path("runs/nano/tokenizer"))
    words.add_argument("--epochs", type=float, default=2)
    words.add_argument("--batch", type=int, default=1024)
    words.add_argument("--lr", type=float, default=0.02, help="of embeddings whose root mean square is 1")
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    keep_large_blocks()
    tokenizer = Tokenizer.load(given.tokenizer)
    model = silent_model(given.recipe)
    began = time.perf_counter()
    pairs = encoded(given.pairs, tokenizer)
    losses = learn(model, pairs, given.epochs, given.batch, given.lr, given.seed)
    put_strong_numbers_first(model, [text for pair in pairs[:FEW] for text in pair[:2]])
    with atomic_folder(given.out) as out:
        save(model, out)
        copy_tokenizer(given.tokenizer, out)
        facts = {name: getattr(given, name) for name in ("epochs", "batch", "lr", "seed")}
        facts |= {"pairs": len(pairs), "sources": counted(pairs), "seconds": round(time.perf_counter() - began)}
        (out / "training.json").write_text(json.dumps(facts | {"losses": losses}, indent=1) + "\n")
    print(f"{given.out}: loss {losses[0]:.2f} at first, {losses[-1]:.2f} at the end")


def silent_model(recipe: Sequence[str | Path]) -> Encoder:
    """Counted embeddings below a layer that adds nothing to them."""
    read = read_recipe(recipe, [SHAPE, "start={kind: fresh, embeddings: counted}"])
    corpora = Corpora.open(read)
    model = starting_model(read, corpora.vocabulary, corpora.sources(next(iter(read.stages.values())))).model
    model.config = replace(model.config, classifier_pooling="mean")
    silence(model)
    return model


@torch.no_grad()
def silence(model: Encoder) -> None:
    """Let its layers add nothing, in place."""
    for layer in model.layers:
        layer.attn.Wo.weight.zero_()
        layer.mlp.Wo.weight.zero_()


def encoded(path: Path, tokenizer: Tokenizer) -> list[Pair]:
    """All pairs of a file."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    sides: list[list[np.ndarray]] = []
    for name in ("anchor", "positive"):
        ids: list[np.ndarray] = []
        for start in range(0, len(rows), 4096):  # lists of Python's numbers are large
            found = tokenizer.encode([row[name] for row in rows[start : start + 4096]], longest=LONGEST).ids
            ids += [np.array(each, dtype=np.int32) for each in found]
        sides.append(ids)
    return [Pair(*each) for each in zip(*sides, [row.get("source", "") for row in rows], strict=True)]


def counted(pairs: Sequence[Pair]) -> dict[str, int]:
    """Pairs of each source."""
    return dict(Counter(pair.source for pair in pairs))


def learn(model: Encoder, pairs: Sequence[Pair], epochs: float, batch: int, lr: float, seed: int) -> list[float]:
    """Train embeddings and the last norm in place; losses of the steps, each the mean of fifty."""
    table_VD, gain_D = model.embeddings.tok_embeddings.weight, model.final_norm.weight
    scale = table_VD.detach().std()
    rows_VD = table_VD.detach() / scale
    rows_VD[:, -1] = SILENCE
    rows_VD.requires_grad_()
    heard_D = torch.ones_like(gain_D)
    heard_D[-1] = 0
    gains_D = gain_D.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([rows_VD, gains_D], lr=lr, betas=(0.9, 0.98))
    steps = max(1, int(epochs * len(pairs) / batch))
    losses: list[float] = []
    for step, chosen in zip(range(steps), batches(pairs, batch, seed), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / (0.05 * steps)) * (1 - step / steps)
        loss = mean_loss(rows_VD, gains_D * heard_D, chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            say(f"step {step:,} of {steps:,}: loss {losses[-1]:.3f}")
    with torch.no_grad():
        table_VD.copy_(rows_VD * scale)
        gain_D.copy_(gains_D * heard_D)
    return [float(np.mean(losses[i : i + 50])) for i in range(0, len(losses), 50)]


def mean_loss(rows_VD: Tensor, gains_D: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """Of finding each one's own among all by the cosine of the means, both ways."""
    left_ND, right_ND = (vectors(rows_VD, gains_D, [pair[side] for pair in pairs]) for side in (0, 1))
    similar_NN = SCALE * left_ND @ right_ND.T
    right = torch.arange(len(pairs))
    return (functional.cross_entropy(similar_NN, right) + functional.cross_entropy(similar_NN.T, right)) / 2


def put_strong_numbers_first(model: Encoder, texts: Sequence[np.ndarray]) -> None:
    """In place, the numbers of a vector in the order of their share of its length, which changes no product of two vectors.

    So the first 64 of 256 are the best 64 to keep (`truncate_dim`, `--dimensions`). All that reads or writes the residual stream is
    put in the same order, so it holds for any encoder without biases.
    """
    strength_D = (
        vectors(model.embeddings.tok_embeddings.weight.detach(), model.final_norm.weight.detach(), texts)
        .square()
        .mean(0)
    )
    order_D = strength_D.argsort(descending=True, stable=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("tok_embeddings.weight", "Wqkv.weight", "Wi.weight")):
                weight.copy_(weight[:, order_D])
            else:
                weight.copy_(weight[order_D])


def vectors(rows_VD: Tensor, gains_D: Tensor, texts: Sequence[np.ndarray]) -> Tensor:
    """What an encoder of a silent layer gives: its two norms, then the mean over tokens. [N, D], of length 1.

    The embeddings' norm has no gain of its own yet, so the second norm finds normed rows and leaves them as they are.
    """
    width = (rows_VD.shape[1],)
    normed_VD = functional.layer_norm(rows_VD, width) * gains_D
    offsets_N = torch.tensor(np.cumsum([0] + [len(ids) for ids in texts[:-1]]))
    ids_T = torch.from_numpy(np.concatenate(texts).astype(np.int64))
    return functional.normalize(functional.embedding_bag(ids_T, normed_VD, offsets_N, mode="mean"), dim=1)


def batches(pairs: Sequence[Pair], batch: int, seed: int) -> Iterator[list[Pair]]:
    """One after the other, each of one source, in another order each epoch; a source gets batches as it has pairs."""
    draw = np.random.default_rng(seed)
    of_source: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        of_source.setdefault(pair.source, []).append(number)
    while True:
        cut = []
        for members in of_source.values():
            size, order = min(batch, len(members)), draw.permutation(members)
            cut += [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        for place in draw.permutation(len(cut)):
            yield [pairs[number] for number in cut[place]]


if __name__ == "__main__":
    as_script(main)
