"""Ways to pre-train the same model on the same text, each advanced one optimizer step at a time.

Text is tokenized ahead for everybody; masking, batching, padding or packing, and the optimizer are part of a step.
"""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)
from transformers import Trainer as StockTrainer

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Batch, Loader
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import ModelConfig
from modernbert.model.counts import forward_flops
from modernbert.model.heads import MaskedLM
from modernbert.model.hf_config import to_mapping
from modernbert.model.precision import best_precision
from modernbert.ops.loss import IGNORE
from modernbert.train.config import AdamW, Devices
from modernbert.train.step import Trainer
from modernbert.train.world import World

LENGTH = 1024
"""Longest document, as in ModernBERT's first stage."""

OPTIM = AdamW(lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=1e-5, clip=1.0)
"""The same for all."""

RATE = 0.3
"""Share of tokens that are predicted."""

NEVER = 1_000_000
"""Steps or tokens after which a training would end; none here gets so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one optimizer step learned from."""

    tokens: int
    """Real ones."""
    places: int
    """Tokens and pads."""
    flops: float
    """Forward and backward over the real tokens, by formula: what was needed, whatever was computed."""
    loss: float
    """Nats a masked token, before the step."""


class Contender(Protocol):
    """Somebody who can be asked for the next step."""

    def step(self) -> Step:
        """Read, learn, change the weights; nothing is left under way."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Ours:
    """`modernbert pretrain` without its checkpoints: the loader's rows, the trainer's steps."""

    def __init__(
        self,
        model: MaskedLM,
        documents: Sequence[Sequence[int]],
        vocabulary: Vocabulary,
        *,
        room: int,
        device: torch.device,
        fuses: bool = False,
    ) -> None:
        seeds = Seeds(17)
        text = {"text": (Source(path=Path("memory")), InMemory(documents, vocabulary))}
        rows = Rows(length=Tokens(min(LENGTH, room)), room=Tokens(room))
        self.loader = Loader(text, rows, Masking(rate=RATE), seeds=seeds, tokens=NEVER)
        self.trainer = Trainer(
            model, OPTIM, seeds=seeds, world=World(device=device), devices=Devices(precision="auto", compile=fuses)
        )

    def step(self) -> Step:
        """One row."""
        return self.learn(self.loader.take(1))

    def learn(self, batch: Batch) -> Step:
        """What a step does once it has its data."""
        outcome = self.trainer.step(batch, lr=OPTIM.lr, peak=OPTIM.lr, weight_decay=OPTIM.weight_decay)
        _wait(self.trainer.world.device)
        return Step(tokens=outcome.tokens, places=outcome.tokens, flops=outcome.flops, loss=outcome.loss)

    def close(self) -> None:
        """End the loader."""
        self.loader.close()


class Stock:
    """transformers' `Trainer`, which wants to train to the end: it does so in a thread, and is held after each step."""

    def __init__(
        self,
        model: nn.Module,
        rows: Sequence[Sequence[int]],
        *,
        shape: ModelConfig,
        tokenizer_folder: Path,
        batch: int,
        device: torch.device,
        scratch: Path,
    ) -> None:
        self._turn = _Turn()
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        special = set(tokenizer.all_special_ids)
        self._trainer = _Trainer(
            model=model,
            args=_arguments(batch, device, scratch),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=RATE),
            train_dataset=[_columns(ids, special) for ids in rows],  # pyright: ignore[reportArgumentType] (any sequence does)
            callbacks=[_Hold(self._turn, device)],
        )
        self._trainer.shape = shape
        self._trainer.remove_callback(PrinterCallback)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self) -> Step:
        """One batch. The first also starts the `Trainer`."""
        self._turn.give()
        if self._turn.error is not None:
            raise self._turn.error
        return self._trainer.last

    def close(self) -> None:
        """End the `Trainer` where it is."""
        self._turn.is_over = True
        self._turn.go.release()
        self._thread.join()

    def _run(self) -> None:
        self._turn.go.acquire()
        try:
            if not self._turn.is_over:
                self._trainer.train()
        except BaseException as error:  # noqa: BLE001 - `step` raises it, in the thread that asked
            self._turn.error = error
        self._turn.done.release()


