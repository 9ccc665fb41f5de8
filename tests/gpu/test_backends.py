"""The attention of a GPU against the reference: half precision by the half rule, boundaries to the token."""

import copy

import pytest
import torch

from modernbert.ops.attention import attend, choose
from modernbert.ops.loss import masked_cross_entropy
from modernbert.ops.packed import Packed
from modernbert.ops.rope import Rope
from modernbert.ops.window import Window
from support.close import assert_fp32, assert_half, error
from support.tiny import BOUNDARIES, our_twin, padded, random_documents, random_heads, stock_twin, tiny_config

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("unchecked")]  # FlexAttention is compiled: see conftest.backend

DEVICE = "cuda"
BF16, FP16 = torch.bfloat16, torch.float16
WINDOWS = {"full": Window.full(), "64": Window.both(64), "3 back, 5 ahead": Window(3, 5), "itself": Window(0, 0)}
MIXTURES = {
    "boundaries": BOUNDARIES,
    "a long one among tweets": (12, 1500, 9, 1, 30),
    "empty among them": (0, 5, 0, 0, 300, 0),
    "one token": (1,),
}

any_backend = pytest.mark.parametrize("which", ["varlen", "flex", "blocked"])
any_window = pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)


def on_device(packed, dtype, size=64):
    return [x.to(DEVICE, dtype) for x in random_heads(packed, size=size)]


def with_gradients(heads, packed, window, which, upstream):
    heads = [x.detach().requires_grad_() for x in heads]
    out = attend(*heads, layout=packed, window=window, backend=which)
    return [out.detach(), *torch.autograd.grad(out, heads, upstream.to(out.dtype))]


def compare_half(packed, window, which, dtype):
    heads = on_device(packed, dtype)
    upstream = torch.randn_like(heads[0])
    found = with_gradients(heads, packed, window, which, upstream)
    plain = with_gradients(heads, packed, window, "reference", upstream)
    truth = with_gradients([x.double() for x in heads], packed, window, "reference", upstream)
    for ours, rough, true in zip(found, plain, truth, strict=True):
        assert_half(ours, plain=rough, truth=true)


@any_backend
@any_window
@pytest.mark.parametrize("dtype", [BF16, FP16])
def test_half_precision_is_as_good_as_plain_torch_forward_and_backward(which, window, dtype):
    compare_half(Packed.from_lists(random_documents(BOUNDARIES), device=DEVICE), window, which, dtype)


@any_backend
@pytest.mark.parametrize("lengths", MIXTURES.values(), ids=MIXTURES)
def test_any_mixture_of_documents_is_as_good_as_plain_torch(which, lengths):
    compare_half(Packed.from_lists(random_documents(lengths), device=DEVICE), Window.both(64), which, BF16)


@pytest.mark.parametrize("which", ["flex", "blocked"])
def test_holes_are_as_good_as_plain_torch(which):
    mask = torch.ones(2, 300)
    mask[1, 20:260] = 0
    packed = Packed.from_padded(torch.ones(2, 300).long(), mask).to(DEVICE)
    compare_half(packed, Window.both(64), which, BF16)
    compare_half(packed, Window.full(), which, BF16)


@pytest.mark.parametrize("which", ["flex", "blocked"])
@any_window
def test_float32_is_as_exact_as_float32_can_be(which, window):
    packed = Packed.from_lists(random_documents(BOUNDARIES), device=DEVICE)
    heads = on_device(packed, torch.float32)
    truth = attend(*(x.double() for x in heads), layout=packed, window=window, backend="reference")
    assert_fp32(attend(*heads, layout=packed, window=window, backend=which), truth)


@any_backend
@pytest.mark.parametrize("side", [-1, 1], ids=["before", "after"])
def test_a_key_64_tokens_away_matters_and_one_65_away_does_not(which, side):
    packed = Packed.from_lists(random_documents([40, 300]), device=DEVICE)
    q, k, v = on_device(packed, BF16)
    query = 40 + 150

    def run():
        return attend(q, k, v, layout=packed, window=Window.both(64), backend=which)[query]

    before = run()
    for distance, matters in [(64, True), (65, False)]:
        for changed in (k, v):
            kept = changed[query + side * distance].clone()
            changed[query + side * distance] += 8
            assert (not torch.equal(run(), before)) == matters
            changed[query + side * distance] = kept


