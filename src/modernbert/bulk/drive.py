"""The driver: gives shards to workers, counts what comes back, and begins lost ones anew. The same for every engine."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modernbert.bulk.pool import Advanced, Done, Failed, Lost, Pool, Ready
from modernbert.bulk.sidecar import Sidecar
from modernbert.core.errors import UserError
from modernbert.core.log import progress, say
from modernbert.data.corpus_files import CorpusFile

MOST_LOST = 5
"""Workers that one shard, or one place in the pool, may cost before it is given up."""

_WAIT_S = 0.5
_RECENT_S = 20.0
"""Over which the speed is told."""


@dataclass(slots=True)
class Outcome:
    """What became of the shards of a run."""

    done: list[Sidecar] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Reason by the name of the shard."""
    lost: int = 0
    """Workers that were lost, and replaced."""


def drive(pool: Pool, shards: Sequence[CorpusFile], on_done: Callable[[Sidecar], None] = lambda _: None) -> Outcome:
    """Have all shards done, the largest first, so that the last worker does not end long after the others.

    Raises:
        UserError: nothing can be written, or no worker starts.
    """
    outcome = Outcome()
    waiting = deque(sorted(shards, key=lambda shard: (-shard.size, shard.name)))
    under_way: dict[int, CorpusFile] = {}
    idle: set[int] = set()
    lost_with: dict[str, int] = {}
    with pool, _Watch(shards) as watch:
        while waiting or under_way:
            while waiting and idle:
                worker = idle.pop()
                under_way[worker] = waiting.popleft()
                pool.give(worker, under_way[worker])
            for event in pool.wait(_WAIT_S):
                match event:
                    case Ready(worker):
                        idle.add(worker)
                    case Advanced(worker, how_far) if worker in under_way:
                        watch.advance(under_way[worker], how_far.share, how_far.tokens)
                    case Done(worker, sidecar):
                        shard = under_way.pop(worker)
                        watch.end(shard, sidecar.tokens)
                        idle.add(worker)
                        outcome.done.append(sidecar)
                        on_done(sidecar)
                    case Failed(worker, reason, is_fatal):
                        if is_fatal:
                            raise UserError(reason)
                        shard = under_way.pop(worker)
                        watch.end(shard, 0)
                        idle.add(worker)
                        outcome.failed[shard.name] = reason
                        say(f"failed: {reason}")
                    case Lost(worker, reason):
                        idle.discard(worker)
                        outcome.lost += 1
                        shard = under_way.pop(worker, None)
                        about = shard.name if shard else f"worker {worker}"
                        lost_with[about] = lost_with.get(about, 0) + 1
                        if shard is None and lost_with[about] >= MOST_LOST:
                            raise UserError(
                                f"{reason}, {MOST_LOST} times before it could begin: use fewer workers, or a smaller model"
                            )
                        if shard is not None and lost_with[about] >= MOST_LOST:
                            watch.end(shard, 0)
                            outcome.failed[shard.name] = f"{shard.path}: {reason}, {MOST_LOST} times with this shard"
                        elif shard is not None:
                            watch.forget(shard)
                            waiting.appendleft(shard)
                        say(f"{reason}: a new one takes its place{f', {about} is begun anew' if shard else ''}")
                        pool.restart(worker)
            watch.show()
    return outcome


class _Watch:
    """A bar over the bytes of all shards, with the speed of late. State: how far each one is."""

    def __init__(self, shards: Sequence[CorpusFile]) -> None:
        self._bar = progress("done", "speed")
        self._num = len(shards)
        self._total = sum(shard.size for shard in shards)
        self._shares: dict[str, float] = {}
        self._bytes = 0
        self._ended = 0
        self._tokens = 0
        self._under_way: dict[str, int] = {}
        self._recent: deque[tuple[float, int]] = deque()

    def __enter__(self) -> "_Watch":
        self._bar.start()
        self._task = self._bar.add_task("annotating, kB", total=self._total // 1000)
        self._recent.append((time.monotonic(), 0))
        return self

    def __exit__(self, *_: object) -> None:
        self.show()
        self._bar.stop()

    def advance(self, shard: CorpusFile, share: float, tokens: int) -> None:
        self._shares[shard.name] = share * shard.size
        self._under_way[shard.name] = tokens

    def end(self, shard: CorpusFile, tokens: int) -> None:
        self.forget(shard)
        self._bytes += shard.size
        self._ended += 1
        self._tokens += tokens

    def forget(self, shard: CorpusFile) -> None:
        self._shares.pop(shard.name, None)
        self._under_way.pop(shard.name, None)

    def show(self) -> None:
        now, tokens = time.monotonic(), self._tokens + sum(self._under_way.values())
        self._recent.append((now, tokens))
        while len(self._recent) > 2 and now - self._recent[0][0] > _RECENT_S:
            self._recent.popleft()
        since, before = self._recent[0]
        speed = max(0, tokens - before) / max(now - since, 1e-9)
        self._bar.update(
            self._task,
            completed=(self._bytes + sum(self._shares.values())) // 1000,
            done=f"{self._ended:,} of {self._num:,} shards",
            speed=f"{speed:,.0f} tokens/s",
        )
