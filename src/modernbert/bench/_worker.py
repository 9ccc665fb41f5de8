"""A process for one model on one backend: requests on stdin, answers on stdout, a JSON object a line.

Its memory is the model's alone, its threads disturb nobody, and when it dies the study goes on.
"""

import gc
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from modernbert.bench import memory
from modernbert.bench.backends import backend
from modernbert.bench.batching import grouped
from modernbert.bench.rivals import Rival, rival
from modernbert.bench.runners import Runner, export, load, warm_imports
from modernbert.bench.workloads import token_ids


class Worker:
    """Keeps what is loaded between requests."""

    def __init__(self) -> None:
        self._device = "cpu"
        self._baseline = 0
        self._rival: Rival
        self._runner: Runner

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked: "export", "load", "states", "run" or "memory"."""
        return getattr(self, f"_{request.pop('do')}")(**request)

    def _export(self, model: str, size: str, backend_name: str, exports: str) -> dict[str, Any]:
        export(_found(model, size), backend(backend_name), Path(exports))
        return {}

    def _load(
        self, model: str, size: str, backend_name: str, exports: str, device: str, threads: int, longest: int
    ) -> dict[str, Any]:
        began = time.perf_counter()
        self._device = device
        chosen = backend(backend_name)
        self._rival = replace(_found(model, size), longest=longest)
        warm_imports(self._rival, chosen)
        gc.collect()
        if memory.can_measure(device):
            memory.begin(device)
            self._baseline = memory.in_use(device)
        self._runner = load(self._rival, chosen, device=device, threads=threads, exports=Path(exports))
        self._runner.first(token_ids([5, 66], self._rival.vocab_size))  # kernels are built and weights laid out here
        return {"seconds": time.perf_counter() - began, "bytes": self._grown(memory.in_use)}

    def _states(self, lengths: list[int], file: str) -> dict[str, Any]:
        np.save(file, self._runner.states(token_ids(lengths, self._rival.vocab_size)))
        return {}

    def _run(self, lengths: list[int], batching: str, given_batch: int, file: str | None = None) -> dict[str, Any]:
        """Lists of ids to hidden states: sorting, packing and padding are part of the time."""
        documents = token_ids(lengths, self._rival.vocab_size)
        if memory.can_measure(self._device):
            memory.begin(self._device)
        began = time.perf_counter()
        groups = grouped(
            lengths,
            batching,  # type: ignore[arg-type]
            given_batch=given_batch,
            device=self._device,
        )
        firsts = [self._runner.first([documents[i] for i in group]) for group in groups]
        seconds = time.perf_counter() - began
        if file is not None:
            by_document = np.empty((len(lengths), firsts[0].shape[1]), dtype=np.float32)
            by_document[[i for group in groups for i in group]] = np.concatenate(firsts)
            np.save(file, by_document)
        return {"seconds": seconds, "batches": len(groups), "peak": self._grown(memory.peak)}

    def _memory(self, length: int, budget: int) -> dict[str, Any]:
        """How many documents of that length make the largest batch; measured on a GPU, by a straight line on a CPU."""
        if not memory.can_measure(self._device):
            return {"batch": None}
        document = token_ids([length], self._rival.vocab_size)[0]
        if self._device != "cpu":
            return {"batch": memory.largest(lambda count: self._fits([document] * count, budget)), "measured": True}
        counts = (1, 2) if length > 1024 else (4, 12)
        peaks = []
        for count in counts:
            memory.begin(self._device)
            self._runner.first([document] * count)
            peaks.append(self._grown(memory.peak))
        return {"batch": memory.extrapolated(budget, counts, peaks), "measured": False, "peaks": peaks}

    def _fits(self, batch: list[list[int]], budget: int) -> bool:
        import torch

        memory.begin(self._device)
        try:
            self._runner.first(batch)
        except torch.OutOfMemoryError:
            return False
        return memory.peak(self._device) <= budget

    def _grown(self, measure: Any) -> int | None:
        return measure(self._device) - self._baseline if memory.can_measure(self._device) else None


def _found(model: str, size: str) -> Rival:
    found = rival(model, size)
    assert found is not None, f"{model} has no size {size}"
    return found


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer until there are no more requests."""
    worker = Worker()
    for line in requests:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, the study writes it down and goes on
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Libraries print where they like; answers go where they alone can write.
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, private)
