"""The head `embedding` on a trunk: a LoRA adapter trained on pairs, each against all others of its batch.

    python models/nano/embedding.py TRUNK pairs.jsonl --minutes 30 --out HEAD

sentence-transformers trains (MultipleNegativesRankingLoss, both directions), PEFT keeps the adapter, and
`modernbert.accelerate` makes both fast on a CPU. HEAD is a folder that `modernbert.load` opens.
"""

import argparse
import json
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import TrainerCallback

import modernbert
from modernbert.core.files import atomic_folder, content_hash
from modernbert.core.log import say
from modernbert.model.hub import folder_of

LONGEST = 128
"""Tokens of a text in training; the head reads longer ones afterwards."""

SCALE = 20.0
"""Cosines are multiplied by it, sentence-transformers' own."""


def main() -> None:
    """Train for so many minutes, and write the adapter."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("trunk", help="a packaged name, a folder or a Hub id")
    words.add_argument("pairs", type=Path, help="JSON lines with anchor and positive, shuffled")
    words.add_argument("--minutes", type=float, default=30)
    words.add_argument("--batch", type=int, default=64)
    words.add_argument("--rank", type=int, default=32)
    words.add_argument("--lr", type=float, default=1e-3)
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    began = time.perf_counter()
    folder = folder_of(given.trunk)
    with given.pairs.open(encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    model = _adapted(folder, given.rank, given.seed)
    watch = _Until(60 * given.minutes)
    steps_in_an_epoch = len(pairs) // given.batch
    speed = _steps_a_minute(folder, pairs, given)
    steps = max(10, round(speed * given.minutes))
    say(f"{len(pairs):,} pairs, {speed:.1f} steps a minute: {steps:,} steps, {steps / steps_in_an_epoch:.2f} epochs")
    losses = _train(model, pairs, given, steps, watch)
    _write(model, given, folder, losses, steps, time.perf_counter() - began)


def _adapted(folder: Path, rank: int, seed: int) -> SentenceTransformer:
    """The trunk with pooling as its config says, and an adapter on every linear layer."""
    torch.manual_seed(seed)
    transformer = Transformer(str(folder), max_seq_length=LONGEST, model_kwargs={"dtype": torch.float32})
    pooling = Pooling(transformer.get_embedding_dimension(), modernbert.load(folder).config.classifier_pooling)
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    model.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, use_rslora=False, target_modules=["Wqkv", "Wi", "Wo"], lora_dropout=0.0)
    )
    return modernbert.accelerate(model)


def _steps_a_minute(folder: Path, pairs: list[dict[str, str]], given: argparse.Namespace) -> float:
    """Measured on twenty steps of a model that is thrown away."""
    began = time.perf_counter()
    _train(_adapted(folder, given.rank, given.seed), pairs[: 20 * given.batch], given, 20, _Until(600))
    return 20 * 60 / (time.perf_counter() - began)


def _train(
    model: SentenceTransformer, pairs: list[dict[str, str]], given: argparse.Namespace, steps: int, watch: "_Until"
) -> list[float]:
    columns = {
        name: [pair[name] for pair in islice(pairs, (steps + 1) * given.batch)] for name in ("anchor", "positive")
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(given.out.with_name(f".{given.out.name}-trainer")),
            max_steps=steps,
            per_device_train_batch_size=given.batch,
            learning_rate=given.lr,
            warmup_steps=0.05,
            lr_scheduler_type="linear",
            logging_steps=10,
            save_strategy="no",
            report_to=[],
            seed=given.seed,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(model, scale=SCALE, directions=("query_to_doc", "doc_to_query")),
        callbacks=[watch],
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


class _Until(TrainerCallback):
    """Stops a training that takes longer than it was to."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + 1.2 * seconds + 60

    def on_step_end(self, args: object, state: object, control: Any, **kwargs: object) -> None:
        control.should_training_stop |= time.perf_counter() > self.end


def _write(
    model: SentenceTransformer, given: argparse.Namespace, trunk: Path, losses: list[float], steps: int, seconds: float
) -> None:
    """PEFT's two files, the model's config, and what is known of the training."""
    with atomic_folder(given.out) as out:
        model[0].auto_model.save_pretrained(out)
        adapter = json.loads((out / "adapter_config.json").read_text())
        adapter |= {
            "base_model_name_or_path": given.trunk,
            "revision": content_hash(trunk / "model.safetensors"),
            "task_type": "FEATURE_EXTRACTION",
            "target_modules": sorted(adapter["target_modules"]),
        }
        (out / "adapter_config.json").write_text(json.dumps(adapter, indent=2, sort_keys=True) + "\n")
        config = json.loads((trunk / "config.json").read_text()) | {"architectures": ["ModernBertModel"]}
        (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        facts = {
            "pairs": given.pairs.name,
            "steps": steps,
            "batch": given.batch,
            "rank": given.rank,
            "lr": given.lr,
            "longest": LONGEST,
            "scale": SCALE,
            "seconds": round(seconds),
            "losses": losses,
        }
        (out / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
        for path in out.iterdir():
            if path.name not in ("adapter_config.json", "adapter_model.safetensors", "config.json", "training.json"):
                path.unlink()
    say(f"{given.out}: loss {losses[0]:.2f} at first, {sum(losses[-5:]) / len(losses[-5:]):.2f} at the end")


if __name__ == "__main__":
    main()
