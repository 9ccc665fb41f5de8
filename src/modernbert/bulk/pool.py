"""What an engine is to the driver: workers that take one shard each, and events of what became of them.

One shard is under way for each worker, so nothing queues up behind a slow one, and nothing but names and counts passes
through the driver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from modernbert.bulk.sidecar import Progress, Sidecar
from modernbert.data.corpus_files import CorpusFile


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has its models, and waits for a shard."""

    worker: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """A window of its shard is done."""

    worker: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Done:
    """Its shard is finished, and it waits for another."""

    worker: int
    sidecar: Sidecar


@dataclass(frozen=True, slots=True)
class Failed:
    """Its shard cannot be done, or nothing can where `is_fatal`."""

    worker: int
    reason: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """It is gone, and what it had begun with it."""

    worker: int
    reason: str


Event = Ready | Advanced | Done | Failed | Lost


class Pool(Protocol):
    """Workers, numbered from 0. Opened, it has started all of them."""

    num_workers: int

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def give(self, worker: int, shard: CorpusFile) -> None:
        """Begin a shard; the worker has none."""
        ...

    def restart(self, worker: int) -> None:
        """Put a new one in the place of one that was lost."""
        ...

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened, waiting at most so long for something to happen."""
        ...
