import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_runs_and_checks_outputs_before_it_times():
    page = (ROOT / "docs" / "benchmarks.md").read_bytes()
    command = [sys.executable, "benchmarks/encode.py", "--size", "nano", "--rounds", "3", "--no-write", "--cases"]
    done = subprocess.run([*command, "32x32", "1x32:bfloat16"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["workload", "32x32", "1x32"]
    assert (ROOT / "docs" / "benchmarks.md").read_bytes() == page


def test_alternating_times_every_contender_and_pairs_the_rounds(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from harness import Timing, alternate, paired_ratio

    calls = []
    timings = alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, most_seconds=60)
    assert calls == ["a", "b"] * 3
    assert all(len(timing.seconds) == 3 for timing in timings.values())
    assert paired_ratio(Timing(seconds=(2.0, 4.0, 9.0)), Timing(seconds=(1.0, 1.0, 3.0))) == pytest.approx(
        (3.0, 2.0, 4.0)
    )
