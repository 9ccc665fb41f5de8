"""The shapes that a model could have: a grid, and the rules that thin it out. No torch here.

The rules are those of ModernBERT's own search (arXiv 2412.13663, appendix B): a range of parameters, a width that
others' tools expect, dimensions in multiples of 64, weights that divide into tiles of 128 x 256, and a global layer at
both ends. A shape is a `ModelConfig`; how good it is says `shape_scores`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modernbert.bench.targets import TILE
from modernbert.core.errors import UserError
from modernbert.model.config import ModelConfig
from modernbert.model.counts import num_parameters

MULTIPLE = 64
"""Of every dimension: 128 bytes in 16 bit, what tensor cores read at full speed (arXiv 2401.14489, section 3)."""

Matrices = dict[str, tuple[int, int]]
"""A layer's weights by their names in a checkpoint, as [outputs, inputs]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may be chosen, and within which bounds; both ends count."""

    parameters: tuple[int, int]
    """Of the whole model, masked-language-model head included, as papers count."""
    hidden_sizes: tuple[int, ...]
    vocab_size: int = 50_368
    head_size: int = 64
    layers: tuple[int, int] = (4, 64)
    expansion: tuple[float, float] = (2.0, 6.0)
    """Outputs of `Wi` over the width. The reference searched 2 to 4; the published large has 5.1."""
    whole_tiles: bool = True
    """Whether each weight must hold a whole number of 128 x 256 tiles by its area, as the reference asks."""
    global_every: int = 3

    def __post_init__(self) -> None:
        for name in ("parameters", "layers", "expansion"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise UserError(f"{name}: found {low:,} to {high:,}, expected a range above 0, the smaller end first")
        if not self.hidden_sizes:
            raise UserError("hidden_sizes: found none, expected some, such as 768")
        for name, sizes in (
            ("hidden_sizes", self.hidden_sizes),
            ("vocab_size", (self.vocab_size,)),
            ("head_size", (self.head_size,)),
        ):
            for size in sizes:
                if size < 1 or size % MULTIPLE:
                    least = max(1, -(-size // MULTIPLE)) * MULTIPLE
                    raise UserError(
                        f"{name}: found {size:,}, expected a multiple of {MULTIPLE}, which tensor cores want: take {least:,}"
                    )
        for size in self.hidden_sizes:
            if size % self.head_size:
                raise UserError(f"hidden_sizes: found {size:,}, expected a multiple of the head size {self.head_size}")
        if self.global_every < 1:
            raise UserError(f"global_every: found {self.global_every}, expected 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What a space holds."""

    shapes: tuple[ModelConfig, ...]
    """By width, then depth, then gate."""
    dropped: dict[str, int]
    """How many shapes of the right size each rule took away, by its words."""


def search(space: Space) -> Grid:
    """Every shape of the space that keeps all rules.

    Raises:
        UserError: there is none; the message says which rule took the last ones.
    """
    kept: list[ModelConfig] = []
    dropped: dict[str, int] = {}
    for shape in _of_the_right_size(space):
        broken = broken_rule(shape, space)
        if broken is None:
            kept.append(shape)
        else:
            dropped[broken] = dropped.get(broken, 0) + 1
    if not kept:
        raise UserError(_nothing_left(space, dropped))
    return Grid(shapes=tuple(kept), dropped=dropped)


def shape(
    *, layers: int, hidden: int, gate: int, vocab_size: int = 50_368, head_size: int = 64, global_every: int = 3
) -> ModelConfig:
    """A config of that shape; the special tokens are left out, since a smaller vocabulary has them elsewhere."""
    return ModelConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=gate,
        num_attention_heads=hidden // head_size,
        vocab_size=vocab_size,
        global_attn_every_n_layers=global_every,
        pad_token_id=None,
    )


def same_shape(one: ModelConfig, other: ModelConfig) -> bool:
    """Whether both have the same layers; the vocabulary does not count."""
    return _key(one) == _key(other)


def matrices(config: ModelConfig) -> Matrices:
    """The four weights of one layer."""
    width, gate = config.hidden_size, config.intermediate_size
    return {
        "attn.Wqkv": (3 * width, width),
        "attn.Wo": (width, width),
        "mlp.Wi": (2 * gate, width),
        "mlp.Wo": (width, gate),
    }


def cut_matrices(config: ModelConfig) -> list[str]:
    """Those weights whose area is no whole number of tiles."""
    return [name for name, (rows, columns) in matrices(config).items() if rows * columns % (TILE[0] * TILE[1])]


def _of_the_right_size(space: Space) -> Iterator[ModelConfig]:
    for hidden in sorted(set(space.hidden_sizes)):
        for layers in range(space.layers[0], space.layers[1] + 1):
            for gate in _gates(space, layers, hidden):
                yield _shape_in(space, layers, hidden, gate)


def _gates(space: Space, layers: int, hidden: int) -> range:
    """Gates in multiples of 64 that give the right size: the parameters are a straight line over the gate."""
    least, next_one = (num_parameters(_shape_in(space, layers, hidden, gate)) for gate in (MULTIPLE, 2 * MULTIPLE))
    low, high = space.parameters
    first = max(0, -((least - low) // (next_one - least)))
    last = (high - least) // (next_one - least)
    return range(MULTIPLE * (1 + first), min(MULTIPLE * (1 + last), 16 * hidden) + 1, MULTIPLE)


def _shape_in(space: Space, layers: int, hidden: int, gate: int) -> ModelConfig:
    return shape(
        layers=layers,
        hidden=hidden,
        gate=gate,
        vocab_size=space.vocab_size,
        head_size=space.head_size,
        global_every=space.global_every,
    )


def broken_rule(found: ModelConfig, space: Space) -> str | None:
    """The first rule of the space that a shape of the right size breaks, in words; absent where it keeps all."""
    is_open_ended, is_lopsided, is_cut = _rules(space)
    low, high = space.expansion
    if found.layer_kinds[-1] != "full_attention":
        return is_open_ended
    if not low <= 2 * found.intermediate_size / found.hidden_size <= high:
        return is_lopsided
    return is_cut if space.whole_tiles and cut_matrices(found) else None


def _rules(space: Space) -> tuple[str, str, str]:
    """What each rule says of a shape that breaks it, in the order in which they are looked at."""
    low, high = space.expansion
    return (
        "the last layer is not global",
        f"Wi puts out less than {low:g} or more than {high:g} times the width",
        _CUT,
    )


_CUT = f"a weight is no whole number of {TILE[0]} x {TILE[1]} tiles"


def _nothing_left(space: Space, dropped: dict[str, int]) -> str:
    low, high = (f"{end / 1e6:,.4g}M" for end in space.parameters)
    widths = ", ".join(map(str, sorted(set(space.hidden_sizes))))
    asked = f"{low} to {high} parameters with a width of {widths} and a vocabulary of {space.vocab_size:,}"
    if not dropped:
        tables = [
            num_parameters(shape(layers=1, hidden=size, gate=MULTIPLE, vocab_size=space.vocab_size))
            for size in space.hidden_sizes
        ]
        hint = (
            "the embeddings alone are larger: take a smaller vocabulary or width"
            if min(tables) > space.parameters[1]
            else f"no depth of {space.layers[0]} to {space.layers[1]} gives that: widen a range"
        )
        return f"found no shape of {asked}; {hint}"
    rule = next(rule for rule in reversed(_rules(space)) if rule in dropped)  # the one that took the last shapes
    way_out = "allow cut tiles, or take a width that is a multiple of 256" if rule == _CUT else "widen a range"
    return (
        f"found no shape of {asked}: of {sum(dropped.values()):,} in all, the last {dropped[rule]:,} were dropped because"
        f" {rule}; {way_out}"
    )


def _key(config: ModelConfig) -> tuple[int, int, int, int]:
    return (config.hidden_size, config.num_hidden_layers, config.intermediate_size, config.num_attention_heads)
