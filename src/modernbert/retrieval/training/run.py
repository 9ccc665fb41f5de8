"""One training run: rows in, a stock sentence-transformers folder out; the same command goes on after a stop.

    out/
      recipe.yaml      every setting; `modernbert train-retrieval out/recipe.yaml` repeats the run
      metrics.jsonl    a line each time something was measured
      checkpoint-*/    the Trainer's own, with which a run goes on
      model/           the best one by nDCG@10 on the held-out collection, else the last, with a card
      before.json      scores before training, seconds until now
      results.json     scores, seconds, versions

The loop is sentence-transformers' trainer around its own models and losses; what is inside them runs on this package's engine.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from modernbert.core.errors import require
from modernbert.core.files import atomic_folder, write_atomically
from modernbert.core.heap import keep_large_blocks
from modernbert.core.log import say
from modernbert.model.catalogue import whole
from modernbert.model.hf import accelerate
from modernbert.model.precision import best_precision
from modernbert.retrieval.training.card import card
from modernbert.retrieval.training.config import TrainRetrieval
from modernbert.retrieval.training.examples import read_examples, to_columns
from modernbert.retrieval.training.held_out import MAIN, HeldOut, held_out_evaluator
from modernbert.retrieval.training.stock import FAMILIES, stock_loss, stock_model
from modernbert.train.run_folder import claim, last_checkpoint, machine, versions
from modernbert.train.watch import watch

RESULTS = "results.json"
_BEFORE = "before.json"
_FREE = ("out", "save_steps")
"""Settings that may change when a run goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    folder: Path
    is_finished: bool
    """False: it was stopped, and the same command goes on."""
    before: Mapping[str, float]
    """Measures of the held-out collection before training; none without a collection. Likewise after."""
    after: Mapping[str, float]
    seconds: float
    num_rows: int

    @property
    def model(self) -> Path:
        """The folder that this package and sentence-transformers open."""
        return self.folder / "model"


def train_retrieval(settings: TrainRetrieval) -> Outcome:
    """Train, keep the best checkpoint, save it. A finished run is not run again: its outcome is read.

    Raises:
        UserError: the data, the model or the settings cannot be meant; or the loss is no number any more.
    """
    require("sentence_transformers", extra="retrieval")
    require("accelerate", extra="finetune")
    claim(settings, settings.out, free=_FREE)
    if (settings.out / RESULTS).exists():
        say(f"{settings.out} holds a finished run: nothing was trained; remove the folder to run it again")
        return _read_outcome(settings.out)
    examples = read_examples(settings)
    columns = to_columns(examples, settings.trains_by, settings.num_negatives)
    say(f"{len(examples):,} rows; columns {', '.join(columns)}")
    held_out = HeldOut.of(settings) if settings.held_out is not None else None
    with whole(settings.model) as folder:
        model = stock_model(settings, folder)
    if settings.accelerate:
        accelerate(model)
    checkpoint = last_checkpoint(settings.out)
    before = _before(settings.out, held_out, model, checkpoint)
    loop = _loop(settings, model, columns, held_out)
    began = time.perf_counter()
    if checkpoint is not None:
        say(f"going on from {checkpoint}")
    if not torch.cuda.is_available():
        keep_large_blocks()
    with loop.watch:
        loop.trainer.train(resume_from_checkpoint=checkpoint)
    seconds = before["seconds"] + time.perf_counter() - began
    with write_atomically(settings.out / _BEFORE, "w") as file:
        json.dump(before | {"seconds": seconds}, file)
    scores = before["scores"]
    outcome = Outcome(
        folder=settings.out, is_finished=not loop.watch.was_stopped, before=scores, seconds=seconds, num_rows=len(examples),
        after=held_out.measure(model) if held_out and not loop.watch.was_stopped else {},
    )  # fmt: skip
    if outcome.is_finished:
        _save(settings, model, outcome)
    return outcome


@dataclass(frozen=True, slots=True)
class _Loop:
    trainer: Any
    watch: Any


def _loop(settings: TrainRetrieval, model: Any, columns: dict[str, list], held_out: HeldOut | None) -> _Loop:
    import sentence_transformers
    import transformers
    from datasets import Dataset

    family = FAMILIES[settings.kind]
    on_cpu = not torch.cuda.is_available()
    is_bf16 = (
        best_precision("cpu" if on_cpu else "cuda").dtype == torch.bfloat16 if settings.bf16 is None else settings.bf16
    )
    prompts = {"query": settings.query_prompt} | {
        name: settings.document_prompt for name in columns if name not in ("query", "label")
    }
    arguments = getattr(sentence_transformers, family.arguments)(
        output_dir=str(settings.out),
        **{name: getattr(settings, name) for name in _PASSED},
        warmup_steps=settings.warmup_ratio,
        bf16=is_bf16,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        batch_sampler="no_duplicates" if settings.trains_by == "contrastive" else "batch_sampler",
        prompts=prompts if any(prompts.values()) else None,
        save_strategy="steps",
        save_total_limit=2,
        eval_strategy="steps" if held_out else "no",
        eval_steps=settings.save_steps,
        load_best_model_at_end=held_out is not None,
        metric_for_best_model=f"eval_{MAIN}" if held_out else None,
        greater_is_better=True if held_out else None,
        logging_steps=10,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
    )
    own = watch(transformers, settings.out, called="training")
    trainer = getattr(sentence_transformers, family.trainer)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        loss=stock_loss(settings, model),
        evaluator=held_out_evaluator(held_out) if held_out else None,
        callbacks=[own],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return _Loop(trainer, own)


_PASSED = (
    "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps",
    "weight_decay", "max_grad_norm", "lr_scheduler_type", "save_steps", "seed",
)  # fmt: skip


def _before(out: Path, held_out: HeldOut | None, model: Any, checkpoint: str | None) -> dict[str, Any]:
    """Scores before the first step, and the seconds of what a run goes on from."""
    path = out / _BEFORE
    if checkpoint is not None and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    found = {"scores": held_out.measure(model) if held_out else {}, "seconds": 0.0}
    with write_atomically(path, "w") as file:
        json.dump(found, file)
    return found


def _save(settings: TrainRetrieval, model: Any, outcome: Outcome) -> None:
    facts = {
        **asdict(outcome),
        "folder": str(outcome.folder),
        "versions": versions("modernbert", "torch", "transformers", "sentence-transformers"),
        "machine": machine(),
    }
    with atomic_folder(outcome.model) as folder:
        model.save_pretrained(str(folder), create_model_card=False)
        (folder / "README.md").write_text(card(settings, facts), encoding="utf-8")
    with write_atomically(settings.out / RESULTS, "w") as file:
        json.dump(facts, file, indent=1)


def _read_outcome(out: Path) -> Outcome:
    facts = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    return Outcome(**{**{f.name: facts[f.name] for f in fields(Outcome)}, "folder": out})
