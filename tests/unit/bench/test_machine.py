import torch

from modernbert.bench.machine import examine
from modernbert.model.precision import best_precision
from modernbert.ops.attention import choose
from modernbert.ops.roofline import matmul_rate


def test_it_reports_what_the_rooms_below_would_choose():
    found = examine()
    precision = best_precision(found.device)
    assert (found.dtype, found.dtype_reason) == (precision.name, precision.reason)
    assert found.attention == choose(torch.device(found.device), precision.dtype, 64)
    assert found.backends[found.attention] == "usable"
    assert found.packages["torch"] == torch.__version__
    assert found.as_dict()["gflops"] > 0
    assert any(found.dtype_reason in line for line in found.lines())


def test_the_matrix_rate_is_between_a_snail_and_a_miracle():
    assert 1e8 < matmul_rate(seconds=0.05) < 1e15
