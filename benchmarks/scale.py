"""How far the layout of `modernbert annotate` goes: a simulation of 1 to 1,000 workers; writes docs/scale.md.

    python benchmarks/scale.py                   # a minute
    python benchmarks/scale.py --no-write

The driver is the real one (`modernbert.bulk.drive`): what an event costs it is measured here, on workers that do nothing.
Everything else is arithmetic on assumptions that the page lists: the speed of a worker, and what a store allows.
"""

import argparse
import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from modernbert.bulk.drive import drive
from modernbert.bulk.pool import Done, Ready
from modernbert.bulk.sidecar import Sidecar
from modernbert.core.script import as_script
from modernbert.data.corpus_files import CorpusFile

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
WORKERS = (1, 10, 100, 300, 1000)
SHARD_MB = (1, 10, 100, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is assumed."""

    corpus_gb: float = 10_000.0
    """Compressed text of the corpus, in GB of 10^9 bytes."""
    tokens_per_byte: float = 0.6
    """Of a compressed byte."""
    tokens_per_second: float = 100_000.0
    """Of one worker."""
    start_s: float = 60.0
    """Until a worker has its model."""
    overhead_s: float = 0.5
    """Of a shard: opening it, and publishing its table and its sidecar."""
    read_mb_per_second: float = 100.0
    """Of one worker from the store, while it computes: only what exceeds computing counts."""
    requests_per_second: float = 3500.0
    """PUT requests that one prefix of S3 takes (AWS documents 3,500, and 5,500 GET)."""
    requests_per_shard: float = 6.0
    """Open and ranges of the input, two files written."""
    listing_per_second: float = 5000.0
    """Names that a driver lists, before it begins or resumes."""
    sidecars_per_second: float = 500.0
    """Sidecars that a driver reads when it resumes, 32 at a time."""
    call_s: float = 0.002
    """Of the driver for one shard in the engine: a call of Ray's, and its answer."""
    event_s: float = 0.0
    """Of the driver for one shard, measured."""


class Idle:
    """Workers that are done at once."""

    num_workers = 64

    def __enter__(self) -> "Idle":
        self._events = [Ready(worker) for worker in range(self.num_workers)]
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def give(self, worker: int, shard: CorpusFile) -> None:
        done = Sidecar(name=shard.name, size=1, recipe="", models={}, rows=1, tokens=1)
        self._events.append(Done(worker, done))

    def restart(self, worker: int) -> None:
        raise AssertionError("none is lost here")

    def wait(self, seconds: float) -> Sequence[object]:
        found, self._events = self._events, []
        return found


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for field in fields(World):
        if field.name != "event_s":
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    parser.add_argument("--events", type=int, default=20_000, help="shards that the driver is measured on")
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(words)
    world = World(**{f.name: getattr(options, f.name) for f in fields(World) if f.name != "event_s"})
    world = replace(world, event_s=driver_seconds(options.events))
    page = written(world)
    print(page)
    if not options.no_write:
        PAGE.write_text(page, encoding="utf-8")


def driver_seconds(num: int) -> float:
    """Of the real driver, for one shard."""
    shards = [CorpusFile(path=f"{n}.jsonl", name=f"{n}.jsonl", size=1) for n in range(num)]
    began = time.perf_counter()
    outcome = drive(Idle(), shards)  # type: ignore[arg-type]
    assert len(outcome.done) == num
    return (time.perf_counter() - began) / num


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a simulated run took."""

    hours: float
    efficiency: float
    """Share of the workers' time in which tokens were computed."""
    driver_share: float
    """Of the run, in which the driver was busy."""
    requests_share: float
    """Of what one prefix of the store allows."""
    limit: str
    """What cost most, besides computing."""


def simulate(world: World, *, workers: int, shard_mb: float) -> Run:
    """Every worker takes the next shard when the driver has told it; the driver tells one at a time."""
    num_shards = max(1, round(world.corpus_gb * 1000 / shard_mb))
    compute = shard_mb * 1e6 * world.tokens_per_byte / world.tokens_per_second
    work = max(compute, shard_mb / world.read_mb_per_second) + world.overhead_s
    listing = num_shards / world.listing_per_second
    throttled = num_shards * world.requests_per_shard / world.requests_per_second
    shards_each = num_shards / workers
    rounds = min(num_shards, 200_000)  # a longer row of equal shards is in proportion
    scale = num_shards / rounds
    free = [world.start_s] * workers
    driver, ended = 0.0, 0.0
    a_shard = world.event_s + world.call_s
    event = a_shard * scale
    for _ in range(rounds):
        driver = max(driver, heapq.heappop(free)) + event
        end = driver + work * scale
        ended = max(ended, end)
        heapq.heappush(free, end)
    seconds = listing + max(ended, throttled)
    costs = {
        "starting": world.start_s / seconds,
        "opening and publishing files": world.overhead_s * shards_each / seconds,
        "listing": listing / seconds,
        "the store's requests": max(0.0, throttled - ended) / seconds,
        "the driver": max(0.0, num_shards * a_shard - num_shards * work / workers) / seconds,
        "the last shards": max(0.0, ended - world.start_s - max(shards_each * work, num_shards * a_shard)) / seconds,
        "reading": max(0.0, work - world.overhead_s - compute) * shards_each / seconds,
    }
    return Run(
        hours=seconds / 3600,
        efficiency=compute * num_shards / (workers * seconds),
        driver_share=num_shards * a_shard / seconds,
        requests_share=throttled / seconds,
        limit=max(costs, key=lambda name: costs[name]),
    )


def written(world: World) -> str:
    """The page."""
    lines = [
        "# How far it scales",
        "",
        "Made by `python benchmarks/scale.py`, which explains how; its flags are the assumptions. What a shard costs the driver is",
        "measured on the real driver; the rest is arithmetic, and no cluster was used.",
        "",
        "| assumed | value |",
        "|---|---:|",
        *(
            f"| {_words(name)} | {getattr(world, name):,g} |"
            for name in (f.name for f in fields(World))
            if name != "event_s"
        ),
        f"| measured: driver, microseconds for a shard | {1e6 * world.event_s:,.0f} |",
        "",
    ]
    for shard_mb in SHARD_MB:
        num = max(1, round(world.corpus_gb * 1000 / shard_mb))
        lines += [
            f"## {num:,} files of {shard_mb:,} MB",
            "",
            "| workers | hours | computing | driver busy | store's requests | costs most |",
            "|---:|---:|---:|---:|---:|---|",
        ]
        for workers in WORKERS:
            run = simulate(world, workers=workers, shard_mb=shard_mb)
            lines.append(
                f"| {workers:,} | {run.hours:,.1f} | {run.efficiency:.1%} | {run.driver_share:.2%} | {run.requests_share:.1%} | "
                f"{run.limit} |"
            )
        resume = num / world.listing_per_second + num / world.sidecars_per_second
        lines += [
            "",
            f"Resuming a finished job of so many files takes {resume / 60:,.1f} minutes of listing and reading.",
            "",
        ]
    lines += [
        "## What the layout does about it",
        "",
        "- **The driver** sends names and receives counts: texts and results never pass through it, nor through Ray's object store, which",
        "  therefore sets no limit. One driver does for thousands of workers as long as shards take seconds.",
        "- **Small files** are the limit that is met first: each is opened, published twice and listed. Join them to 100 MB or more before",
        "  (or annotate with fewer, larger files); a file larger than that hardly helps, and makes the last worker end late.",
        "- **The last shards**: the largest go first, so that the tail is one small file. Have ten files a worker or more.",
        "- **Requests**: outputs bear the inputs' paths, so a corpus that is spread over prefixes stays so.",
        "- **Resuming** lists the output once and reads the sidecars of what is done, 32 at a time.",
        "",
    ]
    return "\n".join(lines)


def _words(name: str) -> str:
    """What a field of the world is, for people."""
    for ending, unit in (("_gb", ", GB"), ("_s", ", seconds")):
        name = name.removesuffix(ending) + unit if name.endswith(ending) else name
    return name.replace("_per_", " a ").replace("_mb", " MB").replace("_", " ")


if __name__ == "__main__":
    as_script(main)
