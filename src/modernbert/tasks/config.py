"""Settings of a fine-tuning run, by the names of transformers' `TrainingArguments` and ms-swift; no torch here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modernbert.core.errors import ConfigError
from modernbert.core.packaged import DEFAULT

Task = Literal["seq_cls", "multi_label", "regression", "token_cls", "qa", "multiple_choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune:
    """Everything that decides a fine-tuning run."""

    task: Task
    """seq_cls: one of several labels for a text or a pair. multi_label: any of them. regression: a number for a text or a
    pair. token_cls: a tag a word (BIO tags make entities). qa: where in a text a question is answered. multiple_choice."""
    model: str = DEFAULT
    """A packaged model, a folder or a Hub id."""
    dataset: str
    """A folder with train, validation and test files (.jsonl .csv .tsv .parquet, also packed), a file of training rows, or
    the Hub's id of a set."""
    validation: str | None = None
    """File of the rows that choose the best checkpoint; absent: the dataset's own, else a tenth of the training rows."""
    test: str | None = None
    """File of the rows that the final scores are of; absent: the dataset's own, else the validation rows."""
    subset: str | None = None
    """Configuration of a set of the Hub, such as mrpc of nyu-mll/glue."""
    columns: dict[str, str] = field(default_factory=dict)
    """Column by role (text, text_pair, label, tokens, tags, context, question, answers, choices); absent: guessed, and said."""
    num_labels: int | None = None
    """How many labels there must be; absent: as many as the training rows have."""
    out: Path = Path("runs/finetune")
    """Folder of the run: checkpoints, metrics, and the model."""

    tuner: Literal["full", "lora"] = "full"
    lora_rank: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    target_modules: Literal["all-linear", "attention"] = "all-linear"
    """Layers that LoRA changes: Wqkv, Wo and Wi of every layer, or the attention's alone. The head is trained whole."""

    learning_rate: float | None = None
    """Absent: 8e-5, and 1e-3 for LoRA."""
    num_train_epochs: float = 3.0
    max_steps: int = -1
    """Optimizer steps; -1: as many as the epochs have."""
    per_device_train_batch_size: int = 32
    per_device_eval_batch_size: int = 64
    gradient_accumulation_steps: int = 1
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    adam_epsilon: float = 1e-6
    weight_decay: float = 8e-6
    max_grad_norm: float = 1.0
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_ratio: float = 0.1
    label_smoothing_factor: float = 0.0
    classifier_dropout: float = 0.0
    classifier_pooling: Literal["cls", "mean"] | None = None
    """How a text becomes one vector; absent: as the model's config says."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a label weighs as much as it is rare."""

    max_length: int | None = None
    """Tokens of a text; absent: as many as the model was trained for. Longer training texts are cut at their ends, which is
    said; questions are asked of overlapping parts."""
    doc_stride: int = 128
    """qa: tokens that two neighbouring parts of a long text share."""
    max_train_samples: int | None = None
    """Use so many training rows, drawn by `seed`; likewise below."""
    max_eval_samples: int | None = None

    eval_strategy: Literal["epoch", "steps"] = "epoch"
    eval_steps: int | None = None
    """Steps between two evaluations, for eval_strategy steps."""
    metric_for_best_model: str | None = None
    """Absent: the first of its task in METRICS, such as accuracy; loss for any."""
    early_stopping_patience: int | None = None
    """Stop when so many evaluations in a row were no better."""
    baseline: bool = False
    """Also score TF-IDF under a linear model on the same rows: what there is to beat."""
    accelerate: bool = True
    """Run on this package's engine; false: transformers' own code, to compare with."""
    bf16: bool | None = None
    """Mixed precision; absent: where the hardware multiplies it."""
    seed: int = 42
    report_to: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()

    def __post_init__(self) -> None:
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            _at_least_one(name, getattr(self, name))
        for name in ("lora_rank", "lora_alpha", "max_length", "max_train_samples", "max_eval_samples", "eval_steps"):
            _at_least_one(name, getattr(self, name))
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise ConfigError(f"learning_rate is {self.learning_rate}, expected above 0")
        if self.num_train_epochs <= 0 and self.max_steps < 1:
            raise ConfigError(f"num_train_epochs is {self.num_train_epochs}, expected above 0, or max_steps above 0")
        if not 0 <= self.warmup_ratio < 1:
            raise ConfigError(f"warmup_ratio is {self.warmup_ratio}, expected 0 or more and below 1")
        if (self.eval_strategy == "steps") != (self.eval_steps is not None):
            raise ConfigError(
                f"eval_strategy {self.eval_strategy!r} and eval_steps {self.eval_steps} do not go together: steps "
                "needs eval_steps, epoch has none"
            )
        if unknown := sorted(set(self.columns) - ROLES):
            raise ConfigError(
                f"columns: found the role {unknown[0]!r}, expected roles out of {', '.join(sorted(ROLES))}"
            )
        if self.label_smoothing_factor and self.task not in ("seq_cls", "token_cls"):
            raise ConfigError(f"label_smoothing_factor is for seq_cls and token_cls: found {self.task}")
        known = (*METRICS[self.task], "loss")
        if self.metric_for_best_model not in (None, *known):
            raise ConfigError(
                f"metric_for_best_model is {self.metric_for_best_model!r}, expected one of {', '.join(known)} for {self.task}"
            )
        if self.baseline and self.task in ("qa", "multiple_choice"):
            raise ConfigError(f"baseline counts words, which says nothing about {self.task}: leave it out")
        if self.class_weights != "none" and self.task != "seq_cls":
            raise ConfigError(f"class_weights is {self.class_weights!r}, which is for seq_cls: found {self.task}")

    @property
    def best_by(self) -> str:
        """Which score of the validation rows chooses the checkpoint."""
        return self.metric_for_best_model or METRICS[self.task][0]

    @property
    def rate(self) -> float:
        """Peak learning rate."""
        return self.learning_rate or (1e-3 if self.tuner == "lora" else 8e-5)


METRICS: dict[Task, tuple[str, ...]] = {
    "seq_cls": ("accuracy", "f1_macro", "matthews", "f1", "precision", "recall"),
    "multi_label": ("f1_micro", "f1_macro", "exact_match"),
    "regression": ("spearman", "pearson", "mae", "rmse"),
    "token_cls": ("f1", "precision", "recall", "accuracy"),
    "qa": ("f1", "exact", "f1_answerable", "f1_unanswerable"),
    "multiple_choice": ("accuracy",),
}
"""What each task is scored by; the first chooses the best checkpoint where nothing else is said."""

ROLES = frozenset({"text", "text_pair", "label", "tokens", "tags", "context", "question", "answers", "choices"})


def _at_least_one(name: str, found: int | None) -> None:
    if found is not None and found < 1:
        raise ConfigError(f"{name} is {found}, expected 1 or more")
