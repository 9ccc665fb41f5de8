"""Two machines of one process each, as far as one machine can be two: a launcher for each, that meet and start again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from modernbert.core.config import write
from modernbert.train.pretrain import pretrain
from support.runs import ended, free_port, metrics, recipe, wait_for_step, weights

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


def test_a_killed_process_costs_nothing_but_time(tmp_path):
    whole = pretrain(recipe(tmp_path, f"run={tmp_path / 'whole'}", steps=STEPS)).run
    given = recipe(tmp_path, f"run={tmp_path / 'two'}", "devices.parallel=fsdp", steps=STEPS)
    write(given, tmp_path / "two.yaml")
    port = free_port()
    machines = [_machine(tmp_path / "two.yaml", port) for _ in range(2)]
    wait_for_step(11, given.run, machines[0])
    lost = _child(machines[1])
    os.kill(lost, signal.SIGKILL)
    for machine in ended(*machines):
        assert machine.code == 0, machine.err
    steps = [line["step"] for line in metrics(given.run) if line["kind"] == "step"]
    assert steps == [line["step"] for line in metrics(whole) if line["kind"] == "step"]
    expected = weights(whole / "model")
    for name, tensor in weights(given.run / "model").items():
        # Sums of two parts are rounded elsewhere; a step of this rate that was lost or done twice would be ten times as much.
        assert (tensor - expected[name]).abs().max() <= 0.1 * given.optim.lr, name
