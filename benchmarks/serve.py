"""Requests a second at equal p99: `modernbert serve` against sentence-transformers behind FastAPI, and infinity-emb.

    python benchmarks/serve.py --infinity ENV/bin/python             # everything; writes docs/benchmarks-serve.md
    python benchmarks/serve.py --size tiny --seconds 1 --fewest 20 --rounds 1 --dtypes float32 --no-write

infinity-emb wants an environment of its own:  pip install torch==2.13.0 'infinity-emb[torch,server]==0.0.78'
Texts are Python's standard library, one a request; weights are random (speed does not depend on them). Answers are checked equal
before anything is timed. Every server is a process, and all but the one whose turn it is are stopped (SIGSTOP).
"""

import argparse
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from http_client import Answer
from load import Load, closed_loop, highest_rate, open_loop
from modernbert.bench.machine import Machine, examine
from modernbert.core.script import as_script
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.precision import best_precision
from modernbert.model.store import fresh
from modernbert.retrieval.embedder import Embedder
from modernbert.text.train import train_tokenizer
from modernbert.train.start import with_vocabulary
from real_texts import KINDS, texts
from servers import Server, ours, running

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-serve.md"

OURS, EACH, BATCHED, INFINITY = "ours", "ST behind FastAPI", "ST behind FastAPI, batched", "infinity-emb"
ROUTE = "/v1/embeddings"
CLIENTS = (1, 8, 64)
STEPS = 6
"""Rates that are tried in a search; each halves what is left between the bounds, on a logarithmic scale."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One server, one kind of texts, one precision: a figure a round."""

    error: float
    """Largest difference of a number from the truth."""
    cosine: float
    """Lowest, of an answer and the truth."""
    rates: list[float] = field(default_factory=list)
    """Highest arrivals a second whose p99 stays below the limit."""
    closed: dict[int, list[Load]] = field(default_factory=dict)
    """By number of clients."""
    alone: list[float] = field(default_factory=list)
    """p50 of one short text, nothing else to do; seconds."""
    client_share: float = 0.0
    """Of one core, that the client took at most."""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=sorted(SIZES))
    parser.add_argument("--kinds", nargs="+", default=["mixed"], choices=KINDS)
    parser.add_argument("--texts", type=int, default=500, help="of each kind")
    parser.add_argument("--longest", type=int, default=512, help="tokens; what is longer is cut, on all sides")
    parser.add_argument("--dtypes", nargs="+", default=_default_dtypes(), choices=["float32", "bfloat16"])
    parser.add_argument("--limit", type=float, default=1.0, help="seconds that p99 may take")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--fewest", type=int, default=200, help="requests of a load that looks for p99, however long")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--infinity", metavar="PYTHON", help="of an environment with infinity-emb; absent: without it")
    parser.add_argument("--rivals", nargs="+", default=[EACH, BATCHED], choices=[EACH, BATCHED])
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(words)
    options.words = sys.argv[1:] if words is None else words
    options.load_before = os.getloadavg()[0]
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        folder = _model(Path(home) / "model", options.size, options.longest)
        for dtype in options.dtypes:
            for kind in options.kinds:
                rows = _rows(folder, kind, dtype, options)
                lines += _lines(kind, dtype, rows, options)
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(lines, options, examine()), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


def _default_dtypes() -> list[str]:
    return ["float32", "bfloat16"] if best_precision().dtype == torch.bfloat16 else ["float32"]


def _model(folder: Path, size: str, longest: int) -> Path:
    """A folder that all sides open, limited to `longest` tokens."""
    tokenizer = train_tokenizer(texts("mixed", 2000), vocab_size=8192, longest=longest)
    config = replace(with_vocabulary(SIZES[size], Vocabulary.of(tokenizer)), max_position_embeddings=longest)
    Embedder(fresh(config, Encoder), tokenizer, pooling="mean").save_pretrained(folder)
    return folder


