"""A server under load for long, every answer compared with Python's, its memory watched; then five times what it can do.

    python benchmarks/soak.py                                       # 10 minutes and 100,000 requests; writes docs/benchmarks-soak.md
    python benchmarks/soak.py --minutes 0.1 --requests 50 --texts 50 --overload-seconds 3 --no-write

Texts are Python's standard library, each cut at 2,000 characters. Of ten requests nine have one text and one has eight.
"""

import argparse
import base64
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from http_client import Answer
from load import Check, Load, closed_loop, open_loop
from modernbert.bench.machine import Machine, examine
from modernbert.core.script import as_script
from modernbert.model.hub import folder_of
from modernbert.retrieval.embedder import Embedder
from real_texts import texts
from servers import Server, ours, running

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-soak.md"

ROUTE = "/v1/embeddings"
CLIENTS = 32
CUT = 2000
"""Characters of a text."""
SEVERAL, EVERY = 8, 10
"""So many texts has one of so many requests."""
TIMES = 5
"""Arrivals of the overload, by what the server can do."""


@dataclass(slots=True, kw_only=True)
class Soaked:
    """The long load."""

    seconds: float = 0.0
    answered: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    """Wrong, not finite, or lost."""
    error: float = 0.0
    """Largest difference of a number from Python's."""
    memory: list[float] = field(default_factory=list)
    """MB after each part, the first before all."""

    @property
    def growth(self) -> float:
        """MB that the later half of the parts holds more than the earlier, by their medians; the start is left out."""
        parts = self.memory[1:]
        half = len(parts) // 2
        return statistics.median(parts[-half:]) - statistics.median(parts[:half]) if half else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """As much as it can do, and several times that."""

    full: Load
    over: Load
    asked: float
    """Arrivals a second."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano:embedding")
    parser.add_argument("--minutes", type=float, default=10.0, help="at least")
    parser.add_argument("--requests", type=int, default=100_000, help="at least")
    parser.add_argument("--parts", type=int, default=10, help="memory is looked at after each")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--overload-seconds", type=float, default=60.0)
    parser.add_argument("--concurrent", type=int, default=32, help="requests that the overloaded server takes at once")
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(words)
    options.words = sys.argv[1:] if words is None else words
    options.load_before = os.getloadavg()[0]
    bodies, truths = _requests(options.model, [text[:CUT] for text in texts("mixed", options.texts)])
    with tempfile.TemporaryDirectory() as home:
        flags = ("--dtype", "float32", "--auto-truncate")
        command = ours(folder_of(options.model), *flags)
        with running("ours", command, Path(home) / "soak.log", ready="/ready") as server:
            soaked = _soak(server, bodies, truths, options)
        command = ours(folder_of(options.model), *flags, "--max-concurrent-requests", str(options.concurrent))
        with running("ours", command, Path(home) / "overload.log", ready="/ready") as server:
            overload = _overload(server, bodies, _checking(truths, Soaked()), options)
    lines = [*_soak_lines(soaked), *_overload_lines(overload, options)]
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(lines, options, examine()), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)
    assert not soaked.failures, soaked.failures[0]
    assert not overload.over.failures, overload.over.failures[0]


def _requests(model: str, found: Sequence[str]) -> tuple[list[bytes], list[np.ndarray]]:
    """Bodies, and what Python gives for each."""
    truth_ND = Embedder.from_pretrained(model, dtype="float32").encode(found, normalize_embeddings=True)
    bodies, truths, start = [], [], 0
    while start < len(found):
        end = start + (SEVERAL if len(bodies) % EVERY == EVERY - 1 else 1)
        body = {"model": "model", "input": found[start:end], "encoding_format": "base64"}
        bodies.append(json.dumps(body).encode())
        truths.append(truth_ND[start:end])
        start = end
    return bodies, truths


def _checking(truths: Sequence[np.ndarray], soaked: Soaked) -> Check:
    def check(place: int, answer: Answer) -> None:
        rows = [
            np.frombuffer(base64.b64decode(each["embedding"]), dtype="<f4") for each in json.loads(answer.body)["data"]
        ]
        assert len(rows) == len(truths[place]), f"request {place}: {len(rows)} vectors for {len(truths[place])} texts"
        error = float(np.abs(np.stack(rows) - truths[place]).max())
        assert error <= 1e-5, f"request {place}: off by {error}"  # NaN is not, either
        soaked.error = max(soaked.error, error)

    return check


def _soak(server: Server, bodies: Sequence[bytes], truths: Sequence[np.ndarray], options: argparse.Namespace) -> Soaked:
    soaked = Soaked(memory=[server.memory])
    check, began = _checking(truths, soaked), time.perf_counter()
    while soaked.answered < options.requests or time.perf_counter() - began < options.minutes * 60:
        load = closed_loop(
            server.port, ROUTE, bodies, clients=CLIENTS, seconds=options.minutes * 60 / options.parts, check=check
        )
        soaked.answered += len(load.latencies)
        soaked.refused += len(load.refusals)
        soaked.failures += load.failures
        soaked.memory.append(server.memory)
        soaked.seconds = time.perf_counter() - began
        print(
            f"{soaked.seconds:,.0f} s: {soaked.answered:,} right, {len(soaked.failures)} not, {soaked.memory[-1]:,.1f} MB",
            file=sys.stderr,
        )
        assert load.latencies, f"nothing was answered: {load.failures[:1]}"
    return soaked


def _overload(server: Server, bodies: Sequence[bytes], check: Check, options: argparse.Namespace) -> Overload:
    loop = options.overload_seconds / 2
    closed_loop(server.port, ROUTE, bodies, clients=options.concurrent, seconds=loop, check=check)  # warms up
    full = closed_loop(server.port, ROUTE, bodies, clients=options.concurrent, seconds=loop, check=check)
    asked = TIMES * full.rate
    over = open_loop(
        server.port, ROUTE, bodies, rate=asked, seconds=options.overload_seconds, seed=0, check=check
    )  # fmt: skip
    return Overload(full=full, over=over, asked=asked)


def _soak_lines(soaked: Soaked) -> list[str]:
    return [
        "## Soak",
        "",
        f"{soaked.answered:,} requests in {soaked.seconds / 60:.1f} minutes ({soaked.answered / soaked.seconds:,.0f} a second), by "
        f"{CLIENTS} clients: **{len(soaked.failures)} wrong, lost or not finite**, {soaked.refused} refused; largest difference of a "
        f"number from Python's {soaked.error:.1e} (1e-5 may be).",
        "",
        f"Memory of the server, MB, at the start and after each part: {', '.join(f'{each:,.0f}' for each in soaked.memory)}. The later "
        f"half of the parts holds {soaked.growth:+,.1f} MB against the earlier, by their medians.",
        "",
    ]


def _overload_lines(overload: Overload, options: argparse.Namespace) -> list[str]:
    full, over = overload.full, overload.over
    refused = sorted(over.refusals) or [math.nan]
    return [
        f"## {TIMES} times what it can do",
        "",
        f"A server that takes {options.concurrent} requests at once (`--max-concurrent-requests {options.concurrent}`): so many clients that "
        f"wait for their answers, then arrivals as a Poisson process with {TIMES} times their rate, for {options.overload_seconds:g} s.",
        "",
        "| load | asked a second | answered a second | p50 s | p99 s | refused with 429 and Retry-After | their p99 s | anything else |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        f"| full | {full.rate:,.0f} | {full.rate:,.0f} | {full.percentile(50):.3f} | {full.percentile(99):.3f} | {len(full.refusals)} | | "
        f"{len(full.failures)} |",
        f"| {TIMES} times | {overload.asked:,.0f} | {over.rate:,.0f} | {over.percentile(50):.3f} | {over.percentile(99):.3f} | "
        f"{len(over.refusals):,} | {float(np.percentile(refused, 99)):.3f} | {len(over.failures)} |",
        "",
        f"The client took {full.client_share:.0%} of a core, and {over.client_share:.0%} at {TIMES} times, of those that it shares with the server.",
        "",
    ]


def _page(lines: list[str], options: argparse.Namespace, machine: Machine) -> str:
    head = [
        "# Benchmarks: a server under load",
        "",
        f"*Written by `{' '.join(['python', 'benchmarks/soak.py', *options.words])}`; no number here is typed by hand.*",
        "",
        f"`modernbert serve {options.model} --dtype float32 --auto-truncate` on loopback, client and server on the same cores. Requests for "
        f"`{ROUTE}` with texts of Python's standard library, {options.texts:,} different ones of {CUT:,} characters at most: of {EVERY} requests one has {SEVERAL} texts, "
        "the others one. Every answer is compared with `Embedder.encode` of the same texts in another process.",
        "",
        f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · {machine.threads} threads · load before "
        f"{options.load_before:.1f} · Python {machine.python} · torch {machine.packages['torch']}",
        "",
    ]
    return "\n".join([*head, *lines]).rstrip() + "\n"


if __name__ == "__main__":
    as_script(main)
