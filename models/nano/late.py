"""The head `late`: a vector a token, for MaxSim, by which a question finds the words of its answer and not only its gist.

    python models/nano/late.py runs/nano/pairs.jsonl --out runs/nano/late

Vectors begin as the first numbers of the head `embedding`, and learn from the same pairs, each against all others of its batch: by
MaxSim, and by the cosine of the mean, which finds the candidates in an index. The layer is silent as there (words.py), so a token has
one vector wherever it stands, and what a batch compares is the few thousand tokens that are in it, once each.

Vectors are not brought to length 1: how long one is says how much its token matters, which takes the place of counting how rare
it is. Tokens that came to matter little give no vector in documents (the skiplist): an index is smaller for it.

Shapes:  V vocabulary   P width   N texts   K, L different tokens of the questions and of the answers
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from words import Pair, batches, counted, encoded, mean_loss, silence

from modernbert.core.files import atomic_folder
from modernbert.core.heap import keep_large_blocks
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.model.encoder import Encoder
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import load
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.late_folder import LateSettings
from modernbert.text.tokenizer import Tokenizer

WIDTH = 64
MEAN_WEIGHT = 0.5
"""Of the mean's loss beside MaxSim's."""
GAINS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
"""Lengths to begin with: the one with the lowest first loss is taken, for they are the loss's temperature, too."""
ROOM = 0.02
"""Standard deviation of the table that is written; norms make it as long as it has to be."""
QUIET = 1 / 3
"""Of the longest vector: tokens that are shorter are not kept of documents. A third of what stands in abstracts is, and finds nothing."""


def main() -> None:
    """Begin, learn, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pairs", type=Path, help="JSON lines with anchor, positive and source, shuffled")
    words.add_argument("--embedding", default="nano:embedding", help="the head that it begins as")
    words.add_argument("--width", type=int, default=WIDTH, help="numbers of a token's vector, a multiple of 64")
    words.add_argument("--epochs", type=float, default=2)
    words.add_argument("--batch", type=int, default=256)
    words.add_argument("--lr", type=float, default=0.03, help="of embeddings whose root mean square is 1")
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    keep_large_blocks()
    folder = folder_of(given.embedding)
    embedding, tokenizer = load(folder, Encoder, dtype="float32"), Tokenizer.load(tokenizer_folder(folder))
    began = time.perf_counter()
    pairs = encoded(given.pairs, tokenizer)
    rows_VP = first_rows(embedding, given.width)
    gains_P, losses = learn(rows_VP, pairs, given.epochs, given.batch, given.lr, given.seed)
    facts = {name: getattr(given, name) for name in ("epochs", "batch", "lr", "seed")}
    facts |= {"pairs": len(pairs), "sources": counted(pairs), "seconds": round(time.perf_counter() - began)}
    settings = LateSettings(skiplist=quiet_tokens(normed(rows_VP, gains_P), tokenizer))
    model = LateInteraction(silent(embedding, rows_VP, gains_P), tokenizer, behind=[], settings=settings)
    with atomic_folder(given.out) as out:
        model.save_pretrained(out)
        (out / "training.json").write_text(json.dumps(facts | {"losses": losses}, indent=1) + "\n")
    print(f"{given.out}: loss {losses[0]:.2f} at first, {losses[-1]:.2f} at the end")


@torch.no_grad()
def first_rows(embedding: Encoder, width: int) -> Tensor:
    """Rows [V, P] whose norm gives the first numbers of the embedding's tokens, and their length relative to each other.

    The last number is the silence: it has what is missing to the longest of all, and its gain is 0.
    """
    table_VD, gain_D = embedding.embeddings.tok_embeddings.weight, embedding.final_norm.weight
    size = (table_VD.shape[1],)
    heard_VD = (
        functional.layer_norm(functional.layer_norm(table_VD, size) * embedding.embeddings.norm.weight, size) * gain_D
    )
    rows_VP = heard_VD[:, : width - 1]
    lengths_V = rows_VP.norm(dim=1)
    silence_V = (lengths_V.quantile(0.999).square() - lengths_V.square()).clamp(min=0).sqrt()
    return torch.cat([rows_VP, silence_V[:, None]], dim=1)


def learn(
    rows_VP: Tensor, pairs: Sequence[Pair], epochs: float, batch: int, lr: float, seed: int
) -> tuple[Tensor, list[float]]:
    """Train rows in place; returns the gains behind their norm, and losses of MaxSim, each the mean of fifty steps."""
    rows_VP /= rows_VP.std()
    heard_P = torch.ones(rows_VP.shape[1])
    heard_P[-1] = 0
    first = next(batches(pairs, batch, seed))
    gain = min(GAINS, key=lambda gain: late_loss(normed(rows_VP, gain * heard_P), first).item())
    say(f"gains begin as {gain}")
    gains_P = torch.full_like(heard_P, gain).requires_grad_()
    rows_VP.requires_grad_()
    optimizer = torch.optim.Adam(
        [{"params": [rows_VP]}, {"params": [gains_P], "lr_share": 0.1}], lr=lr, betas=(0.9, 0.98)
    )
    steps = max(1, int(epochs * len(pairs) / batch))
    losses: list[float] = []
    for step, chosen in zip(range(steps), batches(pairs, batch, seed), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = group.get("lr_share", 1.0) * lr * min(1.0, (step + 1) / (0.05 * steps)) * (1 - step / steps)
        late = late_loss(normed(rows_VP, gains_P * heard_P), chosen)
        mean = mean_loss(rows_VP, gains_P * heard_P, chosen)
        optimizer.zero_grad()
        (late + MEAN_WEIGHT * mean).backward()
        optimizer.step()
        losses.append(late.item())
        if step % 50 == 0:
            say(f"step {step:,} of {steps:,}: loss {losses[-1]:.3f}, of the mean {mean.item():.3f}")
    rows_VP.requires_grad_(False)
    return (gains_P * heard_P).detach(), [float(np.mean(losses[i : i + 50])) for i in range(0, len(losses), 50)]


def normed(rows_VP: Tensor, gains_P: Tensor) -> Tensor:
    """What a silent layer's encoder gives for each token. [V, P]."""
    return functional.layer_norm(rows_VP, (rows_VP.shape[1],)) * gains_P


