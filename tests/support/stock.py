"""Stock transformers models as people have them: float32, sdpa; with a float64 twin of the same weights beside them."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.models.modernbert.modeling_modernbert import ModernBertEncoderLayer

from modernbert.model import _hf_forward
from support.tiny import random_documents, stock_twin, tiny_config

LENGTHS = (1, 2, 63, 64, 65, 66, 127, 128, 129, 130)


def stock_model(
    architecture: str = "ModernBertForMaskedLM", *, dtype: torch.dtype = torch.float32, **changes: Any
) -> tuple[nn.Module, nn.Module]:
    """A stock model with sdpa attention, and the float64 oracle of the same weights (shared: never to be changed)."""
    generation = changes.pop("generation", "new")
    truth = stock_twin(tiny_config(**changes), architecture, generation=generation)
    model = copy.deepcopy(truth).to(dtype)
    model.set_attn_implementation("sdpa")
    return model.eval(), truth


def batch(side: str = "right", lengths: tuple[int, ...] = LENGTHS, *, seed: int = 0) -> dict[str, Tensor]:
    """Ids and mask; "holes" masks every fifth token away, and puts [PAD] there. No real token is [PAD]."""
    longest = max(lengths)
    ids = torch.zeros(len(lengths), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, document in enumerate(random_documents(lengths, seed=seed)):
        start = longest - len(document) if side == "left" else 0
        ids[row, start : start + len(document)] = torch.tensor(document, dtype=torch.int64).clamp(min=3)
        mask[row, start : start + len(document)] = 1
    if side == "holes":
        mask[:, 3::5] = 0
        ids[:, 3::5] = 0
    return {"input_ids": ids, "attention_mask": mask}


@contextmanager
def without_stock_layers() -> Iterator[None]:
    """Stock's own layers cannot run in here: who gives an answer does so without them."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the stock forward ran")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModernBertEncoderLayer, "forward", refuse)
        yield


@contextmanager
def counted_encodes() -> Iterator[list[int]]:
    """How many tokens each batch had that an accelerated model encoded itself."""
    counts: list[int] = []
    encode = _hf_forward.encode

    def count(modules: nn.Module, packed: Any) -> Tensor:
        counts.append(packed.num_tokens)
        return encode(modules, packed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_hf_forward, "encode", count)
        yield counts
