"""One fine-tuning run: rows in, a model folder with its scores out; the same command goes on after a stop.

    out/
      recipe.yaml      every setting; `modernbert finetune out/recipe.yaml` repeats the run
      metrics.jsonl    a line each time something was measured
      checkpoint-*/    transformers' own, with which a run goes on
      model/           the best one, a stock folder, with prediction.json (temperature) and a card
      adapter/         of LoRA: what it changed, as PEFT stores it
      results.json     scores, seconds, versions

The loop is transformers' `Trainer` around stock heads; what is inside them runs on this package's engine.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from modernbert.core.errors import UserError, require
from modernbert.core.files import atomic_folder, content_hash, write_atomically
from modernbert.core.log import say
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune import calibration
from modernbert.tasks.finetune.card import card
from modernbert.tasks.finetune.columns import find_columns
from modernbert.tasks.finetune.examples import Example, Examples, Labelled, Tagged, label_names, named_rows, to_examples
from modernbert.tasks.finetune.features import Features, to_features
from modernbert.tasks.finetune.linear import linear_scores
from modernbert.tasks.finetune.loop import make_loop
from modernbert.tasks.finetune.scores import score
from modernbert.tasks.finetune.splits import read_splits
from modernbert.tasks.finetune.stock import Trainee, save_merged, stock_model
from modernbert.tasks.prediction import Prediction, softmax
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.run_folder import claim, last_checkpoint, machine, versions

RESULTS = "results.json"
_FREE = ("out", "report_to", "per_device_eval_batch_size")
"""Settings that may change when a run goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    folder: Path
    is_finished: bool
    """False: it was stopped, and the same command goes on."""
    labels: tuple[str, ...]
    validation: Mapping[str, float]
    test: Mapping[str, float]
    """Of the validation rows, where the set has no test rows (`has_test` says so)."""
    has_test: bool
    baseline: Mapping[str, float]
    """Of the same rows by counted words; none where it was not asked for."""
    seconds: float
    """Of training, evaluations included."""
    num_train: int
    tokens: int
    """Of the training rows, once over."""

    @property
    def model(self) -> Path:
        """The folder that everything opens."""
        return self.folder / "model"


def finetune(settings: Finetune) -> Outcome:
    """Train, keep the best checkpoint, score it, save it. A finished run is not run again: its outcome is read.

    Raises:
        UserError: the data, the model or the settings cannot be meant; or the loss is no number any more.
    """
    require("transformers", extra="finetune")
    require("accelerate", extra="finetune")
    claim(settings, settings.out, free=_FREE)
    if (settings.out / RESULTS).exists():
        say(f"{settings.out} holds a finished run: nothing was trained; remove the folder to run it again")
        return _read_outcome(settings.out)
    examples, has_test, columns = _examples(settings)
    folder = folder_of(settings.model)
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    trainee = stock_model(settings, examples.labels)
    longest = min(trainee.config.max_position_embeddings, settings.max_length or trainee.config.max_position_embeddings)
    splits = {
        name: _features(settings, name, getattr(examples, name), tokenizer, len(examples.labels), longest)
        for name in ("train", "validation", "test")
    }
    trainer = make_loop(settings, trainee, examples, splits, tokenizer)
    began = time.perf_counter()
    checkpoint = last_checkpoint(settings.out)
    if checkpoint is not None:
        say(f"going on from {checkpoint}")
    trainer.train(resume_from_checkpoint=checkpoint)
    seconds = _seconds_before(settings.out, checkpoint) + time.perf_counter() - began
    if trainer.was_stopped():
        (settings.out / "seconds.json").write_text(json.dumps(seconds))
        return Outcome(
            folder=settings.out, is_finished=False, labels=examples.labels, validation={}, test={}, has_test=has_test, baseline={},
            seconds=seconds, num_train=len(examples.train), tokens=_num_tokens(splits["train"]),
        )  # fmt: skip
    outputs = {name: trainer.outputs(splits[name]) for name in ("validation", "test")}
    scores = {
        name: score(settings.task, outputs[name], splits[name], getattr(examples, name), examples.labels)
        for name in outputs
    }
    prediction, fit = _prediction(settings, outputs["validation"], splits["validation"], examples, longest)
    outcome = Outcome(
        folder=settings.out,
        is_finished=True,
        labels=examples.labels,
        validation=scores["validation"] | fit,
        test=scores["test"],
        has_test=has_test,
        baseline=linear_scores(settings.task, examples) if settings.baseline else {},
        seconds=seconds,
        num_train=len(examples.train),
        tokens=_num_tokens(splits["train"]),
    )
    _save(settings, trainee, tokenizer, prediction, outcome, columns)
    return outcome


def _examples(settings: Finetune) -> tuple[Examples, bool, dict[str, str]]:
    splits = read_splits(settings)
    columns = find_columns(settings.task, splits.train[0], settings.columns)
    say("columns: " + ", ".join(f"{role} from {column!r}" for role, column in columns.items()))
    rows = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    if "label" in columns and settings.task == "seq_cls":
        rows = {name: named_rows(each, columns["label"]) for name, each in rows.items()}
    labels = label_names(settings.task, rows["train"], columns)
    if settings.num_labels is not None and settings.num_labels != len(labels):
        raise UserError(
            f"num_labels is {settings.num_labels}, found {len(labels)} labels in the training rows "
            f"({', '.join(labels[:8])}{' and more' if len(labels) > 8 else ''}): mend one of the two"
        )
    made = {name: to_examples(settings.task, each, columns, labels, split=name) for name, each in rows.items()}
    return Examples(labels=labels, **made), splits.has_test, columns


