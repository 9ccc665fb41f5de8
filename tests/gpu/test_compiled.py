"""What is compiled for a GPU: one graph for every layout, and the numbers of eager code. Programs of their own: see conftest."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

TESTS = Path(__file__).parents[1]


def stdout_of(*words):
    run = subprocess.run([sys.executable, *words], cwd=TESTS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize(("what", "num_graphs"), [("halves", 3), ("whole", 1)])
def test_no_layout_of_documents_makes_a_graph_of_its_own(what, mode, num_graphs):
    assert int(stdout_of("-m", "support.compiled", what, mode, "inductor", "cuda", "bfloat16")) == num_graphs


FLEX = """
import torch
from modernbert.model.encoder import Encoder, encode
from modernbert.ops.packed import Packed
from support.compiled import CONFIG

torch.manual_seed(0)
encoder = Encoder(CONFIG).cuda()
packed = Packed.from_lists([[1] * 100, [2] * 7, [3] * 300], device="cuda")
eager = encode(encoder, packed)
compiled = torch.compile(encode, fullgraph=True)(encoder, packed)
compiled.pow(2).mean().backward()
assert all(bool(parameter.grad.isfinite().all()) for parameter in encoder.parameters())
torch.testing.assert_close(compiled, eager, atol=1e-4, rtol=1e-4)
"""


def test_float32_which_runs_through_flex_compiles_into_one_graph():
    stdout_of("-c", FLEX)
