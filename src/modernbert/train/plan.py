"""What a recipe amounts to before anything is computed: steps, batches, rates, hours, and what looks wrong.

Everything is arithmetic on the settings; no torch here, and no token is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import num_parameters
from modernbert.train.config import Batch, Fresh, Recipe, Stage
from modernbert.train.cost import Cost, Reading, cost

BYTES_PER_PARAMETER = 16
"""Weight, gradient and Adam's two moments, four bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage in figures."""

    name: str
    tokens: int
    steps: int
    """Optimizer steps, as if all rows were full."""
    first_batch: int
    """Tokens of the first step."""
    last_batch: int
    length: int
    room: int
    warmup: int
    """Tokens in which the learning rate rises."""
    lr: float
    """At its peak."""
    last_lr: float
    """At the stage's end."""
    weight_decay: float
    mask_rate: float
    last_mask_rate: float
    global_rope_theta: float
    local_rope_theta: float
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A recipe in figures."""

    model: ModelConfig
    num_parameters: int
    state_bytes: int
    """Weights, gradients and optimizer on each device (with fsdp: on all together)."""
    stages: tuple[StagePlan, ...]
    warnings: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Of all stages."""
        return sum(stage.tokens for stage in self.stages)

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def h100_hours(self) -> float:
        """Of all stages."""
        return sum(stage.cost.h100_hours for stage in self.stages)


def plan(recipe: Recipe, *, vocab_size: int | None = None) -> Plan:
    """The figures of a recipe, and the warnings; the vocabulary is the model's own where the shards' is not given."""
    config = SIZES[recipe.model] if isinstance(recipe.model, str) else recipe.model
    config = config if vocab_size is None else replace(config, vocab_size=vocab_size, pad_token_id=None)
    thetas = config
    stages = []
    for name, stage in recipe.stages.items():
        thetas = replace(
            thetas,
            global_rope_theta=stage.global_rope_theta or thetas.global_rope_theta,
            local_rope_theta=stage.local_rope_theta or thetas.local_rope_theta,
        )
        stages.append(_plan_stage(name, stage, recipe, thetas))
    return Plan(
        model=thetas,
        num_parameters=num_parameters(config),
        state_bytes=BYTES_PER_PARAMETER * num_parameters(config),
        stages=tuple(stages),
        warnings=tuple(_warnings(recipe, tuple(stages), config)),
    )


def num_steps(batch: Batch, tokens: int) -> int:
    """Optimizer steps in so many tokens, batch warm-up included.

    While the batch grows from a to b over so many tokens, its square grows in a straight line, so the mean batch up to
    a size e is (a + e) / 2.
    """
    if batch.start is None:
        return max(1, round(tokens / batch.size))
    growing = min(tokens, batch.over)
    reached = sqrt(batch.start**2 + growing / batch.over * (batch.size**2 - batch.start**2))
    return max(1, round(2 * growing / (batch.start + reached) + (tokens - growing) / batch.size))


def _plan_stage(name: str, stage: Stage, recipe: Recipe, config: ModelConfig) -> StagePlan:
    lr = recipe.optim.lr if stage.lr is None else stage.lr
    rate = stage.masking.rate
    last_rate = rate if stage.masking.final_rate is None else stage.masking.final_rate
    reading = Reading(tokens=stage.tokens, length=stage.rows.length, predicted=(rate + last_rate) / 2)
    return StagePlan(
        name=name,
        tokens=stage.tokens,
        steps=num_steps(stage.batch, stage.tokens),
        first_batch=stage.batch.size if stage.batch.start is None else stage.batch.start,
        last_batch=stage.batch.size,
        length=stage.rows.length,
        room=stage.rows.room,
        warmup=stage.schedule.warmup,
        lr=lr,
        last_lr=lr * (1.0 if stage.schedule.decay == 0 else stage.schedule.floor),
        weight_decay=recipe.optim.weight_decay if stage.weight_decay is None else stage.weight_decay,
        mask_rate=rate,
        last_mask_rate=last_rate,
        global_rope_theta=config.global_rope_theta,
        local_rope_theta=config.local_rope_theta,
        cost=cost(config, reading),
    )


def _warnings(recipe: Recipe, stages: tuple[StagePlan, ...], config: ModelConfig) -> Iterator[str]:
    yield from _about_data(recipe)
    if (
        not isinstance(recipe.start, Fresh)
        and not Path(recipe.start.path).exists()
        and recipe.start.path.count("/") != 1
    ):
        yield f"start.path: {recipe.start.path} is not there; give a folder with --start.path=FOLDER"
    for before, stage in zip((None, *stages), stages, strict=False):
        where = f"stages.{stage.name}"
        if stage.length > 4096 and stage.global_rope_theta <= 10_000:
            yield f"{where}: global_rope_theta is 10,000 for {stage.length:,} tokens; the paper has 160,000"
        if stage.first_batch < stage.room:
            yield f"{where}: a batch of {stage.first_batch:,} tokens is less than a row ({stage.room:,}); it will be one row"
        if before is not None and stage.lr > 2 * before.last_lr and not stage.warmup:
            yield (
                f"{where}: the learning rate jumps from {before.last_lr:.1e} to {stage.lr:.1e} without a warm-up;"
                " expect the loss to rise"
            )
    if config.vocab_size % 64:
        yield f"model: vocab_size {config.vocab_size:,} is not a multiple of 64, which tensor cores want"
    if stages[-1].last_lr > 0.1 * stages[-1].lr:
        yield f"stages.{stages[-1].name}: ends at its peak learning rate; a decay to nearly 0 lowers the loss (1-sqrt)"


def _about_data(recipe: Recipe) -> Iterator[str]:
    without = [name for name, stage in recipe.stages.items() if not (stage.sources or recipe.data.sources)]
    if without:
        yield (
            f"no text for {', '.join(without)}: give token shards with --data.sources.NAME.path=FOLDER"
            " (modernbert data tokenize writes them)"
        )
    if not recipe.data.held_out:
        yield "no held-out text, so the loss on new text stays unknown: --data.held_out.NAME=FOLDER/held-out"
    for name, path in _folders(recipe):
        if not path.exists():
            yield f"{name}: {path} is not there; modernbert data tokenize writes such folders"


def has_data(recipe: Recipe) -> bool:
    """Whether every stage has text to read, and all folders are there to be looked into."""
    folders = _folders(recipe)
    return all(stage.sources or recipe.data.sources for stage in recipe.stages.values()) and all(
        path.exists() for _, path in folders
    )


def _folders(recipe: Recipe) -> list[tuple[str, Path]]:
    """Where the text is, by the place in the recipe that says so."""
    found = [(f"data.sources.{name}", source.path) for name, source in recipe.data.sources.items()]
    for stage, settings in recipe.stages.items():
        found += [(f"stages.{stage}.sources.{name}", source.path) for name, source in (settings.sources or {}).items()]
    return [*found, *((f"data.held_out.{name}", path) for name, path in recipe.data.held_out.items())]
