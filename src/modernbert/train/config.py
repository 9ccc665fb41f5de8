"""Settings of a training run; no torch here, so reading a recipe stays instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Tokens
from modernbert.data.config import Data, Masking, Rows, Source
from modernbert.model.config import SIZES, ModelConfig


def _check_adam(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    if lr <= 0 or eps <= 0 or weight_decay < 0:
        raise ConfigError(f"lr and eps are above 0 and weight_decay is 0 or more: found {lr}, {eps}, {weight_decay}")
    if not all(0 <= beta < 1 for beta in betas):
        raise ConfigError(f"betas lie in [0, 1): found {betas}")


def _check_embeddings(share: float) -> None:
    if share <= 0:
        raise ConfigError(f"embeddings is {share}, expected their rate in learning rates, above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class StableAdamW:
    """AdamW whose step shrinks when gradients outgrow their history; it replaces gradient clipping (arXiv 2304.13013)."""

    kind: Literal["stable-adamw"] = "stable-adamw"
    lr: float = 8e-4
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 1e-5
    """Share of a weight that goes at each step at peak learning rate; norms and biases are spared."""
    embeddings: float = 1.0
    """Learning rate of the token embeddings, in learning rates. With tied weights every step pushes at every row, and Adam
    makes its smallest push a whole one: below 1 keeps what counted embeddings know of rare tokens."""

    def __post_init__(self) -> None:
        _check_adam(self.lr, self.betas, self.eps, self.weight_decay)
        _check_embeddings(self.embeddings)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """AdamW with gradient clipping: what most others train with, here to compare with."""

    kind: Literal["adamw"] = "adamw"
    lr: float = 8e-4
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 1e-5
    """As in `stable-adamw`: decay does not scale with the learning rate's peak, only with its schedule."""
    clip: float | None = 1.0
    """Largest norm of all gradients together; absent: no clipping."""

    def __post_init__(self) -> None:
        _check_adam(self.lr, self.betas, self.eps, self.weight_decay)
        if self.clip is not None and self.clip <= 0:
            raise ConfigError(f"clip is {self.clip}, expected above 0, or null for none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon:
    """Muon (Jordan et al. 2024) for the layers' matrices, StableAdamW for embeddings, head, norms and biases."""

    kind: Literal["muon"] = "muon"
    lr: float = 8e-4
    """Peak learning rate of both; Muon's updates are scaled to the size of Adam's (Moonlight, arXiv 2502.16982)."""
    rms: float = 0.2
    """Root mean square of Muon's updates, in learning rates; Adam's have 0.2 to 0.4 (Moonlight, section 2.2)."""
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 1e-5
    embeddings: float = 1.0
    """As in `stable-adamw`."""

    def __post_init__(self) -> None:
        _check_adam(self.lr, self.betas, self.eps, self.weight_decay)
        _check_embeddings(self.embeddings)
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum is {self.momentum}, expected a number in [0, 1)")
        if self.rms <= 0:
            raise ConfigError(f"rms is {self.rms}, expected above 0 (Moonlight's is 0.2)")


Optim = StableAdamW | AdamW | Muon


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate over a stage: warm-up, stable, decay. Both at 0 is a constant rate; all decay is a plain cosine or 1-sqrt."""

    warmup: Tokens = Tokens(0)
    """Read while the rate rises in a straight line."""
    decay: Tokens | Literal["all"] = Tokens(0)
    """Read at the end while it falls; "all": everything after the warm-up."""
    shape: Literal["1-sqrt", "cosine", "linear"] = "1-sqrt"
    """How it falls."""
    floor: float = 0.0
    """What is left of the peak at the end."""

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor is {self.floor}, expected the share of the peak that is left at the end, 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tokens between two optimizer steps, over all devices; rounded to whole rows."""

    size: Tokens
    start: Tokens | None = None
    """Size of the first batches; absent: the full size at once."""
    over: Tokens = Tokens(0)
    """Tokens in which it grows from `start` to `size`, by the same amount each step, as the reference's does."""

    def __post_init__(self) -> None:
        if self.size < 1 or (self.start is not None and not 0 < self.start <= self.size):
            raise ConfigError(f"a batch grows from start to size: found {self.start} to {self.size}")
        if (self.start is None) != (self.over == 0):
            raise ConfigError(f"start and over belong together: found start {self.start}, over {self.over}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One part of pre-training: so many tokens under one set of rules."""

    tokens: Tokens
    """Read in this stage, [CLS] and [SEP] included."""
    batch: Batch
    rows: Rows = Rows()
    schedule: Schedule = Schedule()
    masking: Masking = Masking()
    lr: float | None = None
    """Peak learning rate of this stage; absent: the optimizer's."""
    weight_decay: float | None = None
    """Of this stage; absent: the optimizer's."""
    global_rope_theta: float | None = None
    """Rotary base of the global layers from this stage on; absent: as before."""
    local_rope_theta: float | None = None
    """The same for the windowed layers."""
    sources: dict[str, Source] | None = None
    """Instead of `data.sources`."""
    keep_optimizer: bool = True
    """Whether the optimizer's history goes on from the stage before."""

    def __post_init__(self) -> None:
        decay = 0 if self.schedule.decay == "all" else self.schedule.decay
        if self.schedule.warmup + decay > self.tokens:
            raise ConfigError(
                f"warm-up ({self.schedule.warmup}) and decay ({self.schedule.decay}) are longer than the stage ({self.tokens})"
            )
        if self.tokens < 1 or (self.lr is not None and self.lr <= 0):
            raise ConfigError(f"tokens and lr are above 0: found {self.tokens}, {self.lr}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Random weights."""

    kind: Literal["fresh"] = "fresh"
    embeddings: Literal["random", "counted"] = "random"
    """counted: tokens start near those that stand in the same company, and the decoder's bias at their frequency; seconds
    of counting for who has a small budget (`train/cooccurrence.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Weights of a model that exists: a folder in Hugging Face's layout, a Hub id, or a checkpoint of a run."""

    kind: Literal["continue"] = "continue"
    path: str
    """A run's `checkpoints/step-...` brings the optimizer's history along, for annealing; a model has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """Weights tiled from a smaller model (Gopher; ModernBERT, section 2.2.3)."""

    kind: Literal["grow"] = "grow"
    path: str
    """The smaller model, as for `continue`."""
    how: Literal["tile", "tile-aligned", "preserve"] = "tile"
    """As `modernbert model grow --how`."""
    noise: float = 0.0
    """Random numbers added to every matrix, as a share of `initializer_range`. Where a width is doubled, both copies
    have the same gradients for ever, unless dropout or this tells them apart."""

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ConfigError(f"noise is {self.noise}, expected 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What to do about steps that go wrong. A skipped step leaves weights and optimizer untouched; its rows are not read again."""

    spike: float = 10.0
    """A step is skipped when its gradient norm is this many times the median of the last 100; 0 never skips."""
    patience: int = 20
    """So many skipped steps in a row stop the run; the last good checkpoint stays."""

    def __post_init__(self) -> None:
        if self.spike < 0 or 0 < self.spike <= 1 or self.patience < 1:
            raise ConfigError(f"spike is 0 or above 1, patience 1 or more: found {self.spike}, {self.patience}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """When the run is saved. Every end of a stage and every ordered stop is saved, too."""

    every: Tokens | None = None
    """Tokens between two checkpoints; absent: only at the ends of stages."""
    keep: int | Literal["all"] = 2
    """How many of the newest stay; those at the end of a stage always do."""
    keep_every: Tokens | None = None
    """Checkpoints that pass a multiple of this stay for ever: a public series like Pythia's; absent: none."""
    background: bool = True
    """Write while training goes on."""

    def __post_init__(self) -> None:
        if self.keep != "all" and self.keep < 1:
            raise ConfigError(f"keep is {self.keep}, expected 1 or more, or all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Held-out text: the same masks each time, one loss and accuracy a source, means over masked tokens."""

    every: Tokens | None = None
    """Tokens between two evaluations; absent: at the ends of stages only."""
    tokens: Tokens = Tokens(200_000)
    """Read of each source, at most."""
    rate: float = 0.15
    """Share of tokens to predict, whatever the training's: so that stages can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """How the computation is done; none of it changes the result beyond rounding."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16 is autocast over float32 weights; auto takes it where the hardware multiplies it."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under `torchrun`: a copy of the model on each device, or its parameters spread over them (FSDP2)."""
    compile: bool = False
    """Fuse what is done token by token, all but attention, with torch.compile; the first step takes a minute."""
    recompute: bool = False
    """Activation checkpointing: a third more time for a fraction of the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a pre-training run."""

    model: str | ModelConfig
    """A named size, or a mapping of config.json's fields; the vocabulary comes from the shards' tokenizer."""
    stages: dict[str, Stage]
    """In order. A later file may change one of them by name."""
    data: Data = Data()
    optim: Optim = StableAdamW()
    start: Fresh | Continue | Grow = Fresh()
    seed: int = 17
    z_loss: float = 0.0
    """Weight of logsumexp(logits)^2 in the loss; PaLM's is 1e-4."""
    dropout: float = 0.0
    """After the attention's output projection, in training only; ModernBERT was trained with 0.1."""
    guard: Guard = Guard()
    saving: Saving = Saving()
    evaluation: Evaluation = Evaluation()
    devices: Devices = Devices()
    run: Path = Path("runs/pretrain")
    """Folder of the run; a run that is there already goes on where it was saved."""
    loggers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Besides metrics.jsonl, which is always written."""

    def __post_init__(self) -> None:
        if isinstance(self.model, str) and self.model not in SIZES:
            raise ConfigError(
                f"model: found {self.model!r}, expected one of {', '.join(SIZES)}, or a mapping of fields"
            )
        if not self.stages:
            raise ConfigError(
                "stages: found none, expected one or more, such as pretrain: {tokens: 10M, batch: {size: 64K}}"
            )
        if not 0 <= self.dropout < 1 or self.z_loss < 0:
            raise ConfigError(f"dropout is in [0, 1) and z_loss 0 or more: found {self.dropout}, {self.z_loss}")
