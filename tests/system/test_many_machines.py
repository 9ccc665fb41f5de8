"""Two machines of one process each, as far as one machine can be two: a launcher for each, that meet and start again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from modernbert.core.config import write
from modernbert.train.config import Recipe
from support.runs import assert_same_weights, ended, free_port, metrics, recipe, wait_for_step, weights

STEPS = (40, 4)


def _machine(given: Path, port: str) -> subprocess.Popen[str]:
    words = [
        *("-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3"),
        *("--rdzv-id", "try", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"),
        *("-m", "modernbert.cli.main", "pretrain", str(given)),
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "GLOO_SOCKET_IFNAME": "lo"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *words], env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def _child(process: subprocess.Popen[str]) -> int:
    (found,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(found)


def _two_machines(tmp_path: Path, name: str) -> tuple[Recipe, list[subprocess.Popen[str]]]:
    """The same run in a folder of its own."""
    given = recipe(tmp_path, f"run={tmp_path / name}", "devices.parallel=fsdp", steps=STEPS)
    write(given, tmp_path / f"{name}.yaml")
    port = free_port()
    return given, [_machine(tmp_path / f"{name}.yaml", port) for _ in range(2)]


def test_a_killed_process_costs_nothing_but_time(tmp_path):
    whole, machines = _two_machines(tmp_path, "whole")
    for machine in ended(*machines):
        assert machine.code == 0, machine.err
    killed, machines = _two_machines(tmp_path, "killed")
    wait_for_step(11, killed.run, machines[0])
    lost = _child(machines[1])
    os.kill(lost, signal.SIGKILL)
    for machine in ended(*machines):
        assert machine.code == 0, machine.err
    steps = [line["step"] for line in metrics(killed.run) if line["kind"] == "step"]
    assert steps == [line["step"] for line in metrics(whole.run) if line["kind"] == "step"]
    assert_same_weights(weights(killed.run / "model"), weights(whole.run / "model"))
