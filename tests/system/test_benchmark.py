import subprocess
from pathlib import Path

from support.warm import warm_python

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_runs_and_checks_outputs_before_it_times():
    page = (ROOT / "docs" / "benchmarks.md").read_bytes()
    python = warm_python("transformers.models.modernbert.modeling_modernbert")
    command = [python, "benchmarks/encode.py", "--size", "tiny", "--rounds", "3", "--no-write", "--cases"]
    done = subprocess.run([*command, "32x32", "1x32:bfloat16"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["workload", "32x32", "1x32"]
    assert (ROOT / "docs" / "benchmarks.md").read_bytes() == page
