"""The constrained search that ModernBERT's shapes came from, as a function: a space, devices, a ranking, and reasons.

No torch here unless `cpu` is among the targets. What is estimated and what is judged says `shape_scores`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modernbert.bench.shape_scores import Score, Work, score
from modernbert.bench.shapes import Grid, Space, broken_rule, same_shape, search
from modernbert.bench.targets import Target
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import num_parameters

PRESETS: dict[str, Space] = {
    "base": Space(parameters=(130_000_000, 150_000_000), hidden_sizes=(768,)),
    "large": Space(parameters=(350_000_000, 420_000_000), hidden_sizes=(1024,)),
}
"""What the paper searched: BERT's widths, which others' tools expect, and somewhat more parameters than BERT's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A ranking of all shapes of a space."""

    space: Space
    targets: tuple[Target, ...]
    work: Work
    grid: Grid
    scores: tuple[Score, ...]
    """Best first."""

    def rank_of(self, shape: ModelConfig) -> int | None:
        """Its place from 1; absent where the space does not hold it."""
        return next((rank for rank, found in enumerate(self.scores, 1) if same_shape(found.shape, shape)), None)


def design(space: Space, targets: Sequence[Target], work: Work) -> Design:
    """Search the space and rank what it holds; equal scores are ordered by parameters, fewest first.

    Raises:
        UserError: the space holds nothing.
    """
    grid = search(space)
    scores = [score(shape, targets, work) for shape in grid.shapes]
    # Rounded, so that the last bit of a float never decides.
    scores.sort(key=lambda found: (-round(found.value, 9), num_parameters(found.shape), found.shape.num_hidden_layers))
    return Design(space=space, targets=tuple(targets), work=work, grid=grid, scores=tuple(scores))


def name_of(shape: ModelConfig) -> str | None:
    """Under which name a shape is published; absent for a new one."""
    return next((name for name, config in SIZES.items() if same_shape(config, shape)), None)


def reasons(found: Score, first: Score) -> str:
    """Which rules gained or lost what against the first, in words."""
    if found is first:
        speed = found.speed
        return (
            f"{speed.of_peak:.1%} of the peak = tiles {speed.tiles:.1%} x waves {speed.waves:.1%}"
            f" x matrices {speed.matrices:.1%} of the time; depth {found.depth:.1%}"
        )
    ratios = {
        "tiles": found.speed.tiles / first.speed.tiles,
        "waves": found.speed.waves / first.speed.waves,
        "matrices": found.speed.matrices / first.speed.matrices,
        "depth": found.depth / first.depth,
    }
    telling = [f"{rule} {ratio - 1:+.1%}" for rule, ratio in ratios.items() if abs(ratio - 1) >= 0.0005]
    return ", ".join(telling) or "the same"


def verdicts(found: Design) -> list[str]:
    """Where the published shapes of these widths and this size stand, and why not higher."""
    low, high = found.space.parameters
    told = []
    for name, published in SIZES.items():
        shape = replace(published, vocab_size=found.space.vocab_size, pad_token_id=None)
        if shape.hidden_size in found.space.hidden_sizes and low <= num_parameters(shape) <= high:
            told.append(f"{name} ({words(shape)}): {_verdict(shape, found)}")
    return told


def words(shape: ModelConfig) -> str:
    """22 x 768, gate 1,152"""
    return f"{shape.num_hidden_layers} x {shape.hidden_size:,}, gate {shape.intermediate_size:,}"


def _verdict(shape: ModelConfig, found: Design) -> str:
    rank = found.rank_of(shape)
    if rank is None:
        return f"not in this space, because {broken_rule(shape, found.space) or 'its depth or its heads are outside'}"
    first, own = found.scores[0], found.scores[rank - 1]
    place = f"place {rank} of {len(found.scores)}"
    if rank > 1:
        place += f", {1 - own.value / first.value:.1%} below the first ({words(first.shape)}): {reasons(own, first)}"
    if own.utilisation is None:
        return place
    busier = sum((other.utilisation or 0.0) > own.utilisation for other in found.scores)
    return f"{place}; by the reference's count of busy units, place {busier + 1}"
