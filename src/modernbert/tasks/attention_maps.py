"""Who looks at whom, layer by layer: attention as numbers and as a picture. For short texts; it holds t x t for every head.

Shapes:  t tokens   H heads   K head size
"""

from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.core.errors import UserError, require
from modernbert.core.files import write_atomically
from modernbert.model.encoder import Encoder
from modernbert.model.layers import LayerModules
from modernbert.model.twin import twin
from modernbert.ops.packed import Packed
from modernbert.ops.rope import Rope
from modernbert.ops.window import Window
from modernbert.text.tokenizer import Tokenizer

MOST_TOKENS = 1024


@torch.no_grad()
def attention_maps(encoder: Encoder, ids: list[int]) -> list[Float[Tensor, "H t t"]]:
    """For each layer, the share of attention that every token (row) gives to every other (column), by head.

    Raises:
        UserError: more tokens than a picture can show.
    """
    if len(ids) > MOST_TOKENS:
        raise UserError(f"found {len(ids):,} tokens, expected {MOST_TOKENS:,} or fewer: look at a part of the text")
    config = encoder.config
    packed = Packed.from_lists([ids], device=next(encoder.parameters()).device)
    seen: dict[int, Tensor] = {}
    own = twin(encoder)  # whose hooks nobody else meets
    for number, layer in enumerate(own.layers):
        cast("LayerModules", layer).attn.Wqkv.register_forward_hook(
            lambda _, __, out, number=number: seen.update({number: out})
        )
    own(packed, backend="blocked")
    maps = []
    for number, kind in enumerate(config.layer_kinds):
        qkv_T3HK = seen[number].unflatten(-1, (3, config.num_attention_heads, config.head_dim))
        rope = Rope.at(packed.positions, theta=config.theta(kind), head_size=config.head_dim, longest=packed.widest + 1)
        q_THK, k_THK, _ = rope.split(qkv_T3HK)
        scores_Htt = torch.einsum("ihk,jhk->hij", q_THK.float(), k_THK.float()) / config.head_dim**0.5
        window = Window.full() if kind == "full_attention" else Window.both(config.window_reach)
        allowed_tt = window.allows(packed.positions[:, None], packed.positions[None, :])
        maps.append(scores_Htt.masked_fill(~allowed_tt, float("-inf")).softmax(-1))
    return maps


def draw_attention(encoder: Encoder, tokenizer: Tokenizer, text: str, path: Path, *, dpi: int = 110) -> Path:
    """A picture of every layer, its heads averaged; global layers are framed. Tokens are named where there are few.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    ids = tokenizer.encode([text]).ids[0]
    maps = attention_maps(encoder, ids)
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.4 * rows), layout="constrained")
    names = [tokenizer.decode([token], special=True) for token in ids] if len(ids) <= 24 else None
    for number, (found, kind) in enumerate(zip(maps, encoder.config.layer_kinds, strict=True)):
        axis = figure.add_subplot(rows, columns, number + 1)
        axis.imshow(found.mean(0).sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)
        is_global = kind == "full_attention"
        axis.set_title(f"layer {number}, {'global' if is_global else f'±{encoder.config.window_reach}'}", fontsize=9)
        for side in axis.spines.values():
            side.set_color("#c0552b" if is_global else "#9fb3c8")
            side.set_linewidth(2 if is_global else 1)
        axis.set_xticks([])
        axis.set_yticks(
            range(len(names)) if names and number % columns == 0 else [],
            names if names and number % columns == 0 else [],
            fontsize=7,
        )
    with write_atomically(path) as file:
        figure.savefig(file, format="png", dpi=dpi)
    return path
