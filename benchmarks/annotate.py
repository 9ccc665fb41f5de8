"""A corpus through a model: `modernbert annotate` against the bare engine, and against the usual way on Ray Data.

    python benchmarks/annotate.py                                    # speed and kill; writes docs/benchmarks-annotate.md
    python benchmarks/annotate.py --parts speed --documents 200 --size tiny --no-write    # a minute: does it work?
    python benchmarks/annotate.py --parts memory --gigabytes 1 10              # hours: tokenising 11 GB
    python benchmarks/annotate.py --parts kill --documents 1000000 --kills 10 --driver-kills 3

Weights are random (speed does not depend on them). The texts are Python's standard library, or --corpus: files, folders,
patterns, as annotate reads them; again from the front where there are fewer. Results are JSON lines on stdout; the page has the
last ones of each part.

speed   tokens a second between the first worker's being ready and the last one's end, loading left out on every side, in rounds
        that alternate: annotate on processes and on Ray, the bare engine in as many processes, and Ray Data's map_batches with
        transformers' text-classification pipeline, padded, at the best of --batch-sizes. Real tokens: padding is no work done.
        Labels are compared first.
memory  peak of the worker for inputs of several sizes, by a model that reads 32 tokens of each document: reading is what grows.
kill    workers and drivers are killed at random while a corpus is annotated; the bytes are compared with a run left alone.
"""

import argparse
import hashlib
import json
import math
import os
import random
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from modernbert.bench.machine import examine
from modernbert.core.files import write_json
from modernbert.core.script import as_script

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

PAGE, RESULTS = ROOT / "docs" / "benchmarks-annotate.md", ROOT / "benchmarks" / "annotate" / "results.json"
PACKAGES = ("modernbert", "torch", "transformers", "ray", "tokenizers", "pyarrow")
PARTS = ("speed", "memory", "kill")
TINY = "tiny"
LOCAL, RAY, BARE, STOCK = "annotate, processes", "annotate, Ray", "bare engine", "Ray Data and transformers"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["speed", "kill"], choices=PARTS)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--corpus", help="in place of the standard library")
    parser.add_argument("--size", default="17m")
    parser.add_argument("--longest", type=int, default=512, help="tokens; what is longer is cut, on all sides")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--contenders", nargs="+", default=[LOCAL, RAY, BARE, STOCK], choices=[LOCAL, RAY, BARE, STOCK], metavar="NAME"
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--driver-kills", type=int, default=1)
    parser.add_argument("--engines", nargs="+", default=["local"], choices=["local", "ray"], help="of the part kill")
    parser.add_argument(
        "--model", default="nano:embedding", help="of the part kill; tiny: a classifier with random weights"
    )
    parser.add_argument("--no-write", action="store_true", help="leave the page and the results as they are")
    options = parser.parse_args(words)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        for part in options.parts:
            folder = Path(home) / part
            folder.mkdir()
            found = {"speed": speed, "memory": memory, "kill": kill}[part](folder, options)
            command = shlex.join(["python", "benchmarks/annotate.py", *(sys.argv[1:] if words is None else words)])
            kept[part] = {"command": command, "machine": examine(PACKAGES).line(load_before), "found": found}
            print(json.dumps({"part": part} | kept[part]), flush=True)
            if not options.no_write:
                write_json(RESULTS, kept)
                PAGE.write_text(page(kept), encoding="utf-8")


def texts(options: argparse.Namespace) -> Iterator[str]:
    """For ever."""
    if options.corpus:
        from modernbert.data.sources import read_documents

        while True:
            yield from (document.text for document in read_documents([options.corpus]))
    from real_texts import KINDS

    yield from cycle(KINDS["mixed"]())


