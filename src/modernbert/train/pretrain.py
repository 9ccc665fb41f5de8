"""A recipe from its first to its last token: stages, evaluations, checkpoints; begun anew or where it was left.

The run is a function of the recipe: what is read, masked and dropped follows from names and positions, never from how
often the run was interrupted, or by how many processes it is computed.
"""

import errno
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from modernbert.core.config import to_plain
from modernbert.core.errors import CheckpointError, ConfigError
from modernbert.core.files import atomic_folder
from modernbert.core.heap import keep_large_blocks
from modernbert.core.log import say
from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.loader import Batch, Loader, MaskedBatch
from modernbert.model.config import ModelConfig
from modernbert.model.heads import MaskedLM
from modernbert.model.heads import build as build_model
from modernbert.model.store import save as save_model
from modernbert.ops.roofline import matmul_rate
from modernbert.train.checkpoint import Checkpoints, Progress, is_checkpoint, load_history, read_progress
from modernbert.train.config import Continue, Recipe, Stage
from modernbert.train.corpora import Corpora
from modernbert.train.evaluation import Score, evaluate
from modernbert.train.journal import Metrics, claim, last_scores
from modernbert.train.schedule import learning_rate_share, rows_per_batch
from modernbert.train.signals import stoppable
from modernbert.train.start import read_model, starting_model
from modernbert.train.step import Outcome, Trainer
from modernbert.train.view import View
from modernbert.train.world import World, joined

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
"""No room on the disk, or none for this file or this user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a run ended."""

    run: Path
    progress: Progress
    scores: dict[str, Score]
    """Of the last evaluation, by held-out source; known to the first process."""
    model: Path | None
    """The finished model in Hugging Face's layout; absent when the run was told to stop: the same command goes on."""


def pretrain(recipe: Recipe) -> Result:
    """Run the recipe, or go on with it where its folder was left.

    Raises:
        ConfigError: the recipe cannot be run as it is, or the folder holds another run.
        CheckpointError: a checkpoint could not be read or written, or the disk is full; older ones stay.
        TrainingError: too many steps went wrong one after the other.
        LostProcessError: another process of the run is gone.
    """
    corpora = Corpora.open(recipe)
    with _room(recipe.run), joined() as world, stoppable() as asked, ExitStack() as stack:
        if not world.agrees(json.dumps(sorted(corpora.fingerprints.items()))):
            raise ConfigError("data: the machines of this run have different shards: give all of them the same copies")
        if world.is_first:
            claim(recipe, corpora.fingerprints)
        world.wait()
        if world.device.type == "cpu":
            keep_large_blocks()
        run = _Run(recipe, corpora, world, asked, stack)
        return run.go()


