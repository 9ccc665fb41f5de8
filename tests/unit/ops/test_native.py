"""The compiled attention against the reference in float64: every mixture, every window, every head size, both directions."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from modernbert.core.errors import UnsupportedError
from modernbert.ops import _blocked, _reference
from modernbert.ops._native import attend, why_not
from modernbert.ops.native.library import library
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import assert_exact, assert_fp32, assert_half, error
from support.mixtures import MIXTURES, WINDOWS
from support.native import needs_native, on_threads
from support.tiny import BOUNDARIES, random_documents, random_heads

pytestmark = needs_native

STEPS = (127, 128, 129, 255, 256, 257, 512, 513, 600)
"""Around the 256 keys that the kernel takes at once, and the 128 of its backward pass."""
CPU, FP32 = torch.device("cpu"), torch.float32


def pack(lengths):
    return Packed.from_lists(random_documents(lengths))


def float_heads(packed, *, heads=2, size=64, seed=0):
    return tuple(x.float() for x in random_heads(packed, heads=heads, size=size, seed=seed))


def compare(packed, window, **shape):
    heads = random_heads(packed, **shape)
    truth = _reference.attend(*heads, layout=packed, window=window)
    found = attend(*(x.float() for x in heads), layout=packed, window=window)
    assert found.dtype == FP32
    assert_fp32(found, truth)
    upstream = torch.randn_like(truth)
    outputs, gradients = both_ways(attend, [x.float() for x in heads], packed, window, upstream)
    assert_exact(outputs, found)
    for ours, true in zip(gradients, both_ways(_reference.attend, heads, packed, window, upstream)[1], strict=True):
        assert_fp32(ours, true)


def both_ways(run, heads, packed, window, upstream):
    """Outputs, and the gradients of queries, keys and values."""
    heads = [x.detach().clone().requires_grad_() for x in heads]
    out = run(*heads, layout=packed, window=window)
    return out.detach(), torch.autograd.grad(out, heads, upstream.to(out.dtype))


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("lengths", MIXTURES.values(), ids=MIXTURES)
def test_any_mixture_of_documents_gives_the_references_output_and_gradients(lengths, window):
    compare(pack(lengths), window, size=32)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_every_head_size_gives_the_references_output_and_gradients(size, window):
    compare(pack(BOUNDARIES), window, size=size)


@pytest.mark.parametrize("window", [Window.full(), Window.both(64), Window(300, 0), Window(0, 300)], ids=str)
@pytest.mark.parametrize("heads", [1, 3])
def test_documents_of_more_keys_than_one_step_give_the_references_output_and_gradients(heads, window):
    compare(pack(STEPS), window, heads=heads, size=64)


@pytest.mark.parametrize("window", [Window.full(), Window.both(64), Window(3, 5)], ids=str)
def test_bfloat16_is_as_good_as_plain_torch(window):
    packed = pack([12, 400, 9, 9, 130, 1, 33])
    heads = [x.bfloat16() for x in random_heads(packed, size=64)]
    upstream = torch.randn(heads[0].shape).bfloat16()
    found, plain = (both_ways(run, heads, packed, window, upstream) for run in (attend, _reference.attend))
    truth = both_ways(_reference.attend, [x.double() for x in heads], packed, window, upstream)
    assert_exact(found[0], attend(*heads, layout=packed, window=window))
    for ours, rough, true in zip(*((out, *gradients) for out, gradients in (found, plain, truth)), strict=True):
        assert_half(ours, plain=rough, truth=true)


def test_more_threads_than_tasks_or_cores_change_not_one_bit():
    packed = pack([700, 3, 12, 129])
    heads, upstream = float_heads(packed), torch.randn(packed.num_tokens, 2, 64)
    alone = both_ways(attend, heads, packed, Window.both(64), upstream)
    for count in (2, 3, 7):
        with on_threads(count):
            for _ in range(20):  # a race would not show each time
                out, gradients = both_ways(attend, heads, packed, Window.both(64), upstream)
                assert_exact(out, alone[0])
                for found, expected in zip(gradients, alone[1], strict=True):
                    assert_exact(found, expected)


def test_two_threads_of_python_may_call_at_once():
    packed = pack([200, 3, 300])
    batches = [float_heads(packed, seed=seed) for seed in range(4)]
    alone = [attend(*heads, layout=packed, window=Window.full()) for heads in batches]

    def call(number):
        return [attend(*batches[number], layout=packed, window=Window.full()) for _ in range(10)]

    with on_threads(2), ThreadPoolExecutor(4) as threads:
        for number, found in enumerate(threads.map(call, range(4))):
            for out in found:
                assert_exact(out, alone[number])


FORKS = """
import os, sys, torch
from modernbert.ops.attention import attend
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