@any_backend
@pytest.mark.parametrize("side", [-1, 1], ids=["before", "after"])
def test_a_gradient_reaches_64_tokens_and_not_65(which, side):
    packed = Packed.from_lists(random_documents([40, 300]), device=DEVICE)
    q, k, v = (x.requires_grad_() for x in on_device(packed, BF16))
    query = 40 + 150
    attend(q, k, v, layout=packed, window=Window.both(64), backend=which)[query].sum().backward()
    for reached in (k.grad, v.grad):
        assert bool(reached[query + side * 64].any())
        assert not bool(reached[query + side * 65].any())


@any_backend
def test_changing_a_document_changes_no_other(which):
    packed = Packed.from_lists(random_documents([3, 200, 64, 500]), device=DEVICE)
    heads = on_device(packed, BF16)
    before = packed.split(attend(*heads, layout=packed, window=Window.full(), backend=which))
    for x in heads:
        x[3:203] += 1
    after = packed.split(attend(*heads, layout=packed, window=Window.full(), backend=which))
    assert [torch.equal(a, b) for a, b in zip(after, before, strict=True)] == [True, False, True, True]


def test_a_gpu_takes_varlen_and_flex_where_varlen_cannot():
    device = torch.device(DEVICE)
    if torch.cuda.get_device_capability() >= (8, 0):
        assert choose(device, BF16, 64) == "varlen"
    assert choose(device, torch.float32, 64) == "flex"
    assert choose(device, BF16, 64, has_holes=True) == "flex"
    assert choose(device, BF16, 64, dropout=0.1) == "blocked"


@pytest.mark.parametrize("which", ["auto", "flex", "blocked"])
def test_the_whole_encoder_in_bfloat16_is_as_good_as_plain_torch(which):
    config = tiny_config()
    encoder = our_twin(stock_twin(config, "ModernBertModel"), config).to(DEVICE, BF16)
    packed = Packed.from_lists(random_documents([*BOUNDARIES, 700]), device=DEVICE)
    with torch.no_grad():
        found, plain = (encoder(packed, backend=name) for name in (which, "reference"))
        truth = encoder.double()(packed, backend="reference")
    ours, theirs = (float((x.double() - truth).abs().mean()) for x in (found, plain))
    assert ours <= 1.2 * theirs


def test_the_whole_encoder_in_bfloat16_is_as_good_as_stock_sdpa_on_the_same_gpu():
    config = tiny_config()
    truth_model = copy.deepcopy(stock_twin(config, "ModernBertModel")).to(DEVICE)
    documents = random_documents([*BOUNDARIES, 700])
    ids, mask = (x.to(DEVICE) for x in padded(documents))
    is_real = mask.bool()
    half = copy.deepcopy(truth_model).to(BF16)
    half.set_attn_implementation("sdpa")
    encoder = our_twin(truth_model, config).to(DEVICE, BF16)
    with torch.no_grad():
        truth = truth_model(input_ids=ids, attention_mask=mask).last_hidden_state[is_real]
        stock = half(input_ids=ids, attention_mask=mask).last_hidden_state[is_real]
        ours = encoder(Packed.from_lists(documents, device=DEVICE))
    off, theirs = (float((x.double() - truth).abs().mean()) for x in (ours, stock))
    assert off <= 1.2 * theirs


def test_rotation_and_loss_are_the_cpus():
    positions = torch.tensor([0, 1, 64, 8191])
    heads = torch.randn(4, 2, 3, 16)
    here, there = (
        Rope.at(positions.to(device), theta=1e4, head_size=16, longest=8192)(heads.to(device)).cpu()
        for device in ("cpu", DEVICE)
    )
    assert error(there, here.double()) < 1e-3, "float32 angles: a GPU rounds cosines of thousands otherwise than a CPU"
    hidden, weight = torch.randn(50, 16, dtype=torch.float64), torch.randn(70, 16, dtype=torch.float64)
    targets = torch.randint(0, 70, (50,))
    sums = [
        masked_cross_entropy(hidden.to(device), targets.to(device), weight.to(device), z_loss=1e-3).loss_sum.cpu()
        for device in ("cpu", DEVICE)
    ]
    assert error(sums[1], sums[0]) < 1e-12