class _Run:
    """One process's part of a run."""

    def __init__(
        self, recipe: Recipe, corpora: Corpora, world: World, asked: Callable[[], bool], stack: ExitStack
    ) -> None:
        self.recipe, self.corpora, self.world, self.asked = recipe, corpora, world, asked
        self.checkpoints = Checkpoints(recipe.run / "checkpoints", recipe.saving, world)
        stack.callback(self.checkpoints.close)
        self.newest = self.checkpoints.newest()
        first = corpora.sources(next(iter(recipe.stages.values())))
        self.trainer = Trainer(
            read_model(self.newest) if self.newest else starting_model(recipe, corpora.vocabulary, first),
            recipe.optim,
            seeds=Seeds(recipe.seed),
            world=world,
            devices=recipe.devices,
            guard=recipe.guard,
            z_loss=recipe.z_loss,
            dropout=recipe.dropout,
        )
        self.scores: dict[str, Score] = {}
        self.progress = self.resume()
        self.saved = None if self.newest is None else self.progress.step
        self.metrics: Metrics | None = None
        if world.is_first:
            settings = to_plain(recipe)
            self.metrics = Metrics(recipe.run, recipe.loggers, from_step=self.progress.step, settings=settings)
            stack.callback(self.metrics.close)
            self.scores = last_scores(recipe.run)
        self.view = stack.enter_context(View(recipe, shows=world.is_first))
        self.peak_flops = _peak_flops(self.trainer.dtype, world.device.type) * world.size

    def resume(self) -> Progress:
        """Where the run begins: at its newest checkpoint, else at the start, with somebody else's history if asked."""
        if self.newest is not None:
            progress = read_progress(self.newest)
            load_history(self.newest, self.trainer.model, self.trainer.optimizer)
            self.trainer.watch.resume(progress.watch)
            if self.world.is_first:
                say(f"going on from {self.newest}: {progress.tokens:,} tokens, stage {progress.stage}")
            return progress
        start = self.recipe.start
        if isinstance(start, Continue) and is_checkpoint(Path(start.path)):
            load_history(Path(start.path), self.trainer.model, self.trainer.optimizer)
        return Progress(stage=next(iter(self.recipe.stages)))

    def go(self) -> Result:
        """All that is left to do."""
        stages = list(self.recipe.stages.items())
        config = self.trainer.model.config
        for name, stage in stages[list(self.recipe.stages).index(self.progress.stage) :]:
            config = _config_of(stage, config)
            self.enter(name, stage, config)
            if not self.run_stage(name, stage):
                self.save(stays=False)
                return Result(run=self.recipe.run, progress=self.progress, scores=self.scores, model=None)
        self.checkpoints.wait()
        model = self.recipe.run / "model"
        self.export(model)
        return Result(run=self.recipe.run, progress=self.progress, scores=self.scores, model=model)

    def enter(self, name: str, stage: Stage, config: ModelConfig) -> None:
        """Put the stage's rules in force."""
        model = self.trainer.model
        model.config = model.model.config = config
        self.trainer.seeds = Seeds(Seeds(self.recipe.seed).for_("dropout", name))
        if name != self.progress.stage:
            self.progress = replace(self.progress, stage=name, stage_tokens=0, loader={})
            if not stage.keep_optimizer:
                self.trainer.forget()
        elif self.progress.step == 0 and self.recipe.saving.keep_every is not None:
            self.publish()

    def run_stage(self, name: str, stage: Stage) -> bool:
        """Train to the stage's end; false when told to stop before."""
        held_out = dict(self.corpora.held_out(stage))
        rank, size, num_workers = self.world.rank, self.world.size, self.recipe.data.num_workers
        saving, evaluation = self.recipe.saving, self.recipe.evaluation
        with self.corpora.loader(name, stage, rank=rank, world=size, num_workers=num_workers) as loader:
            if self.progress.loader:
                loader.resume(self.progress.loader)
            while self.progress.stage_tokens < stage.tokens:
                if self.must_stop():
                    return False
                before = self.progress.tokens
                self.step(name, stage, loader)
                now, is_last = self.progress.tokens, self.progress.stage_tokens >= stage.tokens
                if is_last or _passes(evaluation.every, before, now):
                    self.evaluate(held_out)
                is_public = is_last or _passes(saving.keep_every, before, now)
                if is_public:
                    self.publish()
                is_well = not self.progress.watch["in_a_row"]  # weights gone bad must not push out the last good ones
                if is_public or (is_well and _passes(saving.every, before, now)):
                    self.save(stays=is_public)
        return True

    def step(self, name: str, stage: Stage, loader: Loader) -> None:
        """Read a batch and learn from it."""
        began, now = time.perf_counter(), self.progress
        batch = loader.take(rows_per_batch(stage.batch, now.stage_tokens, stage.rows.room))
        peak = self.recipe.optim.lr if stage.lr is None else stage.lr
        decay = self.recipe.optim.weight_decay if stage.weight_decay is None else stage.weight_decay
        middle = min(now.stage_tokens + batch.num_tokens / 2, stage.tokens)
        lr = peak * learning_rate_share(stage.schedule, middle, stage.tokens)
        outcome = self.trainer.step(batch, lr=lr, peak=peak, weight_decay=decay)
        seconds = time.perf_counter() - began
        self.progress = Progress(
            step=now.step + 1,
            tokens=now.tokens + batch.num_tokens,
            stage=name,
            stage_tokens=now.stage_tokens + batch.num_tokens,
            loader=loader.state(),
            watch=self.trainer.watch.state(),
            seconds=now.seconds + seconds,
        )
        self.tell(outcome, batch, lr, seconds)

    def tell(self, outcome: Outcome, batch: Batch, lr: float, seconds: float) -> None:
        """Write the step down, and show it."""
        speed, share = batch.num_tokens / seconds, outcome.flops / seconds / self.peak_flops
        if self.metrics is not None:
            facts = {
                "stage": self.progress.stage,
                "tokens": self.progress.tokens,
                "loss": outcome.loss,
                "accuracy": outcome.accuracy,
                "lr": lr,
                "grad_norm": outcome.grad_norm,
                "num_predicted": outcome.num_predicted,
                "batch_tokens": batch.num_tokens,
                "batch_rows": batch.num_rows,
                "is_skipped": outcome.is_skipped,
                "tokens_per_second": speed,
                "flops_share": share,
                "seconds": self.progress.seconds,
            }
            self.metrics.write("step", self.progress.step, facts)
        if outcome.is_skipped and self.world.is_first:
            say(f"step {self.progress.step} skipped: loss {outcome.loss:.3g}, gradient norm {outcome.grad_norm:.3g}")
        self.view.step(self.progress.stage, self.progress.tokens, outcome, speed=speed, share=share)

    def evaluate(self, held_out: dict[str, list[MaskedBatch]]) -> None:
        """Score every held-out source."""
        self.scores = {name: evaluate(self.trainer, rows) for name, rows in held_out.items()}
        now = self.progress
        if self.metrics is not None and self.scores:
            facts = {"stage": now.stage, "tokens": now.tokens} | {n: asdict(score) for n, score in self.scores.items()}
            self.metrics.write("evaluation", now.step, facts)
        self.view.scores(now.stage, now.tokens, self.scores)

    def save(self, *, stays: bool) -> None:
        """A checkpoint of everything, unless this very step has one, which may be one that stays."""
        if self.saved == self.progress.step:
            return
        trainer, self.saved = self.trainer, self.progress.step
        self.checkpoints.save(trainer.model, trainer.optimizer, trainer.model.config, self.progress, stays=stays)

    def publish(self) -> None:
        """The weights alone, where `modernbert model publish` finds them."""
        self.export(self.recipe.run / "published" / f"step-{self.progress.step:08d}")

    def export(self, folder: Path) -> None:
        """The model in Hugging Face's layout, with its tokenizer and what it has been through."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(self.trainer.model, options=options)  # all processes take part
        if not self.world.is_first:
            return
        model = build_model(MaskedLM, self.trainer.model.config, on_meta=True)
        assert isinstance(model, MaskedLM)
        model.load_state_dict(weights, assign=True)
        model.tie()
        now = self.progress
        facts = {"step": now.step, "tokens": now.tokens, "stage": now.stage, "seconds": now.seconds}
        facts |= {"held_out": {name: asdict(score) for name, score in self.scores.items()}}
        with atomic_folder(folder) as unfinished:
            save_model(model, unfinished)
            self.corpora.tokenizer.save(unfinished)
            (unfinished / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def must_stop(self) -> bool:
        """Whether any process was told to."""
        return self.world.total([float(self.asked())])[0] > 0


def _config_of(stage: Stage, config: ModelConfig) -> ModelConfig:
    """The model's config from this stage on."""
    return replace(
        config,
        global_rope_theta=stage.global_rope_theta or config.global_rope_theta,
        local_rope_theta=stage.local_rope_theta or config.local_rope_theta,
        max_position_embeddings=max(int(stage.rows.length), config.max_position_embeddings),
    )


@contextmanager
def _room(run: Path) -> Iterator[None]:
    """A full disk in one sentence, whatever is being written: metrics, a model, what only torch or safetensors see."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if getattr(error, "errno", None) not in FULL and not any(
            f"(os error {number})" in str(error) for number in FULL
        ):
            raise
        raise CheckpointError(
            f"{run} cannot be written ({error}): make room, then start the same command again; it goes on from the last "
            "checkpoint"
        ) from error


@cache
def _peak_flops(dtype: torch.dtype, device: str) -> float:
    return matmul_rate(dtype, device)


def _passes(every: Tokens | None, before: int, now: int) -> bool:
    """Whether a multiple of `every` lies in what was read since `before`."""
    return every is not None and every > 0 and before // every < now // every