packed = Packed.from_lists([[1] * 300, [2] * 5])
heads = [torch.randn(305, 2, 64) for _ in range(3)]
torch.set_num_threads(2)
call = lambda: attend(*heads, layout=packed, window=Window.both(64), backend="native")
before = call()
child = os.fork()
if child == 0:
    os._exit(0 if call().tolist() == before.tolist() and call().tolist() == before.tolist() else 1)
assert call().tolist() == before.tolist()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_threads_of_its_own():
    """A data loader's workers are forked; the parent's helpers do not exist there, and must not be waited for."""
    run = subprocess.run([sys.executable, "-c", FORKS], timeout=60, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]


def test_heads_may_be_slices_of_one_matrix_or_anything_else():
    packed = pack([20, 130])
    qkv = torch.randn(packed.num_tokens, 3, 2, 64)
    truth = _reference.attend(*qkv.double().unbind(1), layout=packed, window=Window.both(8))
    slices = qkv.unbind(1)
    by_head = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in slices]
    apart = [slices[0].clone(), slices[1], slices[2].repeat(1, 1, 2)[..., :64]]
    every_second = [x.repeat_interleave(2, dim=2)[..., ::2] for x in slices]
    for heads in (slices, by_head, apart, every_second):
        assert_fp32(attend(*heads, layout=packed, window=Window.both(8)), truth)


def test_gradients_reach_one_matrix_through_its_slices_whatever_the_gradients_strides():
    packed = pack([20, 130])
    qkv = torch.randn(packed.num_tokens, 3, 2, 64, dtype=torch.float64)
    upstream = torch.randn(2, packed.num_tokens, 64, dtype=torch.float64).transpose(0, 1)
    found = []
    for run, dtype in ((attend, FP32), (_reference.attend, torch.float64)):
        joint = qkv.to(dtype).requires_grad_()
        run(*joint.unbind(1), layout=packed, window=Window.both(8)).backward(upstream.to(dtype))
        found.append(joint.grad)
    assert_fp32(*found)


def test_only_what_is_asked_for_gets_a_gradient():
    packed = pack([40])
    q, k, v = float_heads(packed)
    attend(q, k, v.requires_grad_(), layout=packed, window=Window.full()).sum().backward()
    assert q.grad is None
    assert bool(v.grad.isfinite().all())


def test_a_second_derivative_is_never_zero_silently():
    packed = pack([40])
    q, k, v = float_heads(packed)
    out = attend(q.requires_grad_(), k, v, layout=packed, window=Window.full())
    with pytest.raises(UnsupportedError, match="take backend='reference', the only one that has a second"):
        torch.autograd.grad(out.sum(), q, create_graph=True)


def test_its_inputs_stay_as_they_were():
    packed = pack([20, 130])
    heads = float_heads(packed)
    kept = [x.clone() for x in heads]
    attend(*heads, layout=packed, window=Window.both(8))
    for after, before in zip(heads, kept, strict=True):
        assert_exact(after, before)


# ---------------------------------------------------------------- numbers at the edge


@pytest.mark.parametrize("window", [Window.full(), Window.both(64)], ids=["full", "64"])
def test_large_scores_are_as_exact_as_plain_torch_and_never_overflow(window):
    """With scores in the thousands attention picks single keys, and naive exponentials would be infinite."""
    packed = pack([300, 65])
    q, k, v = random_heads(packed, size=64)
    heads = (500 * q).float(), k.float(), v.float()
    truth = _reference.attend(*(x.double() for x in heads), layout=packed, window=window)
    plain = _reference.attend(*heads, layout=packed, window=window)
    found = attend(*heads, layout=packed, window=window)
    assert bool(found.isfinite().all())
    assert error(found, truth) <= 2 * error(plain, truth) + 1e-5
    upstream = torch.randn_like(truth)
    gradients = [
        both_ways(run, [x.to(dtype) for x in heads], packed, window, upstream)[1]
        for run, dtype in ((attend, FP32), (_blocked.attend, FP32), (_reference.attend, torch.float64))
    ]
    for ours, torchs, true in zip(
        *gradients, strict=True
    ):  # torch's fused kernel, too, takes weights' mean from the output
        assert bool(ours.isfinite().all())
        assert error(ours, true) <= 2 * error(torchs, true) + 1e-5


