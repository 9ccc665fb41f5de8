"""A stock transformers model to train, from any source that this package loads, and back into a folder.

Names are the same on both sides, so weights go over as they are. transformers is imported when a model is made.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from modernbert.core.errors import require
from modernbert.model.heads import ARCHITECTURES, Model, build
from modernbert.model.hf_config import to_mapping
from modernbert.model.store import load, save
from modernbert.tasks.config import Finetune, Task

if TYPE_CHECKING:
    from modernbert.model.config import ModelConfig

ARCHITECTURE_OF: dict[Task, str] = {
    "seq_cls": "ModernBertForSequenceClassification",
    "multi_label": "ModernBertForSequenceClassification",
    "regression": "ModernBertForSequenceClassification",
    "token_cls": "ModernBertForTokenClassification",
    "qa": "ModernBertForQuestionAnswering",
    "multiple_choice": "ModernBertForMultipleChoice",
}
_PROBLEM = {
    "seq_cls": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
_LINEAR = {"all-linear": ["Wqkv", "Wo", "Wi"], "attention": ["Wqkv", "attn.Wo"]}
_WHOLE = ["head", "classifier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainee:
    """A model of transformers' own class, with or without PEFT around it."""

    model: nn.Module
    config: "ModelConfig"
    architecture: str


def stock_model(settings: Finetune, labels: Sequence[str]) -> Trainee:
    """The model of a task, float32, with the weights of `settings.model`; what is drawn anew depends on the seed alone."""
    transformers = require("transformers", extra="finetune")
    architecture = ARCHITECTURE_OF[settings.task]
    transformers.set_seed(settings.seed)  # LoRA's matrices are drawn from torch's own generator
    ours = cast(
        "Model",
        load(settings.model, ARCHITECTURES[architecture], dtype=torch.float32, seed=settings.seed, labels=labels),
    )
    config = replace(
        ours.config,
        problem_type=cast("None", _PROBLEM.get(settings.task)),
        classifier_dropout=settings.classifier_dropout,
        classifier_pooling=settings.classifier_pooling or ours.config.classifier_pooling,
    )
    written = to_mapping(config, architecture=architecture, dtype="float32")
    stock_config = transformers.ModernBertConfig(**{**written, "attn_implementation": "sdpa"})
    model = getattr(transformers, architecture)(stock_config)
    model.load_state_dict(ours.state_dict())
    return Trainee(
        model=_with_lora(model, settings) if settings.tuner == "lora" else model,
        config=config,
        architecture=architecture,
    )


def save_merged(trainee: Trainee, folder: Path) -> None:
    """Write the model as a stock folder, LoRA's changes added to the weights they change."""
    model = trainee.model
    merged = _merged_weights(model) if hasattr(model, "merge_and_unload") else model.state_dict()
    ours = build(ARCHITECTURES[trainee.architecture], trainee.config)
    ours.load_state_dict({name: tensor.detach().float().cpu() for name, tensor in merged.items()})
    save(ours, folder)


def _with_lora(model: nn.Module, settings: Finetune) -> nn.Module:
    peft = require("peft", extra="finetune")
    wanted = peft.LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=_LINEAR[settings.target_modules],
        modules_to_save=_WHOLE,
    )
    with warnings.catch_warnings():  # PEFT asks by a name that transformers will drop
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        return peft.get_peft_model(model, wanted)


def _merged_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights with LoRA in them; the model itself is left as it was, and can be trained on."""
    model.merge_adapter()  # type: ignore[operator]
    try:
        found = {}
        for name, tensor in model.get_base_model().state_dict().items():  # type: ignore[operator]
            if ".lora_" in name or ".original_module." in name:
                continue
            plain = name.replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")
            found[plain] = tensor.detach().clone()
        return found
    finally:
        model.unmerge_adapter()  # type: ignore[operator]
