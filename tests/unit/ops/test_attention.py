"""The door: which backend runs, why another cannot, and what all of them must do alike."""

from types import SimpleNamespace

import pytest
import torch

from modernbert.core.errors import UnsupportedError
from modernbert.ops.attention import attend, choose, why_not
from modernbert.ops.native.library import why_not as no_kernels
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import assert_fp32
from support.tiny import BOUNDARIES, random_documents, random_heads

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
AMPERE, TURING = 8, 7
CPU_FASTEST = "blocked" if no_kernels() else "native"

WINDOWS = {
    "full": Window.full(),
    "64 each side": Window.both(64),
    "3 back, 5 ahead": Window(3, 5),
    "70 back, none ahead": Window(70, 0),
    "itself alone": Window(0, 0),
}


# ---------------------------------------------------------------- every backend, one meaning


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_exactly_the_keys_of_the_window_have_weight(backend, window):
    """Values are unit vectors, so what comes out is the matrix of attention weights itself."""
    packed = Packed.from_lists(random_documents([5, 150, 64, 0, 1]))
    weights = attention_weights(packed, window, backend)
    document, position = packed.documents, packed.positions
    seen = (document[:, None] == document) & window.allows(position[:, None], position)
    assert torch.equal(weights != 0, seen)
    assert_fp32(weights.sum(1), torch.ones(packed.num_tokens).double())


@pytest.mark.parametrize("which", ["reference", "blocked", "flex"])
def test_a_window_counts_columns_across_a_hole(which, unchecked):
    mask = torch.ones(2, 150)
    mask[0, 30:70] = 0
    packed = Packed.from_padded(torch.ones(2, 150).long(), mask)
    weights = attention_weights(packed, Window(40, 10), which)
    first = packed.positions[:110]
    ahead = first - first[:, None]
    assert torch.equal(weights[:110, :110] != 0, (ahead >= -40) & (ahead <= 10))
    assert not bool(weights[:110, 110:].any())


@pytest.mark.parametrize("side", [-1, 1], ids=["before", "after"])
def test_a_key_64_tokens_away_matters_and_one_65_away_does_not(backend, side):
    packed = Packed.from_lists(random_documents([40, 300]))
    q, k, v = (x.float() for x in random_heads(packed, size=32))
    query = 40 + 150
    before = attend(q, k, v, layout=packed, window=Window.both(64), backend=backend)[query]
    for distance, matters in [(64, True), (65, False)]:
        for changed in (k, v):
            kept = changed[query + side * distance].clone()
            changed[query + side * distance] += 1
            after = attend(q, k, v, layout=packed, window=Window.both(64), backend=backend)[query]
            changed[query + side * distance] = kept
            assert (not torch.equal(after, before)) == matters


@pytest.mark.parametrize("which", ["reference", "blocked"])
@pytest.mark.parametrize("side", [-1, 1], ids=["before", "after"])
def test_a_gradient_reaches_64_tokens_and_not_65(which, side):
    packed = Packed.from_lists(random_documents([40, 300]))
    q, k, v = (x.requires_grad_() for x in random_heads(packed))
    query = 40 + 150
    attend(q, k, v, layout=packed, window=Window.both(64), backend=which)[query].sum().backward()
    for reached in (k.grad, v.grad):
        assert bool(reached[query + side * 64].any())
        assert not bool(reached[query + side * 65].any())
    assert q.grad.flatten(1).any(1).nonzero().tolist() == [[query]]


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_backend_is_as_exact_as_float32_can_be(backend, window):
    packed = Packed.from_lists(random_documents(BOUNDARIES))
    q, k, v = random_heads(packed, size=32)
    truth = attend(q, k, v, layout=packed, window=window, backend="reference")
    found = attend(q.float(), k.float(), v.float(), layout=packed, window=window, backend=backend)
    assert found.dtype == FP32
    assert_fp32(found, truth)


def test_no_token_gives_no_output(backend):
    packed = Packed.from_lists([[], []])
    nothing = torch.zeros(0, 2, 32)
    assert attend(nothing, nothing, nothing, layout=packed, window=Window.both(1), backend=backend).shape == (0, 2, 32)


def test_heads_may_be_slices_of_one_matrix(backend):
    packed = Packed.from_lists(random_documents([20, 130]))
    qkv = torch.randn(packed.num_tokens, 3, 2, 32)
    q, k, v = qkv.unbind(1)
    truth = attend(q.double(), k.double(), v.double(), layout=packed, window=Window.both(8), backend="reference")
    assert_fp32(attend(q, k, v, layout=packed, window=Window.both(8), backend=backend), truth)


def test_auto_on_a_cpu_is_native_where_that_can_run_and_blocked_elsewhere():
    packed = Packed.from_lists(random_documents([20, 130]))
    q, k, v = (x.float() for x in random_heads(packed, size=32))
    for heads, name in [((q, k, v), CPU_FASTEST), ((q.double(), k.double(), v.double()), "blocked")]:
        auto, named = (attend(*heads, layout=packed, window=Window.both(8), backend=which) for which in ("auto", name))
        assert torch.equal(auto, named)


