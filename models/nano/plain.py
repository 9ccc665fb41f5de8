"""What nano is compared with: the same shape and text, by stock transformers and the usual settings, for as many minutes.

    python models/nano/plain.py SHARDS --minutes 60 --out plain

What is interrupted goes on where it was saved last, given the same words again: OUT.part holds it until OUT is whole.

AdamW with gradient clipping and a linear schedule, 15 % of the tokens masked, a document a row, padded to the longest of its
batch (documents of like length together), ends beyond 1,024 tokens cut off, one stage: `run_mlm.py --line_by_line`, as it is.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from modernbert.core.files import atomic_folder, write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.data.shards import Shards
from modernbert.model.config import SIZES
from modernbert.model.hf_config import to_mapping
from modernbert.train.config import Recipe
from modernbert.train.recipes import read_recipe
from modernbert.train.start import with_vocabulary

RECIPE = [Path(__file__).with_name(name) for name in ("nano.yaml", "mixture.yaml")]
LONGEST = 1024
BATCH = 16
"""Documents."""
TRIED, DRAWN = 20, 1000
"""Steps by whose time it is told how many there will be, and steps of which it is known how long batches are."""
LOGGED, SAVED = 50, 200
"""Steps; of the log's lines the last before a checkpoint stands at it."""


class Documents(Dataset):
    """The mixture's documents, drawn by its weights, one after the other."""

    def __init__(self, folder: Path, weights: dict[str, float], seed: int, count: int) -> None:
        self.shards = {name: Shards.open(folder / name) for name in weights}
        rng = np.random.default_rng(seed)
        # Weights are shares of tokens, and documents of a source are as long as they are: more short ones are drawn.
        lengths = {name: np.minimum(shards.lengths, LONGEST - 2).mean() for name, shards in self.shards.items()}
        shares = np.array([weights[name] / lengths[name] for name in weights])
        names = list(weights)
        orders = {name: _endless(len(shards), rng) for name, shards in self.shards.items()}
        self.drawn = [
            (names[i], next(orders[names[i]])) for i in rng.choice(len(names), count, p=shares / shares.sum())
        ]

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, number: int) -> dict[str, Any]:
        name, document = self.drawn[number]
        shards = self.shards[name]
        ids = shards.tokens(document)[: LONGEST - 2]
        return {"input_ids": [shards.vocabulary.cls_id, *map(int, ids), shards.vocabulary.sep_id]}

    def length(self, number: int) -> int:
        """Tokens of a document, for grouping."""
        name, document = self.drawn[number]
        return min(LONGEST, int(self.shards[name].lengths[document]) + 2)


def main() -> None:
    """Train for so many minutes, and write the model."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("shards", type=Path)
    words.add_argument("--recipe", nargs="+", default=RECIPE, help="whose shape and mixture")
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--lr", type=float, default=1e-3)
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    recipe = read_recipe(given.recipe)
    part = given.out.with_name(given.out.name + ".part")
    plan = part / "plan.json"
    if not plan.exists():
        with tempfile.TemporaryDirectory() as tried:
            seconds, _ = _train(recipe, given, TRIED, Path(tried))
        # Twenty batches may be longer or shorter than most: what is told by them is the time of a token.
        seconds_a_step = seconds / TRIED / _padded(recipe, given, TRIED) * _padded(recipe, given, DRAWN)
        part.mkdir(parents=True, exist_ok=True)
        with write_atomically(plan, "w") as file:
            json.dump({"steps": max(10, round(60 * given.minutes / seconds_a_step))}, file)
    steps = json.loads(plan.read_text())["steps"]
    say(f"{steps:,} steps in {given.minutes:g} minutes")
    seconds, trainer = _train(recipe, given, steps, part)
    with atomic_folder(given.out) as folder:
        model = trainer.model
        assert model is not None
        model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        facts = {"steps": steps, "seconds": seconds, "minutes_planned": given.minutes, "lr": given.lr, "losses": losses}
        (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    shutil.rmtree(part)


def _train(recipe: Recipe, given: argparse.Namespace, steps: int, part: Path) -> tuple[float, Trainer]:
    """Seconds of so many steps, those of earlier runs in the same folder included; and the trainer behind the last."""
    set_seed(given.seed)
    documents, batches = _drawn(recipe, given, steps)
    first = next(iter(documents.shards.values()))
    tokenizer = AutoTokenizer.from_pretrained(first.folder / "tokenizer")
    shape = with_vocabulary(SIZES[recipe.model] if isinstance(recipe.model, str) else recipe.model, first.vocabulary)
    model = ModernBertForMaskedLM(ModernBertConfig(**to_mapping(shape, architecture="", dtype="float32")))
    watch = _Seconds()
    trainer = _Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(part),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=given.lr,
            adam_beta2=0.98,
            weight_decay=0.01,
            warmup_steps=0.05,
            lr_scheduler_type="linear",
            logging_steps=LOGGED,
            save_steps=SAVED,
            save_total_limit=2,
            report_to=[],
            seed=given.seed,
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=documents,
        processing_class=tokenizer,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[watch],
    )
    trainer.batches, trainer.watch = batches, watch
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(part)))
    return watch.now(), trainer


def _drawn(recipe: Recipe, given: argparse.Namespace, steps: int) -> tuple[Documents, list[list[int]]]:
    """The documents of so many steps, and by number those of each batch; one batch more, that none ends early."""
    weights = {name: source.weight for name, source in recipe.data.sources.items()}
    documents = Documents(given.shards, weights, given.seed, BATCH * (steps + 1))
    order = sorted(range(len(documents)), key=documents.length)
    batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    np.random.default_rng(given.seed).shuffle(batches)
    return documents, batches


def _padded(recipe: Recipe, given: argparse.Namespace, steps: int) -> float:
    """Tokens of a batch on the average, padding included."""
    documents, batches = _drawn(recipe, given, steps)
    longest = [max(map(documents.length, batch)) for batch in batches[:steps]]
    return BATCH * float(np.mean(longest))


class _Seconds(TrainerCallback):
    """How long the steps took, which every line of the log tells: a checkpoint keeps the log.

    On a CPU it is the time that its threads computed, so that nothing else on the machine counts.
    """

    earlier, began = 0.0, 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """What went before a checkpoint counts, loading it does not."""
        self.earlier = state.log_history[-1]["seconds"] if state.log_history else 0.0
        self.began = _clock()

    def now(self) -> float:
        """Up to now."""
        return self.earlier + _clock() - self.began


def _clock() -> float:
    """Seconds."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time() / torch.get_num_threads()


class _Trainer(Trainer):
    batches: list[list[int]]
    watch: _Seconds

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log(logs | {"seconds": self.watch.now()}, start_time)

    def _get_train_sampler(self, *_: object) -> Any:
        return _Flat(self.batches)


class _Flat(torch.utils.data.Sampler):
    """The batches one after the other: the loader cuts them where they end."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[int]:
        for batch in self.batches:
            yield from batch

    def __len__(self) -> int:
        return sum(map(len, self.batches))


def _endless(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from map(int, rng.permutation(count))


if __name__ == "__main__":
    as_script(main)
