"""The benchmark on a GPU: outputs are checked equal there, too, before anything is timed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("more", [[], ["--compile"]], ids=["eager", "compiled"])
def test_the_benchmark_runs_against_what_is_installed(more):
    command = [
        sys.executable,
        "benchmarks/encode.py",
        "--device",
        "cuda",
        "--size",
        "tiny",
        "--rounds",
        "3",
        "--no-write",
    ]
    done = subprocess.run([*command, *more, "--cases", "8x512:bfloat16"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 8x512")]
    assert rows[0].endswith("| sdpa |")
