"""Whether a word is found better when the only place that names it lies more than 1,024 tokens back.

    python models/nano/far_clues.py HELD_OUT --shards SHARDS --models nano=FOLDER stage-1=FOLDER --out results/far-clues.json

Hidden are rare words (`RAREST` of the training text or less) whose every other occurrence in the document lies more than
`FAR` tokens before. Each is asked for twice: in the whole document, and in the `FAR` tokens around it alone, where there is
no clue. What the whole document gains is what reading far back is worth. Nothing else is hidden.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.data.shards import Shards
from modernbert.model.heads import MaskedLM
from modernbert.model.store import load
from modernbert.ops.packed import Packed

FAR = 1024
LONGEST = 8192
RAREST = 2e-5
APART = 64
"""Tokens between two hidden words of a document, so that no clue about one is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """A hidden word."""

    at: int
    """Its place in the document."""
    back: int
    """Tokens back to where it was last named."""


def main() -> None:
    """Ask every model about the same words."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("held_out", type=Path)
    words.add_argument("--shards", type=Path, required=True, help="what was trained on, for how rare a word is")
    words.add_argument("--models", nargs="+", required=True, metavar="NAME=FOLDER")
    words.add_argument("--most", type=int, default=600, help="words of each source")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    results: dict[str, dict[str, object]] = {}
    sources = sorted(path.name for path in given.held_out.iterdir() if path.is_dir())
    rare_V = _rare([Shards.open(given.shards / name) for name in sources])
    for word in given.models:
        name, _, folder = word.partition("=")
        model = load(folder or name, MaskedLM, dtype=torch.float32)
        for source in sources:
            shards = Shards.open(given.held_out / source)
            asked = list(_some(shards, rare_V, given.most))
            if sum(len(clues) for _, clues in asked) < 30:
                continue
            scores = _ask(model, shards, asked)
            results.setdefault(name, {})[source] = scores
            say(f"{source}, {name}: {scores}")
    with write_atomically(given.out, "w") as file:
        json.dump(results, file, indent=1)


def clues(ids_T: np.ndarray, rare_V: np.ndarray) -> list[Clue]:
    """Rare words that were named before, but not within `FAR` tokens to either side."""
    places: dict[int, list[int]] = {}
    for place in np.flatnonzero(rare_V[ids_T]):
        places.setdefault(int(ids_T[place]), []).append(int(place))
    found = []
    for where in places.values():
        for before, at, after in zip(where, where[1:], [*where[2:], 10**9], strict=False):
            if at - before > FAR and after - at > FAR:
                found.append(Clue(at=at, back=at - before))
    kept: list[Clue] = []
    for clue in sorted(found, key=lambda one: one.at):
        if not kept or clue.at - kept[-1].at >= APART:
            kept.append(clue)
    return kept


def _rare(sources: list[Shards]) -> np.ndarray:
    """Tokens that begin a word of four letters or more, and are rare in the training text."""
    size = sources[0].vocabulary.size
    counts = np.zeros(size)
    for shards in sources:
        for document in range(len(shards)):
            counts += np.bincount(shards.tokens(document), minlength=size) if document % 10 == 0 else 0
    tokenizer = sources[0].tokenizer()
    spelt = [tokenizer.token(i) for i in range(size)]
    is_word = np.array([token.startswith("Ġ") and len(token) > 4 and token[1:].isalpha() for token in spelt])
    return is_word & (counts > 0) & (counts / counts.sum() <= RAREST)


def _some(shards: Shards, rare_V: np.ndarray, most: int) -> Iterator[tuple[int, list[Clue]]]:
    found = 0
    for document in range(len(shards)):
        if found >= most:
            return
        if shards.lengths[document] > FAR and (
            chosen := clues(np.asarray(shards.tokens(document))[: LONGEST - 2], rare_V)
        ):
            found += len(chosen)
            yield document, chosen


@torch.inference_mode()
def _ask(model: MaskedLM, shards: Shards, asked: list[tuple[int, list[Clue]]]) -> dict[str, float]:
    vocabulary = shards.vocabulary
    whole, alone, nats = [], [], {"whole": 0.0, "alone": 0.0}
    for document, chosen in asked:
        ids_T = torch.from_numpy(np.asarray(shards.tokens(document))[: LONGEST - 2].astype(np.int64))
        targets = ids_T[[clue.at for clue in chosen]]
        hidden_T = ids_T.clone()
        hidden_T[[clue.at for clue in chosen]] = vocabulary.mask_id
        cls, sep = torch.tensor([vocabulary.cls_id]), torch.tensor([vocabulary.sep_id])
        logs = _logs(model, [torch.cat([cls, hidden_T, sep])], [[clue.at + 1 for clue in chosen]])
        whole += (logs.argmax(1) == targets).tolist()
        nats["whole"] -= float(logs.gather(1, targets[:, None]).sum())
        pieces, places = [], []
        for clue in chosen:
            start = max(0, min(clue.at - FAR // 2, len(ids_T) - FAR + 2))
            pieces.append(torch.cat([cls, hidden_T[start : start + FAR - 2], sep]))
            places.append([clue.at - start + 1])
        logs = _logs(model, pieces, places)
        alone += (logs.argmax(1) == targets).tolist()
        nats["alone"] -= float(logs.gather(1, targets[:, None]).sum())
    return {
        "words": len(whole),
        "whole": sum(whole) / len(whole),
        "alone": sum(alone) / len(alone),
        "whole_loss": nats["whole"] / len(whole),
        "alone_loss": nats["alone"] / len(alone),
    }


def _logs(model: MaskedLM, documents: list[torch.Tensor], places: list[list[int]]) -> torch.Tensor:
    """Log-probabilities at places of documents."""
    packed = Packed.from_lists([document.tolist() for document in documents])
    offsets = np.cumsum([0, *(len(document) for document in documents)])
    at = torch.tensor(
        [int(offset) + place for offset, of_one in zip(offsets, places, strict=False) for place in of_one]
    )
    return model(packed, at).log_softmax(-1)


if __name__ == "__main__":
    as_script(main)
