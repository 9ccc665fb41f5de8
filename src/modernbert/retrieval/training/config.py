"""Settings of a retrieval training run, by the names of transformers' `TrainingArguments`; no torch here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modernbert.core.errors import ConfigError
from modernbert.core.packaged import DEFAULT

Kind = Literal["dense", "late", "rerank"]
Loss = Literal["contrastive", "distil", "labels"]
LOSSES: dict[Kind, tuple[Loss, ...]] = {
    "dense": ("contrastive", "distil"),
    "late": ("contrastive", "distil"),
    "rerank": ("labels",),
}
"""The first is taken where nothing is said."""
ROLES = frozenset({"query", "positive", "negatives", "documents", "scores", "document", "label"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRetrieval:
    """Everything that decides a run."""

    kind: Kind
    """dense: a vector a text. late: a vector a token (ColBERT). rerank: query and document read together."""
    loss: Loss | None = None
    """contrastive: the positive against every other document of the batch and the row's negatives (CachedMNRL). distil: a
    teacher's scores of a row's documents, by KL divergence. labels: binary cross-entropy of each pair."""
    model: str = DEFAULT
    """A packaged model, a folder or a Hub id."""
    data: str
    """A file or folder of rows (.jsonl .csv .parquet, also packed), or the Hub's id of a set."""
    subset: str | None = None
    """Configuration of a set of the Hub."""
    columns: dict[str, str] = field(default_factory=dict)
    """Column by role (query, positive, negatives, documents, scores, document, label); absent: by its usual names."""
    num_negatives: int | None = None
    """Documents of a row beside its first; absent: as many as every row has."""
    max_train_samples: int | None = None
    """Use so many rows, drawn by `seed`."""
    held_out: str | None = None
    """A collection in BEIR's layout, hub:OWNER/NAME or mteb:TASK: its nDCG@10 chooses the checkpoint; absent: the last one."""
    held_out_split: str = "test"
    out: Path = Path("runs/retrieval")
    """Folder of the run: checkpoints, metrics, and the model."""

    query_prompt: str = ""
    """Before every query, in training and, written into the model, afterwards; likewise below."""
    document_prompt: str = ""
    max_length: int | None = None
    """Tokens of a text; absent: as many as the model was trained for. Longer ones are cut at their ends."""
    matryoshka_dims: tuple[int, ...] = ()
    """Widths at which the beginning of a vector is to be good by itself (dense only)."""
    temperature: float = 0.05
    """contrastive, dense: cosines are divided by it; distil: both sides' scores are."""

    learning_rate: float = 8e-5
    num_train_epochs: float = 1.0
    max_steps: int = -1
    """Optimizer steps; -1: as many as the epochs have."""
    per_device_train_batch_size: int = 16
    """Rows that compete with each other in a contrastive step."""
    mini_batch_size: int = 16
    """Rows in memory at once; contrastive and late distillation keep their exact gradients (GradCache)."""
    gradient_accumulation_steps: int = 1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_ratio: float = 0.05
    save_steps: int = 500
    """Steps between two checkpoints, each measured on the held-out collection."""
    accelerate: bool = True
    """Run on this package's engine; false: transformers' own code, to compare with."""
    bf16: bool | None = None
    """Mixed precision; absent: where the hardware multiplies it."""
    seed: int = 42

    def __post_init__(self) -> None:
        for name in (
            "num_negatives", "max_train_samples", "max_length", "per_device_train_batch_size", "mini_batch_size",
            "gradient_accumulation_steps", "save_steps",
        ):  # fmt: skip
            found = getattr(self, name)
            if found is not None and found < 1:
                raise ConfigError(f"{name} is {found}, expected 1 or more")
        for name in ("learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected above 0")
        if self.num_train_epochs <= 0 and self.max_steps < 1:
            raise ConfigError(f"num_train_epochs is {self.num_train_epochs}, expected above 0, or max_steps above 0")
        if not 0 <= self.warmup_ratio < 1:
            raise ConfigError(f"warmup_ratio is {self.warmup_ratio}, expected 0 or more and below 1")
        if self.loss not in (None, *LOSSES[self.kind]):
            raise ConfigError(f"loss is {self.loss!r}, expected {' or '.join(LOSSES[self.kind])} for {self.kind}")
        if self.matryoshka_dims and self.kind != "dense":
            raise ConfigError(f"matryoshka_dims are for dense: found {self.kind}")
        if unknown := sorted(set(self.columns) - ROLES):
            raise ConfigError(
                f"columns: found the role {unknown[0]!r}, expected roles out of {', '.join(sorted(ROLES))}"
            )

    @property
    def trains_by(self) -> Loss:
        """The loss that is meant."""
        return self.loss or LOSSES[self.kind][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """Which documents are taken: of the best `range_max` that are not right, those that pass every filter, less the first `range_min`."""

    num_negatives: int = 3
    """Negatives a row; rows with fewer are left out."""
    range_min: int = 0
    """So many of the best that passed are skipped: among them are right ones that nobody marked."""
    range_max: int = 100
    """So many of the best are looked at."""
    max_score: float | None = None
    """The highest score of a negative."""
    min_score: float | None = None
    """The lowest score of a negative."""
    absolute_margin: float | None = None
    """A negative scores at least so much below the query's worst positive."""
    relative_margin: float | None = None
    """The same as a share of that positive's score: 0.05 is NV-Retriever's."""
    sampling: Literal["top", "random"] = "top"
    """The best of them, or drawn by the seed."""
    seed: int = 0
    """For random."""

    def __post_init__(self) -> None:
        if self.num_negatives < 1 or self.range_min < 0:
            raise ConfigError(
                f"num_negatives is {self.num_negatives} and range_min {self.range_min}, expected 1 and 0 or more"
            )
        if self.range_max - self.range_min < self.num_negatives:
            raise ConfigError(
                f"range_min {self.range_min} and range_max {self.range_max} leave {self.range_max - self.range_min} documents, "
                f"expected num_negatives {self.num_negatives} or more"
            )
        if self.sampling not in ("top", "random"):
            raise ConfigError(f"sampling is {self.sampling!r}, expected top or random")