def _features(
    settings: Finetune, name: str, examples: Sequence[Example], tokenizer: Tokenizer, num_labels: int, longest: int
) -> Features:
    found = to_features(settings.task, examples, tokenizer, num_labels, longest=longest, stride=settings.doc_stride)
    cut = f"; {found.num_cut:,} lost their ends" if found.num_cut else ""
    say(f"{name}: {len(examples):,} rows, {_num_tokens(found):,} tokens, longest {_longest(found):,}{cut}")
    return found


def _prediction(
    settings: Finetune, outputs: Sequence[np.ndarray], features: Features, examples: Examples, longest: int
) -> tuple[Prediction, dict[str, float]]:
    """How to read the model's outputs, fitted on the validation rows; and how well they fit."""
    plain = Prediction(task=settings.task, max_length=longest, doc_stride=settings.doc_stride)
    if settings.task in ("regression", "qa"):
        return plain, {}
    targets: np.ndarray
    if settings.task == "token_cls":
        pairs = [
            (row[head], cast("Tagged", examples.validation[owner]).tags[first + word])
            for row, heads, owner, first in zip(
                outputs, features.heads, features.owners, _first_words(features), strict=True
            )
            for word, head in enumerate(heads)
            if head is not None
        ]
        logits_NC, targets = np.stack([row for row, _ in pairs]), np.array([tag for _, tag in pairs])
    else:
        logits_NC = np.stack(outputs)
        if settings.task in ("multi_label", "multiple_choice"):
            targets = np.array([row["labels"] for row in features.rows])
        else:
            targets = np.array([cast("Labelled", each).target for each in examples.validation])
    found = calibration.temperature(logits_NC, targets)
    fit = {
        "nll": calibration.loss(logits_NC, targets),
        "nll_calibrated": calibration.loss(logits_NC / found, targets),
    }
    if targets.ndim == 1:
        fit["ece"] = calibration.calibration_error(softmax(logits_NC), targets)
        fit["ece_calibrated"] = calibration.calibration_error(softmax(logits_NC / found), targets)
    return replace(plain, temperature=found), fit


def _first_words(features: Features) -> list[int]:
    """For each row, the number of its first word in its example."""
    found, counts = [], {}
    for heads, owner in zip(features.heads, features.owners, strict=True):
        found.append(counts.get(owner, 0))
        counts[owner] = found[-1] + len(heads)
    return found


def _save(
    settings: Finetune,
    trainee: Trainee,
    tokenizer: Tokenizer,
    prediction: Prediction,
    outcome: Outcome,
    columns: Mapping[str, str],
) -> None:
    facts = {
        **asdict(outcome),
        "folder": str(outcome.folder),
        "temperature": prediction.temperature,
        "versions": versions("modernbert", "torch", "transformers"),
        "machine": machine(),
    }
    with atomic_folder(outcome.model) as folder:
        save_merged(trainee, folder)
        tokenizer.save(folder)
        prediction.save(folder)
        (folder / "README.md").write_text(card(settings, facts, columns), encoding="utf-8")
    if settings.tuner == "lora":
        _save_adapter(settings, trainee, outcome, prediction)
    with write_atomically(settings.out / RESULTS, "w") as file:
        json.dump(facts, file, indent=1)


def _save_adapter(settings: Finetune, trainee: Trainee, outcome: Outcome, prediction: Prediction) -> None:
    """As PEFT writes it, with the hash of the weights that it belongs to."""
    base = folder_of(settings.model)
    with atomic_folder(settings.out / "adapter") as folder:
        peft_model = cast("Any", trainee.model)
        peft_model.save_pretrained(str(folder))
        written = json.loads((folder / "adapter_config.json").read_text())
        written["base_model_name_or_path"] = settings.model
        if (base / "model.safetensors").is_file():
            written["revision"] = content_hash(base / "model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        (folder / "config.json").write_bytes((outcome.model / "config.json").read_bytes())
        prediction.save(folder)
        (folder / "README.md").unlink(missing_ok=True)


def _read_outcome(out: Path) -> Outcome:
    facts = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    kept = {f.name: facts[f.name] for f in fields(Outcome)}
    return Outcome(**{**kept, "folder": out, "labels": tuple(facts["labels"])})


def _seconds_before(out: Path, checkpoint: str | None) -> float:
    path = out / "seconds.json"
    return json.loads(path.read_text()) if checkpoint is not None and path.exists() else 0.0


def _num_tokens(features: Features) -> int:
    return sum(len(ids) for ids in _all_ids(features))


def _longest(features: Features) -> int:
    return max((len(ids) for ids in _all_ids(features)), default=0)


def _all_ids(features: Features) -> list[list[int]]:
    rows = [cast("list", row["input_ids"]) for row in features.rows]
    return [ids for row in rows for ids in (row if row and isinstance(row[0], list) else [row])]