def corpus(folder: Path, options: argparse.Namespace) -> Path:
    """Files of about equal size."""
    folder.mkdir()
    source = texts(options)
    each = -(-options.documents // options.shards)
    for number in range(options.shards):
        with open(folder / f"{number:05}.jsonl", "w", encoding="utf-8") as file:
            for place, text in enumerate(islice(source, max(0, min(each, options.documents - number * each)))):
                file.write(json.dumps({"id": f"{number}-{place}", "text": text}) + "\n")
    return folder


def classifier(folder: Path, options: argparse.Namespace, *, longest: int | None = None) -> Path:
    """A checkpoint that both sides open."""
    from modernbert.data.vocabulary import Vocabulary
    from modernbert.model.config import SIZES
    from modernbert.model.heads import SequenceClassifier
    from modernbert.model.store import fresh, save
    from modernbert.text.train import train_tokenizer
    from modernbert.train.start import with_vocabulary

    longest = longest or options.longest
    tokenizer = train_tokenizer(list(islice(texts(options), 2000)), vocab_size=8192, longest=longest)
    config = with_vocabulary(SIZES[options.size], Vocabulary.of(tokenizer))
    config = replace(config, max_position_embeddings=longest, labels=("good", "bad", "neither"))
    save(fresh(config, SequenceClassifier), folder)
    tokenizer.save(folder)
    return folder


# ---------------------------------------------------------------- speed


def speed(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    path, model = corpus(home / "in", options), classifier(home / "model", options)
    contenders = {
        LOCAL: lambda out: _annotated(path, model, out, options, "local"),
        RAY: lambda out: _annotated(path, model, out, options, "ray"),
        BARE: lambda out: _bare(path, model, options),
    }
    for size in options.batch_sizes:
        contenders[f"{STOCK}, {size}"] = lambda out, size=size: _stock(path, model, options, size)
    contenders = {
        name: run for name, run in contenders.items() if any(name.startswith(each) for each in options.contenders)
    }
    labels: dict[str, dict[str, str]] = {}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    tokens = 0
    for number in range(options.rounds):
        for name, run in contenders.items():
            seconds, found, counted = run(
                home / f"out-{number}-{len(labels)}-{name.partition(',')[2].strip()}-{time.time_ns()}"
            )
            tokens = tokens or counted
            labels.setdefault(name, found)
            rates[name].append(tokens / seconds)
            print(f"{name}: {tokens / seconds:,.0f} tokens/s", file=sys.stderr)
    first = next(iter(labels.values()))
    agreement = {
        name: sum(found[key] == label for key, label in first.items()) / len(first)
        for name, found in labels.items()
        if found
    }
    medians = {name: statistics.median(each) for name, each in rates.items()}
    stock = max((name for name in medians if name.startswith(STOCK)), key=medians.__getitem__, default=None)
    pairs = ((LOCAL, BARE, 0.9), (RAY, BARE, 0.85), (LOCAL, stock, 2.0), (RAY, stock, 2.0))
    ratios = [
        {
            "of": name,
            "to": rival,
            "goal": goal,
            "times": [a / b for a, b in zip(rates[name], rates[rival], strict=True)],
        }
        for name, rival, goal in pairs
        if name in rates and rival in rates
    ]
    return {
        "documents": options.documents, "size": options.size, "workers": options.workers, "tokens": tokens, "rates": rates,
        "agreement": agreement, "ratios": ratios,
    }  # fmt: skip


Outcome = tuple[float, dict[str, str], int]
"""Seconds, label by id, tokens (0: not counted)."""


def _annotated(path: Path, model: Path, out: Path, options: argparse.Namespace, engine: str) -> Outcome:
    import pyarrow.parquet as pq

    from modernbert.bulk.annotate import annotate
    from modernbert.bulk.config import Recipe, models_named
    from modernbert.bulk.local import LocalPool
    from modernbert.bulk.on_ray import RayPool

    times: list[float] = []

    def open_pool(recipe, root, most):  # noqa: ANN001, ANN202
        if engine == "local":
            return _timed(LocalPool(recipe, root, options.workers), times)
        return _timed(RayPool(recipe, root, address=None, num_workers=options.workers, most=most), times)

    recipe = Recipe(models=models_named((str(model),)), long="head", dtype="float32")
    done = annotate(str(path), str(out), recipe, open_pool)
    assert not done.failed, done.failed
    rows = (
        row
        for table in sorted(out.glob("*.parquet"))
        for row in pq.read_table(table, columns=["id", "label"]).to_pylist()
    )
    return times[-1] - times[0], {row["id"]: row["label"] for row in rows}, done.tokens


def _timed(pool, times: list[float]):  # noqa: ANN001, ANN202
    """Notes when something happened: first of all a worker's being ready, last the last one's end."""
    plain = pool.wait

    def wait(seconds: float):  # noqa: ANN202
        found = plain(seconds)
        if found:
            times.append(time.perf_counter())
        return found

    pool.wait = wait
    return pool


def _bare(path: Path, model: Path, options: argparse.Namespace) -> Outcome:
    """As many processes as workers, each with an engine and its share of the files, in memory."""
    context = get_context("spawn")
    barrier, ends = context.Barrier(options.workers + 1), context.Queue()
    processes = [
        context.Process(target=_bare_worker, args=(number, path, model, options.workers, barrier, ends))
        for number in range(options.workers)
    ]
    for process in processes:
        process.start()
    barrier.wait(600)
    began = time.perf_counter()
    found = [ends.get() for _ in processes]
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds, {key: label for each in found for key, label in each.items()}, 0


def _bare_worker(number: int, path: Path, model: Path, workers: int, barrier, ends) -> None:  # noqa: ANN001
    from modernbert.core.cores import cores

    if workers <= len(cores()):
        os.sched_setaffinity(0, [cores()[number]])
    os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    import torch

    from modernbert.infer.engine import Engine, Room
    from modernbert.tasks.classify import TextClassifier

    torch.set_num_threads(1)
    predictor = TextClassifier.from_pretrained(model, dtype="float32")
    engine = Engine(predictor.model, predictor.tokenizer, Room(longest=predictor.longest, budget=8192))
    rows = [
        json.loads(line)
        for file in sorted(path.glob("*.jsonl"))[number::workers]
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    names = predictor.model.config.labels
    barrier.wait(600)
    logits = engine.run([row["text"] for row in rows], predictor.logits)
    ends.put({row["id"]: names[int(each.argmax())] for row, each in zip(rows, logits, strict=True)})


def _stock(path: Path, model: Path, options: argparse.Namespace, size: int) -> Outcome:
    """The usual way: a pipeline in actors that are fed batches, each padded to its longest."""
    import ray

    # One slot more than actors: reading needs one, and would wait for ever where actors hold them all.
    ray.init(num_cpus=options.workers + 1, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    actors = ray.data.ActorPoolStrategy(size=options.workers)
    batches = ray.data.read_json(str(path)).map_batches(
        _Pipeline, fn_constructor_args=(str(model), options.longest), batch_size=size, compute=actors, num_cpus=1
    )
    found = batches.take_all()
    ray.shutdown()
    seconds = max(row["ended"] for row in found) - min(row["began"] for row in found)
    return seconds, {row["id"]: row["label"] for row in found}, 0


class _Pipeline:
    def __init__(self, model: str, longest: int) -> None:
        import torch
        from transformers import pipeline

        torch.set_num_threads(1)
        self._pipeline = pipeline("text-classification", model, device="cpu", dtype=torch.float32)
        self._longest = longest

    def __call__(self, batch: dict) -> dict:
        began = time.time()
        found = self._pipeline(
            list(batch["text"]), batch_size=len(batch["text"]), truncation=True, max_length=self._longest, padding=True
        )
        num = len(found)
        return {
            "id": batch["id"],
            "label": [e["label"] for e in found],
            "began": [began] * num,
            "ended": [time.time()] * num,
        }


# ---------------------------------------------------------------- memory


def memory(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    model = _tiny(home / "model", options, longest=32)
    for gigabytes in options.gigabytes:
        path = home / "in.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for number, text in enumerate(texts(options)):
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")
                if number % 100 == 0 and file.tell() >= gigabytes * 1e9:
                    break
        words = [str(path), str(home / f"out-{gigabytes}"), "--model", str(model), "--long", "head", "--workers", "1"]
        words += ["--threads", str(len(os.sched_getaffinity(0)))]
        began = time.perf_counter()
        # In a process of its own: the peak of all that it waited for, its worker among them.
        code = (
            "import subprocess, sys, resource; subprocess.run([sys.executable, '-m', 'modernbert.cli.main', 'annotate', *sys.argv[1:]],"
            " check=True, stdout=sys.stderr); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.PIPE)
        seconds = round(time.perf_counter() - began)
        found.append({"gigabytes": gigabytes, "peak_mb": round(int(done.stdout) / 1000), "seconds": seconds})
        path.unlink()
    return found


def _tiny(folder: Path, options: argparse.Namespace, *, longest: int) -> Path:
    return classifier(folder, argparse.Namespace(**{**vars(options), "size": TINY}), longest=longest)


# ---------------------------------------------------------------- kill


def kill(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    path = corpus(home / "in", options)
    model, called = options.model, f"`{options.model}`"
    if model == TINY:
        model = str(_tiny(home / "model", options, longest=32))
        called = "a classifier of shape tiny with random weights, which reads 32 tokens of each"
    began = time.perf_counter()
    assert _start(path, home / "alone", model, options.workers, "local").wait() == 0
    whole = time.perf_counter() - began
    expected = _hashes(home / "alone")
    engines = {engine: _killed(path, home / engine, model, whole, engine, options) for engine in options.engines}
    for found in engines.values():
        found["same_bytes"] = found.pop("hashes") == expected
    return {"documents": options.documents, "model": called, "alone_s": round(whole, 1), "engines": engines}


def _killed(
    path: Path, out: Path, model: str, whole: float, engine: str, options: argparse.Namespace
) -> dict[str, Any]:
    """What is left of a run whose processes are killed."""
    from support.families import descendants

    chance = random.Random(0)
    plan = [False] * options.kills + [True] * options.driver_kills
    chance.shuffle(plan)
    num = {False: 0, True: 0}
    mark = "spawn_main" if engine == "local" else "RayActor"
    start = partial(_start, path, out, model, options.workers, engine)
    driver = start()
    for is_driver in plan:
        time.sleep(chance.uniform(0.5, 1.5) * whole / (len(plan) + 1))
        if driver.poll() is not None:
            break
        workers = descendants(driver.pid, mark)
        if is_driver:
            driver.kill()
            driver.wait()
            time.sleep(5)  # its workers end by themselves
            driver = start()
        elif workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        num[is_driver] += is_driver or bool(workers)
    if driver.wait() != 0:  # a shard may have lost five workers: one more run does it
        assert start().wait() == 0
    rows = _ids(out)
    return {
        "workers_killed": num[False], "drivers_killed": num[True], "doubled": len(rows) - len(set(rows)),
        "lost": options.documents - len(set(rows)), "hashes": _hashes(out),
    }  # fmt: skip


def _start(path: Path, out: Path, model: str, workers: int, engine: str) -> subprocess.Popen:
    words = ["--model", model, "--long", "head", "--workers", str(workers), "--engine", engine]
    return subprocess.Popen(
        [sys.executable, "-m", "modernbert.cli.main", "annotate", str(path), str(out), *words], stdout=sys.stderr
    )


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.parquet")}


def _ids(folder: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [
        each
        for path in sorted(folder.glob("*.parquet"))
        for each in pq.read_table(path, columns=["id"])["id"].to_pylist()
    ]


# ---------------------------------------------------------------- page


def page(kept: dict[str, Any]) -> str:
    """What was found last, part by part."""
    lines = [
        "# Annotating a corpus, measured",
        "",
        "*Written by `benchmarks/annotate.py`; no number here is typed by hand.*",
        "",
    ]
    for key, part in kept.items():
        lines += [f"## {key.capitalize()}", "", f"`{part['command']}`", "", part["machine"], ""]
        lines += {"speed": _speed_lines, "memory": _memory_lines, "kill": _kill_lines}[key](part["found"])
        lines.append("")
    return "\n".join(lines)


def _speed_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['documents']:,} documents of {found['tokens']:,} tokens by a classifier of shape {found['size']} with random weights, "
        f"{found['workers']} workers of one thread, loading left out on every side. Real tokens a second; rounds alternate.",
        "",
        "| contender | tokens/s, median | each round | same labels as the first |",
        "|---|---:|---|---:|",
    ]
    for name, rates in found["rates"].items():
        each = ", ".join(f"{rate:,.0f}" for rate in rates)
        lines.append(
            f"| {name} | {statistics.median(rates):,.0f} | {each} | {found['agreement'].get(name, math.nan):.2%} |"
        )
    lines += ["", "| | times | lowest–highest | goal |", "|---|---:|---|---:|"]
    for each in found["ratios"]:
        lines.append(
            f"| {each['of']} / {each['to']} | {statistics.median(each['times']):.2f} | {min(each['times']):.2f}–{max(each['times']):.2f} | {each['goal']:g} |"
        )
    return lines


def _memory_lines(found: list[dict[str, Any]]) -> list[str]:
    lines = [
        "One file, one worker that has all cores, a model that reads 32 tokens of each document: the rest is counted, hence read.",
        "",
        "| input, GB | highest memory of a worker, MB | seconds |",
        "|---:|---:|---:|",
    ]
    return [*lines, *(f"| {each['gigabytes']:g} | {each['peak_mb']:,} | {each['seconds']:,} |" for each in found)]


def _kill_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['documents']:,} documents through {found['model']}; left alone, with processes, it takes {found['alone_s']:,} s. "
        "Then workers and drivers are killed at random, and the command is given again.",
        "",
        "| engine | workers killed | drivers killed | bytes, against the run left alone | rows lost | rows doubled |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for engine, each in found["engines"].items():
        same = "the same" if each["same_bytes"] else "**others**"
        cells = (each["workers_killed"], each["drivers_killed"], same, each["lost"], each["doubled"])
        lines.append(f"| {engine} | {' | '.join(map(str, cells))} |")
    return lines


if __name__ == "__main__":
    as_script(main)
