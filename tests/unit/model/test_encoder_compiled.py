"""One graph for every layout of documents: by `compiles`, and by torch.compile around the whole of `encode`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("what", "mode", "num_graphs"), [("halves", "training", 3), ("whole", "training", 1), ("whole", "inference", 1)]
)
def test_no_layout_of_documents_makes_a_graph_of_its_own(what, mode, num_graphs):
    """The first layer has no norm, so one half has two graphs. The CUDA kernel has a stand-in around which all is real."""
    words = [sys.executable, "-m", "support.compiled", what, mode, "eager", "cpu", "float32"]
    run = subprocess.run(
        words, cwd=TESTS, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert int(run.stdout) == num_graphs
