"""A job: the files of a corpus, a recipe, a folder, and an engine. What is finished is never done again."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modernbert.bulk.config import Recipe
from modernbert.bulk.drive import Outcome, drive
from modernbert.bulk.output import Output, hash_of, table_name
from modernbert.bulk.pool import Pool
from modernbert.bulk.sidecar import Sidecar
from modernbert.core.errors import UserError, require
from modernbert.core.lock import Lock
from modernbert.core.log import say
from modernbert.data.corpus_files import CorpusFile, corpus_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What there is when a run ends."""

    shards: int
    finished: int
    """Of these, by this run or one before."""
    resumed: int
    """Of the finished, how many were so when this run began."""
    failed: dict[str, str]
    """Reason by shard."""
    lost_workers: int
    rows: int
    quarantined: int
    long: int
    """Documents longer than a model takes."""
    unread: int
    """Tokens of these that no model read."""
    tokens: int
    """Of all finished shards."""
    tokens_now: int
    """Of these, computed by this run."""
    seconds: float
    """Of this run, loading of models included."""

    @property
    def tokens_per_second(self) -> float:
        """Of this run."""
        return self.tokens_now / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "tokens_per_second": round(self.tokens_per_second, 1)}


def annotate(path: str, output: str, recipe: Recipe, open_pool: Callable[[Recipe, str, int], Pool]) -> Summary:
    """Annotate every file behind a path into a folder.

    Args:
        path: a file, folder, pattern or address.
        open_pool: from the recipe with all that was left open, the output, and how many shards there are to do.

    Raises:
        UserError: nothing to read, a folder of another recipe or of other input, or nothing can be written.
    """
    require("pyarrow", extra="data")
    began = time.monotonic()
    shards = corpus_files(path)
    _check_names(shards)
    recipe = settled(recipe)
    folder = Output(output)
    with ExitStack() as held:
        if folder.is_local:
            held.enter_context(Lock(Path(output) / "_lock", what=f"{output}: it", way_out="let that annotate finish"))
        folder.clean()
        folder.claim(recipe)
        finished = folder.finished([shard.name for shard in shards])
        _check_unchanged(shards, finished, hash_of(recipe), output)
        left = [shard for shard in shards if shard.name not in finished]
        if finished:
            say(f"{len(finished):,} of {len(shards):,} shards are finished: going on with {len(left):,}")
        outcome = drive(open_pool(recipe, output, len(left)), left, _check_arrived(folder)) if left else Outcome()
        folder.clean()
    return _summed(shards, finished, outcome, time.monotonic() - began)


def settled(recipe: Recipe) -> Recipe:
    """The recipe with nothing left open: the number format of this machine, and what the models are right now."""
    import torch

    from modernbert.bulk.annotator import fingerprint
    from modernbert.model.precision import best_precision

    if recipe.dtype == "auto" and recipe.device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "--dtype auto: this machine has no GPU to ask what it multiplies fastest: say bfloat16 or float32"
        )
    dtype = best_precision(recipe.device).name if recipe.dtype == "auto" else recipe.dtype
    models = tuple(replace(model, fingerprint=fingerprint(model.source)) for model in recipe.models)
    return replace(recipe, models=models, dtype=dtype)  # type: ignore[arg-type]


def _check_arrived(folder: Output) -> Callable[[Sidecar], None]:
    """A worker on another machine may have written to a folder of its own that has the same name."""

    def check(done: Sidecar) -> None:
        if folder.is_local and not (Path(folder.root) / table_name(done.name)).is_file():
            raise UserError(
                f"{done.host} wrote {table_name(done.name)} to a {folder.root} of its own: give an output that all machines "
                "share, such as s3://BUCKET/NAME or a mounted disk"
            )

    return check


def _check_names(shards: list[CorpusFile]) -> None:
    seen: dict[str, CorpusFile] = {}
    for shard in shards:
        before = seen.setdefault(table_name(shard.name), shard)
        if before is not shard:
            raise UserError(
                f"{before.path} and {shard.path} would both be written to {table_name(shard.name)}: rename one of them"
            )


def _check_unchanged(shards: list[CorpusFile], finished: dict[str, Sidecar], recipe: str, output: str) -> None:
    for shard in shards:
        done = finished.get(shard.name)
        if done is not None and done.size != shard.size:
            raise UserError(
                f"{shard.path} has {shard.size:,} bytes, and had {done.size:,} when it was annotated: remove "
                f"{output}/_done/{shard.name}.json to have it done again, or bring the old file back"
            )
        if done is not None and done.recipe != recipe:
            raise UserError(
                f"{output}/_done/{shard.name}.json is of another recipe than the folder's: remove it, and the shard is done again"
            )


def _summed(shards: list[CorpusFile], before: dict[str, Sidecar], outcome: Outcome, seconds: float) -> Summary:
    done = [*before.values(), *outcome.done]
    return Summary(
        shards=len(shards),
        finished=len(done),
        resumed=len(before),
        failed=outcome.failed,
        lost_workers=outcome.lost,
        rows=sum(each.rows for each in done),
        quarantined=sum(each.quarantined for each in done),
        long=sum(each.long for each in done),
        unread=sum(each.unread for each in done),
        tokens=sum(each.tokens for each in done),
        tokens_now=sum(each.tokens for each in outcome.done),
        seconds=round(seconds, 3),
    )