def _commands(folder: Path, dtype: str, options: argparse.Namespace) -> dict[str, list[str]]:
    rival = [sys.executable, str(Path(__file__).with_name("rival_server.py")), str(folder), "--dtype", dtype]
    found = {OURS: ours(folder, "--dtype", dtype, "--auto-truncate")}
    found |= {name: [*rival, *(["--batched"] if name == BATCHED else [])] for name in options.rivals}
    if options.infinity:
        found[INFINITY] = [
            str(Path(options.infinity).with_name("infinity_emb")), "v2", "--model-id", str(folder), "--served-model-name", "model",
            "--engine", "torch", "--device", "cpu", "--dtype", dtype, "--no-bettertransformer", "--no-compile",
            "--url-prefix", "/v1", "--host", "127.0.0.1",
        ]  # fmt: skip
    return found


# ---------------------------------------------------------------- measuring


def _rows(folder: Path, kind: str, dtype: str, options: argparse.Namespace) -> dict[str, Row]:
    found = [text.strip() for text in texts(kind, options.texts)]  # infinity-emb's tokenizer strips
    truth_ND = Embedder.from_pretrained(folder, dtype="float32").encode(found, normalize_embeddings=True)
    rows: dict[str, Row] = {}
    with ExitStack() as stack:
        servers = []
        for name, command in _commands(folder, dtype, options).items():
            server = stack.enter_context(
                running(
                    name,
                    command,
                    folder.with_name(f"{len(servers)}.log"),
                    ready="/ready" if name == OURS else "/health",
                    environment={"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
                )
            )
            rows[name] = _checked(server, found, truth_ND)
            server.pause()
            servers.append(server)
        _compare(dtype, rows)
        for number in range(options.rounds):
            for server in servers:
                with server.turn():
                    _measure(server, rows[server.name], found, number, options)
    return rows


def _checked(server: Server, found: Sequence[str], truth_ND: np.ndarray) -> Row:
    """Every text asked for once, which also warms up."""
    answers_ND = np.full_like(truth_ND, np.nan)

    def keep(place: int, answer: Answer) -> None:
        answers_ND[place] = json.loads(answer.body)["data"][0]["embedding"]

    load = closed_loop(server.port, ROUTE, _bodies(found), clients=8, seconds=math.inf, most=len(found), check=keep)
    assert not load.failures, f"{server.name}: {load.failures[0]}"
    assert len(load.latencies) == len(found), f"{server.name} refused {len(load.refusals)} of {len(found)} requests"
    return Row(
        error=float(np.abs(answers_ND - truth_ND).max()), cosine=float((answers_ND * truth_ND).sum(axis=1).min())
    )


def _compare(dtype: str, rows: Mapping[str, Row]) -> None:
    """Nothing is timed that is not equal: 1e-5 in float32; in bfloat16 twice the error of the best rival."""
    stock = min((row.error for name, row in rows.items() if name != OURS), default=math.inf)
    for name, row in rows.items():
        most = 1e-5 if dtype == "float32" else 2 * stock + 1e-3 if name == OURS else 0.1
        assert row.error <= most, f"{name}: vectors differ by {row.error:.1e} from {most:.1e}: nothing to time"


def _measure(server: Server, row: Row, found: Sequence[str], number: int, options: argparse.Namespace) -> None:
    """One round of everything."""
    short = _bodies([text.strip() for text in texts("docstrings", 1)])
    bodies = _bodies(found)
    loop = partial(closed_loop, server.port, ROUTE, seconds=options.seconds)
    row.alone.append(_sound(server, loop(short, clients=1)).percentile(50))
    for clients in CLIENTS:
        row.closed.setdefault(clients, []).append(_sound(server, loop(bodies, clients=clients)))
    full = row.closed[CLIENTS[-1]][-1].rate

    def holds(rate: float) -> bool:
        seconds = max(options.seconds, options.fewest / rate)
        load = open_loop(
            server.port, ROUTE, bodies, rate=rate, seconds=seconds, seed=number, limit=options.limit
        )  # fmt: skip
        row.client_share = max(row.client_share, load.client_share)
        return not load.failures and not load.refusals and load.percentile(99) <= options.limit

    row.rates.append(highest_rate(holds, full / 10, full * 1.5, STEPS))
    print(
        f"round {number}, {server.name}: {row.rates[-1]:,.1f} requests/s at p99 ≤ {options.limit:g} s, "
        f"{full:,.1f} with {CLIENTS[-1]} clients, one alone {row.alone[-1] * 1000:,.1f} ms",
        file=sys.stderr,
    )


def _sound(server: Server, load: Load) -> Load:
    assert not load.failures, f"{server.name}: {load.failures[0]}"
    return load


def _bodies(found: Sequence[str]) -> list[bytes]:
    return [json.dumps({"model": "model", "input": text}).encode() for text in found]


# ---------------------------------------------------------------- the page


def _lines(kind: str, dtype: str, rows: Mapping[str, Row], options: argparse.Namespace) -> list[str]:
    at = ", ".join(f"{clients}" for clients in CLIENTS)
    lines = [
        f"## {kind.capitalize()} texts, {dtype}",
        "",
        f"| server | requests/s at p99 ≤ {options.limit:g} s | ours over it | requests/s with {at} clients | their p99, s | "
        "one short text alone, p50 ms | its ratio to ours | largest difference | lowest cosine |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        loads = [row.closed[clients] for clients in CLIENTS]
        cells = [
            name,
            _spread(row.rates, ",.1f"),
            _ratio(rows[OURS].rates, row.rates),
            " / ".join(f"{statistics.median(load.rate for load in each):,.1f}" for each in loads),
            " / ".join(f"{statistics.median(load.percentile(99) for load in each):,.2f}" for each in loads),
            _spread([1000 * seconds for seconds in row.alone], ",.1f"),
            _ratio(row.alone, rows[OURS].alone),
            f"{row.error:.1e}",
            f"{row.cosine:.6f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    busiest = max(row.client_share for row in rows.values())
    return [*lines, "", f"The client took {busiest:.0%} of a core at most.", ""]


def _spread(figures: Sequence[float], form: str) -> str:
    """Median, lowest and highest of the rounds."""
    return f"{statistics.median(figures):{form}} ({min(figures):{form}}–{max(figures):{form}})"


def _ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Round by round."""
    if not all(below):
        return "∞"
    return _spread([a / b for a, b in zip(above, below, strict=True)], ".2f")


def _command(options: argparse.Namespace) -> str:
    """As it was given, but for where somebody's environment lies."""
    return shlex.join(
        ["python", "benchmarks/serve.py", *("PYTHON" if word == options.infinity else word for word in options.words)]
    )


def _page(lines: list[str], options: argparse.Namespace, machine: Machine) -> str:
    packages = dict(machine.packages) | {name: version(name) for name in ("fastapi", "uvicorn")}
    if options.infinity:
        packages["infinity-emb"] = _asked(options.infinity)
    head = [
        "# Benchmarks: serving",
        "",
        f"*Written by `{_command(options)}`; no number here is typed by hand.*",
        "",
        f"Requests for one vector each over `{ROUTE}` on loopback, one text a request, from Python's standard library, cut at "
        f"{options.longest:,} tokens (mixed: docstrings and functions by halves, and a whole module for every 32). "
        f"ModernBERT-{options.size} shape, random weights (speed does not depend on them), the same folder for all. The truth that "
        "answers are compared with is Python's `Embedder` in float32; nothing is timed that differs.",
        "",
        f"**Requests/s at p99 ≤ {options.limit:g} s**: arrivals as a Poisson process that waits for nobody, a latency counted from "
        f"the arrival; the highest rate at which 99 of 100 answers came within the limit and none failed, found by halving {STEPS} "
        "times (exact to a few percent). With so many clients: each sends its next request when it has its answer.",
        "",
        "**Servers**: `modernbert serve --auto-truncate`; sentence-transformers behind a FastAPI route that is not async, one "
        "`encode` a request, and the same with one thread that encodes what waits, 32 at most (`benchmarks/rival_server.py`); "
        "infinity-emb, engine torch. All with their own defaults otherwise.",
        "",
        f"Median (lowest–highest) of {options.rounds} rounds, in which the servers take turns; those that wait are stopped "
        "(SIGSTOP). **Client and server share the cores**: a client that takes little, written for this.",
        "",
        f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · {machine.threads} threads · load before "
        f"{options.load_before:.1f} · Python {machine.python} · "
        + " · ".join(f"{name} {number}" for name, number in packages.items()),
        "",
    ]
    return "\n".join([*head, *lines]).rstrip() + "\n"


def _asked(python: str) -> str:
    """infinity-emb's version and what it runs on."""
    say = "from importlib.metadata import version as v; print(v('infinity-emb'), '(torch', v('torch') + ', transformers', v('transformers') + ')')"
    return subprocess.run([python, "-c", say], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    as_script(main)
