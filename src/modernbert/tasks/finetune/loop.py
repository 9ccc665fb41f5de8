"""The loop of a fine-tuning run: transformers' `Trainer` around stock heads, and what is asked of it afterwards."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from modernbert.core.errors import UserError
from modernbert.core.heap import keep_large_blocks
from modernbert.model.hf import accelerate
from modernbert.model.precision import best_precision
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.examples import Examples
from modernbert.tasks.finetune.features import Features, collate
from modernbert.tasks.finetune.losses import own_loss
from modernbert.tasks.finetune.scores import score
from modernbert.tasks.finetune.stock import Trainee
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.watch import watch

_PASSED = (
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "per_device_eval_batch_size",
    "gradient_accumulation_steps", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm",
    "lr_scheduler_type", "label_smoothing_factor", "eval_strategy", "seed",
)  # fmt: skip


def make_loop(
    settings: Finetune, trainee: Trainee, examples: Examples, splits: Mapping[str, Features], tokenizer: Tokenizer
) -> "Loop":
    """The loop over the training rows, judged on the validation rows.

    Raises:
        UserError: what is the best is decided by a score that these labels have not.
    """
    import transformers

    if settings.accelerate:
        accelerate(trainee.model)
    on_cpu = not torch.cuda.is_available()
    best = settings.best_by
    if best in ("f1", "precision", "recall") and settings.task == "seq_cls" and len(examples.labels) != 2:
        raise UserError(
            f"metric_for_best_model {best!r} is for two labels, found {len(examples.labels)}: take f1_macro or accuracy"
        )
    is_bf16 = (
        best_precision("cpu" if on_cpu else "cuda").dtype == torch.bfloat16 if settings.bf16 is None else settings.bf16
    )
    arguments = transformers.TrainingArguments(
        output_dir=str(settings.out),
        learning_rate=settings.rate,
        warmup_steps=settings.warmup_ratio,
        bf16=is_bf16,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy=settings.eval_strategy,
        save_steps=settings.eval_steps or 500,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=best,
        greater_is_better=best not in ("loss", "mae", "rmse"),
        eval_do_concat_batches=False,
        logging_steps=_logging_steps(settings, len(splits["train"])),
        logging_first_step=True,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        **{name: getattr(settings, name) for name in _PASSED},
        report_to=list(settings.report_to) or "none",
        eval_steps=settings.eval_steps,
    )
    return Loop(
        transformers,
        model=trainee.model,
        args=arguments,
        data_collator=partial(collate, task=settings.task, pad_id=tokenizer.pad_id),
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        compute_loss_func=own_loss(settings, examples),
        compute_metrics=lambda found: score(
            settings.task, _rows(found.predictions), splits["validation"], examples.validation, examples.labels
        ),
        patience=settings.early_stopping_patience,
        out=settings.out,
    )


class Loop:
    """transformers' Trainer, and what we ask of it afterwards."""

    def __init__(self, transformers: Any, *, patience: int | None, out: Path, **parts: Any) -> None:
        self._watch = watch(transformers, out)
        callbacks = [self._watch]
        if patience is not None:
            callbacks.append(transformers.EarlyStoppingCallback(early_stopping_patience=patience))
        self._trainer = transformers.Trainer(callbacks=callbacks, **parts)
        self._trainer.remove_callback(transformers.PrinterCallback)

    def train(self, *, resume_from_checkpoint: str | None) -> None:
        """To the end, or until somebody asks it to stop."""
        if self._trainer.args.device.type == "cpu":
            keep_large_blocks()
        with self._watch:
            self._trainer.train(resume_from_checkpoint=resume_from_checkpoint)

    def was_stopped(self) -> bool:
        """Whether somebody did."""
        return self._watch.was_stopped

    def outputs(self, features: Features) -> list[np.ndarray]:
        """Logits of the best checkpoint, one array a row."""
        self._trainer.compute_metrics = None
        found = _rows(self._trainer.predict(cast("Any", features)).predictions)
        if not all(np.isfinite(row).all() for row in found):
            raise UserError(
                "the best checkpoint's outputs are no numbers any more: lower --learning-rate and train again"
            )
        return found


def _logging_steps(settings: Finetune, num_rows: int) -> int:
    """Ten, but at least ten times a run, so that a short one has a curve, too."""
    batch = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    steps = settings.max_steps if settings.max_steps > 0 else num_rows * settings.num_train_epochs / batch
    return max(1, min(10, int(steps / 10)))


def _rows(batches: Sequence[Any]) -> list[np.ndarray]:
    """One array a row: of question answering both logits as [2, T]."""
    found: list[np.ndarray] = []
    for batch in batches:
        found += [np.stack(pair) for pair in zip(*batch, strict=True)] if isinstance(batch, tuple) else list(batch)
    return found