def test_scores_that_fall_by_hundreds_from_step_to_step_leave_no_trace_of_the_small_ones():
    packed = pack([600])
    q, k, v = (x.clone() for x in random_heads(packed, heads=1, size=32))
    q[:], k[:] = 1, 0
    k[:256], k[256:512] = -30, 20  # scores of -170, then 113, then 0
    truth = _reference.attend(q, k, v, layout=packed, window=Window.full())
    assert_fp32(attend(q.float(), k.float(), v.float(), layout=packed, window=Window.full()), truth)


def test_all_scores_infinitely_small_but_one_give_that_ones_value():
    packed = pack([70])
    q, k, v = float_heads(packed, heads=1, size=32)
    q[:], k[:] = 1, -torch.inf
    k[33] = 0
    out = attend(q, k, v, layout=packed, window=Window.full())
    assert_exact(out, v[33].expand_as(out))


def test_what_is_no_number_stays_in_its_document():
    packed = pack([50, 70, 13])
    clean = attend(*float_heads(packed), layout=packed, window=Window.both(8))
    for which in range(3):
        heads = float_heads(packed)
        heads[which][50 + 30] = torch.nan
        before, hit, after = packed.split(attend(*heads, layout=packed, window=Window.both(8)))
        assert bool(hit.isnan().any())
        assert_exact(before, clean[:50])
        assert_exact(after, clean[120:])
        ones = torch.ones_like(clean)
        gradients = [both_ways(attend, some, packed, Window.both(8), ones)[1] for some in (heads, float_heads(packed))]
        assert any(bool(found.isnan().any()) for found in gradients[0])
        for found, expected in zip(*gradients, strict=True):
            assert_exact(found[:50], expected[:50])
            assert_exact(found[120:], expected[120:])


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, None),
        ({"device": torch.device("meta")}, "it needs a CPU: found meta"),
        ({"dtype": torch.bfloat16}, None),
        ({"dtype": torch.float16}, "it computes in float32 and bfloat16: found float16"),
        ({"dtype": torch.float64}, "it computes in float32 and bfloat16: found float64"),
        ({"head_size": 24}, "it takes heads of multiples of {panel} up to 128: found 24"),
        ({"head_size": 160}, "it takes heads of multiples of {panel} up to 128: found 160"),
        ({"has_holes": True}, "documents with holes need positions, which it does not look at"),
        ({"dropout": 0.1}, "it has no attention dropout"),
    ],
)
def test_it_says_what_it_does_not_do(changes, sentence):
    request = {"device": CPU, "dtype": FP32, "head_size": 64, "has_holes": False, "dropout": 0.0}
    assert why_not(**request | changes) == (sentence and sentence.format(panel=library().panel))


def test_a_compiled_graph_does_not_hold_it(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert why_not(CPU, FP32, 64, False, 0.0) == "a compiled graph cannot hold it"


THREADS = """
import os, torch
from modernbert.ops.attention import attend
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window

torch.set_num_threads(3)
torch.randn(512, 512) @ torch.randn(512, 512)
torch.randn(3000, 512).add_(1)                         # whichever of them starts threads
before = len(os.listdir("/proc/self/task"))
packed = Packed.from_lists([[1] * 300] * 4)
heads = [torch.randn(1200, 2, 64, requires_grad=True) for _ in range(3)]
attend(*heads, layout=packed, window=Window.full(), backend="native").sum().backward()
print(before, len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif("OpenMP" not in torch.__config__.parallel_info(), reason="this PyTorch has other threads")
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted where Linux shows them")
def test_they_compute_in_torchs_threads_which_spin_on_the_cores_in_between():
    run = subprocess.run([sys.executable, "-c", THREADS], timeout=60, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    before, after = map(int, run.stdout.split())
    assert before >= 3
    assert after == before