def one_document_a_row(documents: Sequence[Sequence[int]], vocabulary: Vocabulary, length: int) -> list[list[int]]:
    """What `run_mlm.py --line_by_line` learns from: each document by itself, its end cut off beyond `length`."""
    return [[vocabulary.cls_id, *ids[: length - 2], vocabulary.sep_id] for ids in documents]


def concatenated(documents: Sequence[Sequence[int]], vocabulary: Vocabulary, length: int) -> list[list[int]]:
    """What `run_mlm.py` learns from: documents end to end, cut every `length` tokens, the rest at the end left out."""
    order = random.Random(17).sample(range(len(documents)), len(documents))
    stream = [token for i in order for token in (vocabulary.cls_id, *documents[i], vocabulary.sep_id)]
    return [stream[start : start + length] for start in range(0, len(stream) - length + 1, length)]


def stock_model(ours: MaskedLM, *, sparse: bool) -> nn.Module:
    """transformers' model with the same weights; `sparse`: its head sees masked tokens only."""
    written = to_mapping(ours.config, architecture="ModernBertForMaskedLM", dtype="float32")
    config = ModernBertConfig(**(written | {"sparse_prediction": sparse}))
    model = ModernBertForMaskedLM._from_config(config, attn_implementation="sdpa")
    model.load_state_dict(ours.state_dict())
    return model


class _Turn:
    """Two threads of which one runs at a time."""

    def __init__(self) -> None:
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.is_over = False
        self.error: BaseException | None = None

    def give(self) -> None:
        """To the other thread, and wait until it gives it back."""
        self.go.release()
        self.done.acquire()


class _Hold(TrainerCallback):
    """After each step, waits to be asked for the next."""

    def __init__(self, turn: _Turn, device: torch.device) -> None:
        self._turn, self._device = turn, device

    def on_step_end(
        self, args: TrainingArguments, state: object, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        _wait(self._device)
        self._turn.done.release()
        self._turn.go.acquire()
        control.should_training_stop = self._turn.is_over
        return control


class _Trainer(StockTrainer):
    """As it is, but that it remembers what its last step was about."""

    shape: ModelConfig
    last: Step

    def training_step(
        self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        mask, labels = inputs["attention_mask"], inputs["labels"]
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.last = Step(
            tokens=int(mask.sum()),
            places=mask.numel(),
            flops=3.0 * forward_flops(self.shape, mask.sum(1).tolist(), num_predicted=int((labels != IGNORE).sum())),
            loss=float(loss),
        )
        return loss


def _arguments(batch: int, device: torch.device, scratch: Path) -> TrainingArguments:
    dtype = best_precision(device).dtype
    return TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=batch,
        max_steps=NEVER,
        learning_rate=OPTIM.lr,
        adam_beta1=OPTIM.betas[0],
        adam_beta2=OPTIM.betas[1],
        adam_epsilon=OPTIM.eps,
        weight_decay=OPTIM.weight_decay / OPTIM.lr,  # ours is the share that goes in a step
        max_grad_norm=OPTIM.clip or 0.0,
        lr_scheduler_type="constant",
        seed=17,
        bf16=dtype == torch.bfloat16,
        use_cpu=device.type == "cpu",
        remove_unused_columns=False,  # else the collator works out again which tokens are special
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _columns(ids: Sequence[int], special: set[int]) -> dict[str, list[int]]:
    """As the tokenizer gives them with `return_special_tokens_mask=True`."""
    return {
        "input_ids": list(ids),
        "attention_mask": [1] * len(ids),
        "special_tokens_mask": [int(token in special) for token in ids],
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