def late_loss(vectors_VP: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """Of finding each question's own answer among all; not the other way, for a longer question has larger scores with every answer."""
    scores_NN = maxsim(vectors_VP, [pair.anchor for pair in pairs], [pair.positive for pair in pairs])
    return functional.cross_entropy(scores_NN, torch.arange(len(pairs)))


def maxsim(vectors_VP: Tensor, asked: list[np.ndarray], told: list[np.ndarray]) -> Tensor:
    """Scores [N, N] of questions (rows) and answers, where a token has one vector: each two tokens are compared once."""
    asked_K, counts_NK = _counted(asked)
    told = [np.unique(ids) for ids in told]
    told_L, places = np.unique(np.concatenate(told), return_inverse=True)
    offsets_N = torch.tensor(np.cumsum([0] + [len(ids) for ids in told[:-1]]))
    alike_LK = vectors_VP[torch.from_numpy(told_L).long()] @ vectors_VP[torch.from_numpy(asked_K).long()].T
    best_NK = functional.embedding_bag(torch.from_numpy(places), alike_LK, offsets_N, mode="max")
    return counts_NK.to(best_NK.dtype) @ best_NK.T


def quiet_tokens(vectors_VP: Tensor, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Tokens that matter little, spelled as the vocabulary does."""
    lengths_V = vectors_VP.norm(dim=1)
    return tuple(tokenizer.token(int(token_id)) for token_id in (lengths_V < QUIET * lengths_V.max()).nonzero()[:, 0])


def silent(embedding: Encoder, rows_VP: Tensor, gains_P: Tensor) -> Encoder:
    """An encoder of these tokens, and of one layer that adds nothing."""
    width = rows_VP.shape[1]
    model = Encoder(replace(embedding.config, hidden_size=width, num_attention_heads=width // 64))
    with torch.no_grad():
        model.embeddings.tok_embeddings.weight.copy_(rows_VP * (ROOM / rows_VP.std()))
        model.final_norm.weight.copy_(gains_P)
    silence(model)
    return model


def _counted(texts: list[np.ndarray]) -> tuple[np.ndarray, Tensor]:
    """Different tokens, and how often each is in each text."""
    different_K, places = np.unique(np.concatenate(texts), return_inverse=True)
    counts_NK = np.zeros((len(texts), len(different_K)), dtype=np.float32)
    np.add.at(counts_NK, (np.repeat(np.arange(len(texts)), [len(ids) for ids in texts]), places), 1)
    return different_K, torch.from_numpy(counts_NK)


if __name__ == "__main__":
    as_script(main)
