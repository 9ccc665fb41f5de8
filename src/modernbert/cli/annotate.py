"""`modernbert annotate`: what models say of every document of a corpus."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT

if TYPE_CHECKING:
    from modernbert.bulk.annotate import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate:
    """Score, label, tag or embed a corpus: one Parquet file for each of its files. Again: only what is not finished."""

    input: tyro.conf.Positional[str]
    """A file, folder, pattern or address: .jsonl, .parquet, .arrow, text; .gz, .bz2, .xz, .zst; s3://, gs://, hf://."""
    output: tyro.conf.Positional[str]
    """A folder, here or in a store; it belongs to one recipe."""
    model: tuple[str, ...] = (DEFAULT,)
    """Packaged models, folders or Hub ids; of several each with a name for its columns, as quality=FOLDER. Equal trunks run once."""
    long: Literal["chunk-mean", "chunk-max", "head"] = "chunk-mean"
    """Documents longer than the model takes: in pieces that are averaged, in pieces of which the highest counts, or their head."""
    engine: Literal["local", "ray"] = "local"
    """Processes on this machine, or actors of a Ray cluster (pip install 'modernbert[ray]')."""
    ray_address: str | None = None
    """Of the cluster, such as auto; absent: one is started on this machine."""
    workers: int | None = None
    """Absent: as many as fit the cores. What is written is the same for any number."""
    threads: int = 1
    """Of a worker, each on a core of its own."""
    gpus: float = 0.0
    """Of a worker, with --engine ray; above 0 it computes on cuda."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where this machine multiplies it, else float32, on all workers alike."""
    device: str = "cpu"
    """Where local workers compute."""
    batch_tokens: int = 8192
    """Tokens of a batch; fixed, so that results do not depend on how fast a machine is."""
    text_field: str = "text"
    """Key or column of the text."""
    id_field: str = "id"
    """Key or column of the id."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Annotate and sum up."""
        import json

        from modernbert.bulk.annotate import annotate
        from modernbert.bulk.config import Recipe, models_named
        from modernbert.core.errors import UserError

        self._check()
        recipe = Recipe(
            models=models_named(self.model),
            long=self.long,
            text_field=self.text_field,
            id_field=self.id_field,
            dtype=self.dtype,
            device="cuda" if self.gpus else self.device,
            threads=self.threads,
            batch_tokens=self.batch_tokens,
        )
        done = annotate(self.input, self.output, recipe, self._pool)
        if self.json:
            print(json.dumps(done.as_dict(), ensure_ascii=False))
        else:
            print("\n".join(_lines(done, self.output)))
        if done.failed:
            first = next(iter(done.failed.values()))
            raise UserError(
                f"{len(done.failed):,} of {done.shards:,} shards failed, the first: {first}; what is finished is kept: "
                "mend them and run the same command again"
            )

    def _check(self) -> None:
        from modernbert.core.errors import UserError

        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers: found {self.workers}, expected 1 or more")
        if self.engine == "local" and (self.ray_address or self.gpus):
            raise UserError("--ray-address and --gpus are for a cluster: say --engine ray, too")

    def _pool(self, recipe, root, num_shards):  # noqa: ANN001, ANN202  (torch-free module: types are in bulk)
        if self.engine == "ray":
            from modernbert.bulk.on_ray import RayPool

            return RayPool(
                recipe, root, address=self.ray_address, num_workers=self.workers, most=num_shards, gpus=self.gpus
            )
        from modernbert.bulk.local import LocalPool
        from modernbert.core.cores import cores

        wanted = self.workers or max(1, len(cores()) // self.threads)
        return LocalPool(recipe, root, min(wanted, num_shards))


def _lines(done: "Summary", output: str) -> list[str]:
    lines = [f"{output}: {done.finished:,} of {done.shards:,} shards, {done.rows:,} rows, {done.tokens:,} tokens"]
    if done.tokens_now:
        lines.append(
            f"now: {done.tokens_now:,} tokens in {done.seconds:,.1f} s ({done.tokens_per_second:,.0f} tokens/s)"
        )
    if done.long:
        lines.append(f"longer than the model takes: {done.long:,} documents, {done.unread:,} tokens of them not read")
    if done.quarantined:
        lines.append(f"could not be read: {done.quarantined:,} rows, reasons in {output}/_quarantine")
    if done.lost_workers:
        lines.append(f"workers lost and replaced: {done.lost_workers}")
    return lines