# ---------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("device", "dtype", "head_size", "capability", "has_holes", "dropout", "chosen"),
    [
        (CPU, FP32, 64, None, False, 0.0, CPU_FASTEST),
        (CPU, FP32, 160, None, False, 0.0, "blocked"),
        (CPU, FP32, 64, None, True, 0.0, "blocked"),
        (CPU, FP32, 64, None, False, 0.1, "blocked"),
        (CPU, BF16, 64, None, True, 0.1, "blocked"),
        (torch.device("mps"), FP32, 64, None, False, 0.0, "blocked"),
        (CUDA, BF16, 64, AMPERE, False, 0.0, "varlen"),
        (CUDA, FP16, 64, AMPERE, False, 0.0, "varlen"),
        (CUDA, BF16, 64, TURING, False, 0.0, "flex"),
        (CUDA, FP32, 64, AMPERE, False, 0.0, "flex"),
        (CUDA, BF16, 36, AMPERE, False, 0.0, "flex"),
        (CUDA, BF16, 64, AMPERE, True, 0.0, "flex"),
        (CUDA, BF16, 64, AMPERE, False, 0.1, "blocked"),
    ],
)
def test_the_fastest_backend_that_can_is_chosen(
    device, dtype, head_size, capability, has_holes, dropout, chosen, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability))
    assert choose(device, dtype, head_size, has_holes, dropout) == chosen


@pytest.mark.parametrize(
    ("backend", "device", "dtype", "head_size", "capability", "has_holes", "dropout", "reason"),
    [
        ("varlen", CPU, BF16, 64, AMPERE, False, 0.0, "it needs a CUDA device, found cpu"),
        ("varlen", CUDA, BF16, 64, TURING, False, 0.0, "it needs a GPU of compute capability 8.0 (Ampere) or newer"),
        ("varlen", CUDA, FP32, 64, AMPERE, False, 0.0, "it takes bfloat16 or float16, found torch.float32"),
        ("varlen", CUDA, BF16, 36, AMPERE, False, 0.0, "it takes head sizes that are multiples of 8 up to 256, found 36"),
        ("varlen", CUDA, BF16, 264, AMPERE, False, 0.0, "it takes head sizes that are multiples of 8 up to 256, found 264"),
        ("varlen", CUDA, BF16, 64, AMPERE, True, 0.0, "its window counts stream places, and this padded batch has holes"),
        ("varlen", CUDA, BF16, 64, AMPERE, False, 0.1, "it has no attention dropout"),
        ("varlen", CUDA, BF16, 64, AMPERE, False, 0.0, None),
        ("flex", CUDA, BF16, 64, AMPERE, False, 0.1, "it has no attention dropout"),
        ("flex", CPU, FP32, 64, None, True, 0.0, None),
        ("blocked", CPU, FP32, 64, None, True, 0.5, None),
        ("reference", CUDA, FP32, 64, TURING, True, 0.5, None),
        ("flash", CPU, FP32, 64, None, False, 0.0,
         "there is no such backend (known: reference, native, blocked, varlen, flex)"),
    ],
)  # fmt: skip
def test_a_backend_says_why_it_cannot(
    backend, device, dtype, head_size, capability, has_holes, dropout, reason, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability))
    assert why_not(backend, device, dtype, head_size, has_holes, dropout) == reason


@pytest.mark.parametrize(
    ("name", "dropout", "reason"),
    [
        ("varlen", 0.0, "it needs a CUDA device, found cpu"),
        ("flex", 0.1, "it has no attention dropout"),
        ("flash", 0.0, r"there is no such backend \(known: reference, native, blocked, varlen, flex\)"),
    ],
)
def test_asking_for_a_backend_that_cannot_run_is_refused(name, dropout, reason, unchecked):
    packed = Packed.from_lists([[1, 2]])
    q, k, v = random_heads(packed)
    with pytest.raises(
        UnsupportedError, match=f"attention backend '{name}' cannot run here: {reason}; use backend='auto'"
    ):
        attend(q, k, v, layout=packed, window=Window.full(), backend=name, dropout=dropout)


def attention_weights(packed, window, backend):
    """[T, T]. A head's values are 128 unit vectors, which every backend takes, so it needs some heads to show all tokens."""
    heads = -(-packed.num_tokens // 128)
    q, k, _ = (x.float().expand(-1, heads, -1) for x in random_heads(packed, heads=1, size=128))
    unit_vectors = torch.eye(packed.num_tokens, heads * 128).unflatten(1, (heads, 128))
    weights = attend(q / 4, k, unit_vectors, layout=packed, window=window, backend=backend)
    return weights.flatten(1)[:, : packed.num_tokens]
