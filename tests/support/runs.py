"""Runs of a second: a small corpus as shards, a recipe over it, and what a run leaves behind, to be compared."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any

import torch
from torch import Tensor

from modernbert.core.config import read
from modernbert.data.shard_writer import write_shards
from modernbert.train.checkpoint import Progress, read_progress
from modernbert.train.config import Recipe
from modernbert.train.start import read_model
from support.texts import small_tokenizer
from support.waiting import WAIT

NUM_WORDS = 400
"""Ids that occur, of the 435 ordinary ones of the small tokenizer."""

TIMINGS = ("seconds", "tokens_per_second", "flops_share")
"""Of a line of metrics: what differs between two runs of one recipe."""

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.06,
}


def documents(num: int, *, seed: int = 0, longest: int = 150) -> list[list[int]]:
    """Ids of which few are frequent; each is often followed by the same other one. The same on every machine."""
    chance = random.Random(seed)
    made = []
    for _ in range(num):
        document = [int(NUM_WORDS * chance.random() ** 3)]
        for _ in range(int(1 + (longest - 1) * chance.random())):
            is_usual = chance.random() < 0.5
            document.append((7 * document[-1] + 3) % NUM_WORDS if is_usual else int(NUM_WORDS * chance.random() ** 3))
        made.append(document)
    return made


def shards(folder: Path, num: int = 60, *, seed: int = 0, longest: int = 150) -> Path:
    """A folder of token shards of the small tokenizer."""
    with write_shards(folder, small_tokenizer(), shard_tokens=3000) as writer:
        for document in documents(num, seed=seed, longest=longest):
            writer.append(document)
    return folder


def settings(home: Path, *, steps: tuple[int, int] = (6, 4)) -> dict[str, Any]:
    """Two stages, the second of longer documents; the shards of `home` are made when they are not there."""
    for name, num, seed in (("text", 60, 0), ("held", 12, 1)):
        if not (home / name).exists():
            shards(home / name, num, seed=seed)
    return {
        "model": dict(SMALL),
        "run": str(home / "run"),
        "data": {
            "sources": {"text": {"path": str(home / "text")}},
            "held_out": {"held": str(home / "held")},
            "most_epochs": 1000,
        },
        "optim": {"kind": "muon", "lr": 4e-3},
        "dropout": 0.1,
        "devices": {"precision": "float32"},
        "saving": {"every": 512},
        "evaluation": {"every": 1024, "tokens": 600},
        "stages": {
            "short": {
                "tokens": 256 * steps[0],
                "batch": {"size": 256},
                "rows": {"length": 64, "room": 128, "look_ahead": 16},
                "schedule": {"warmup": 256},
                "global_rope_theta": 10_000,
            },
            "long": {
                "tokens": 256 * steps[1],
                "batch": {"size": 256},
                "rows": {"length": 128, "room": 128, "look_ahead": 16},
                "schedule": {"decay": "all"},
                "global_rope_theta": 160_000,
            },
        },
    }


def recipe(home: Path, *changes: str, steps: tuple[int, int] = (6, 4)) -> Recipe:
    """The settings with changes such as `optim.lr=1e-3`."""
    return read(Recipe, settings(home, steps=steps), overrides=changes)


def metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of a run's metrics, without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


def weights(folder: Path) -> dict[str, Tensor]:
    """Of a checkpoint or a model in Hugging Face's layout."""
    return read_model(folder).state_dict()


def checkpoints(run: Path) -> list[int]:
    """The steps that checkpoints are there of."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def assert_same_weights(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Bit for bit, and the same names."""
    assert actual.keys() == expected.keys()
    different = [name for name in expected if not torch.equal(actual[name], expected[name])]
    assert not different, f"{len(different)} of {len(expected)} tensors differ, {different[0]} first"


def assert_same_run(actual: Path, expected: Path) -> None:
    """Two finished runs left the same metrics, the same state and the same model, bit for bit."""
    assert metrics(actual) == metrics(expected)
    assert _last_progress(actual) == _last_progress(expected)
    assert_same_weights(weights(actual / "model"), weights(expected / "model"))


def copy_until(step: int, run: Path, target: Path) -> Path:
    """A run as it was when the checkpoint of that step was its newest."""
    shutil.copytree(run, target)
    for path in (target / "checkpoints").glob("step-*"):
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    shutil.rmtree(target / "model")
    return target


def free_port() -> str:
    """Where nobody listens just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def start(*words: str, rank: int = 0, size: int = 1, port: str = "0") -> subprocess.Popen[str]:
    """A Python process as one of `size`."""
    told = {"WORLD_SIZE": str(size), "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    env = os.environ | told | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "GLOO_SOCKET_IFNAME": "lo"}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *words], env=env, stdout=pipe, stderr=pipe, text=True)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


def ended(*processes: subprocess.Popen[str], patience: float = 240) -> list[Ended]:
    """Wait for all of them; those that are late are killed, and what they started, so that nothing of a test outlives it."""
    timer = Timer(patience, lambda: [_kill(process) for process in processes])
    timer.start()
    try:
        return [Ended(process.wait(), *said) for process in processes for said in [process.communicate()]]
    finally:
        timer.cancel()


def wait_for_step(step: int, run: Path, process: subprocess.Popen[str]) -> None:
    """Until the metrics of a run tell of that step; a process that does not come so far is killed."""
    path = run / "metrics.jsonl"
    _wait(lambda: path.exists() and f'"step": {step},' in path.read_text(encoding="utf-8"), f"step {step}", process)


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    """Until a run has one: it is written beside the steps, so that no step tells of it."""
    _wait(lambda: checkpoints(run), "checkpoint", process)


def _wait(is_so: Callable[[], object], what: str, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WAIT
    while process.poll() is None and time.monotonic() < end:
        if is_so():
            return
        time.sleep(0.002)
    _kill(process)
    raise AssertionError(f"there was no {what}: {process.communicate()[1]}")


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _last_progress(run: Path) -> Progress:
    return replace(read_progress(run / "checkpoints" / f"step-{checkpoints(run)[-1]:08d}"), seconds=0.0)
