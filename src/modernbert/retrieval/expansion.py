"""Query expansion, ColBERT's trick: [MASK] tokens behind a query, which become the words it might have said.

Mostly the query's own tokens do not see them, while they see the query: they ask and are never keys. No packed kernel
knows such tokens, and queries are short, so their attention is dense here, over a rectangle of equal lengths.

Shapes:  N queries   L tokens of each   T = N L   D width   H heads   K head size
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modernbert.core.errors import CheckpointError
from modernbert.model.encoder import Encoder
from modernbert.ops.geglu import gated
from modernbert.ops.packed import Packed
from modernbert.ops.rope import Rope
from modernbert.ops.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """How queries are expanded."""

    length: int
    """Tokens that every query has afterwards, special ones included."""
    strategy: Literal["fixed", "min"] = "fixed"
    """Whether a longer query is cut to this length, or stays."""
    is_attended: bool = False
    """Whether the query's own tokens see the expansion."""
    token: str | None = None
    """Absent: [MASK]."""

    @classmethod
    def of(cls, found: object, where: Path) -> "Expansion | None":
        """From sentence-transformers' `query_expansion`.

        Raises:
            CheckpointError: it says something else.
        """
        if found is None:
            return None
        if isinstance(found, dict):
            length, strategy = found.get("length"), found.get("strategy")
            if isinstance(length, int) and length > 0 and strategy in ("fixed", "min"):
                attend, token = bool(found.get("attend", False)), found.get("token")
                return cls(length=length, strategy=strategy, is_attended=attend, token=token)
        raise CheckpointError(
            f"{where}: query_expansion: found {found!r}, expected a strategy (fixed or min) and a length: correct the folder"
        )

    def as_settings(self) -> dict[str, object]:
        """In sentence-transformers' words."""
        return {"strategy": self.strategy, "attend": self.is_attended, "token": self.token, "length": self.length}


def encode_expanded(encoder: Encoder, ids: Int[Tensor, "N L"], is_real: Bool[Tensor, "N L"]) -> Float[Tensor, "N L D"]:
    """Hidden states where only the real tokens are keys.

    A token whose window holds no real one gets nothing from attention, as in stock.
    """
    config = encoder.config
    packed = Packed.from_padded(ids)
    shape = (*ids.shape, config.num_attention_heads, config.head_dim)
    apart = packed.positions.view(ids.shape)[0]
    windows = {"full_attention": Window.full(), "sliding_attention": Window.both(config.window_reach)}
    x_TD = encoder.embeddings.norm(encoder.embeddings.tok_embeddings(packed.ids))
    for layer, kind in zip(encoder.layers, config.layer_kinds, strict=True):
        rope = Rope.at(packed.positions, theta=config.theta(kind), head_size=config.head_dim, longest=ids.shape[1])
        qkv_TE = layer.attn.Wqkv(layer.attn_norm(x_TD))  # type: ignore[union-attr, operator]
        heads = rope.split(qkv_TE.unflatten(-1, (3, config.num_attention_heads, config.head_dim)))
        q, k, v = (each.view(shape).transpose(1, 2).float() for each in heads)
        seen_NLL = windows[kind].allows(apart[:, None], apart[None, :])[None] & is_real[:, None, :]
        mixed = _attend(q, k, v, seen_NLL[:, None]).transpose(1, 2).flatten(2).flatten(0, 1)
        x_TD = x_TD + layer.attn.Wo(mixed.to(x_TD.dtype))  # type: ignore[union-attr, operator]
        gate_TF = gated(layer.mlp.Wi(layer.mlp_norm(x_TD)), config.hidden_activation)  # type: ignore[union-attr, operator]
        x_TD = x_TD + layer.mlp.Wo(gate_TF)  # type: ignore[union-attr, operator]
    return encoder.final_norm(x_TD).view(*ids.shape, -1)


def _attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~seen, -torch.inf)
    return torch.nan_to_num(scores.softmax(-1)) @ v  # a row that sees nothing has no softmax
