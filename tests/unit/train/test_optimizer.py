"""Groups, rates, norms; and that a run which was saved goes on as if it never stopped, bit for bit."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

from modernbert.core.errors import ConfigError
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.config import AdamW, Muon, StableAdamW
from modernbert.train.optimizer import clip, global_grad_norm, make_optimizer, set_rates
from support import sharded
from support.close import error
from support.sharded import SETTINGS, small, train
from support.tiny import tiny_config

KINDS = pytest.mark.parametrize("kind", SETTINGS)


def _names(model, group):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


@KINDS
def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay(kind):
    model = fresh(tiny_config(decoder_bias=True), MaskedLM)
    groups = make_optimizer(model, SETTINGS[kind]).param_groups
    spared = {name for group in groups if not group["weight_decay"] for name in _names(model, group)}
    decayed = {name for group in groups if group["weight_decay"] for name in _names(model, group)}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert spared | decayed == {name for name, _ in model.named_parameters()}
    assert spared == {name for name, _ in model.named_parameters() if "norm" in name or name.endswith("bias")}
    assert "model.embeddings.tok_embeddings.weight" in decayed
    assert "decoder.weight" not in decayed  # it is the embedding


def test_muon_takes_the_matrices_of_the_layers_by_how_many_they_hold():
    model = fresh(tiny_config(), MaskedLM)
    groups = {group.get("matrices"): _names(model, group) for group in make_optimizer(model, Muon()).param_groups[:3]}
    layers = [f"model.layers.{number}" for number in range(4)]
    assert groups == {
        1: {f"{layer}.{part}.Wo.weight" for layer in layers for part in ("attn", "mlp")},
        2: {f"{layer}.mlp.Wi.weight" for layer in layers},
        3: {f"{layer}.attn.Wqkv.weight" for layer in layers},
    }


@pytest.mark.parametrize("kind", [StableAdamW, Muon])
def test_embeddings_may_have_a_rate_of_their_own_and_decay_as_the_others_do(kind):
    model = fresh(tiny_config(), MaskedLM)
    before = {name: parameter.detach().double().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, kind(lr=1e-2, embeddings=0.25))
    rates = {name: group["lr"] for group in optimizer.param_groups for name in _names(model, group)}
    assert rates.pop("model.embeddings.tok_embeddings.weight") == 0.25e-2
    assert set(rates.values()) == {1e-2}
    assert set(rates) == {name for name in before if "tok_embeddings" not in name}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_rates(optimizer, 1e-2, peak=1e-2, weight_decay=0.5)
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert error(parameter, (0.5 if parameter.ndim > 1 else 1.0) * before[name]) < 1e-7


@pytest.mark.parametrize("kind", [StableAdamW, Muon])
def test_embeddings_at_no_rate_are_refused(kind):
    with pytest.raises(ConfigError, match=r"embeddings is 0\.0, expected their rate in learning rates, above 0"):
        kind(embeddings=0.0)


@KINDS
def test_what_is_frozen_is_left_out(kind):
    model = small()
    model.embeddings.weight.requires_grad_(False)
    held = {id(p) for group in make_optimizer(model, SETTINGS[kind]).param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p is not model.embeddings.weight}


def test_a_group_that_would_be_empty_is_none():
    assert len(make_optimizer(nn.Linear(2, 2, bias=False), StableAdamW()).param_groups) == 1


@KINDS
@pytest.mark.parametrize(("lr", "peak"), [(8e-4, 8e-4), (4e-4, 8e-4), (1.5e-4, 3e-4)])
def test_decay_is_a_share_of_this_stages_peak(kind, lr, peak):
    """With gradients of zero only the decay is left; halfway to the peak it is half, whatever the peak."""
    model = small()
    before = {name: parameter.detach().double().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model, SETTINGS[kind])
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_rates(optimizer, lr, peak=peak, weight_decay=0.5)
    optimizer.step()
    for name, parameter in model.named_parameters():
        share = 1 - 0.5 * lr / peak if parameter.ndim > 1 else 1.0
        assert error(parameter, share * before[name]) < 1e-7


def test_adamw_is_torchs_with_the_decay_of_the_reference():
    ours, theirs = small(), small()
    optimizer = make_optimizer(ours, AdamW(lr=1e-2, weight_decay=1e-3, clip=None))
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.98), eps=1e-6, foreach=False)
    for step in range(10):
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            its.grad = mine.grad.clone()
        lr = 1e-2 * (1 - step / 20)
        set_rates(optimizer, lr, peak=1e-2, weight_decay=1e-3)
        for group in plain.param_groups:
            group["lr"] = lr
        optimizer.step()
        plain.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert error(mine, its.detach().double()) < 1e-6


@KINDS
def test_making_an_optimizer_changes_nothing_and_counts_nothing(kind):
    model = small()
    model.embeddings.weight.grad = torch.ones_like(model.embeddings.weight)
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(model, SETTINGS[kind])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["embeddings.weight"]
    assert all(not tensor.any() for own in optimizer.state.values() for tensor in own.values())
    assert len(optimizer.state) == len(list(model.parameters()))
    assert all(group["lr"] == SETTINGS[kind].lr for group in optimizer.param_groups)


@KINDS
def test_asking_for_the_state_before_the_first_step_changes_nothing(kind):
    settings = SETTINGS[kind]
    asked, plain = small(), small()
    optimizer = make_optimizer(asked, settings)
    get_optimizer_state_dict(asked, optimizer)
    train(asked, optimizer, settings, range(3))
    train(plain, make_optimizer(plain, settings), settings, range(3))
    _assert_same_weights(asked, plain)


@KINDS
@pytest.mark.parametrize("way", ["own", "memory", "disk"])
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")  # it is told so with no_dist
def test_five_steps_then_five_are_ten_bit_for_bit(kind, way, tmp_path):
    settings = SETTINGS[kind]
    whole = small()
    train(whole, make_optimizer(whole, settings), settings, range(10))

    first = small()
    optimizer = make_optimizer(first, settings)
    train(first, optimizer, settings, range(5))
    resumed = small()
    resumed.load_state_dict(first.state_dict())
    again = make_optimizer(resumed, settings)
    if way == "own":
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    elif way == "memory":
        set_optimizer_state_dict(resumed, again, copy.deepcopy(get_optimizer_state_dict(first, optimizer)))
    else:
        dcp.save({"optimizer": get_optimizer_state_dict(first, optimizer)}, checkpoint_id=tmp_path, no_dist=True)
        state = get_optimizer_state_dict(resumed, again)
        dcp.load({"optimizer": state}, checkpoint_id=tmp_path, no_dist=True)
        set_optimizer_state_dict(resumed, again, state)
    train(resumed, again, settings, range(5, 10))
    _assert_same_weights(resumed, whole)
    for left, right in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert left.grad is right.grad is None


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        (StableAdamW(betas=(0.9, 0.98)), StableAdamW(betas=(0.8, 0.95), eps=1e-8), ("betas", "eps")),
        (AdamW(betas=(0.9, 0.98)), AdamW(betas=(0.8, 0.95), eps=1e-8), ("betas", "eps")),
        (Muon(momentum=0.95), Muon(momentum=0.9), ("momentum",)),
    ],
    ids=["stable-adamw", "adamw", "muon"],
)
def test_a_loaded_history_does_not_bring_its_settings(old, new, fields):
    first, second = small(), small()
    before, after = make_optimizer(first, old), make_optimizer(second, new)
    train(first, before, old, range(2))
    set_optimizer_state_dict(second, after, copy.deepcopy(get_optimizer_state_dict(first, before)))
    for field in fields:
        found = {group[field] for group in after.param_groups if field in group}
        assert found == {getattr(new, field)}
    assert any(tensor.any() for own in after.state.values() for tensor in own.values())


def test_the_norm_is_over_all_gradients_and_clipping_scales_them_together():
    model = small()
    parameters = [p for p in model.parameters() if p is not model.last.bias]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    truth = torch.cat([p.grad.double().flatten() for p in parameters]).norm()
    norm = global_grad_norm(model.parameters())
    assert error(norm, truth) < 1e-6
    before = [p.grad.double().clone() for p in parameters]
    clip(model.parameters(), norm, 2 * float(norm))
    assert all(torch.equal(p.grad.double(), old) for p, old in zip(parameters, before, strict=True))
    clip(model.parameters(), norm, 0.5)
    assert all(error(p.grad, old * 0.5 / truth) < 1e-6 for p, old in zip(parameters, before, strict=True))


@KINDS
def test_nothing_is_read_back_from_the_device(kind):
    """On the meta device reading a number is an error; on a GPU it would be a wait."""
    model = small().to("meta")
    optimizer = make_optimizer(model, SETTINGS[kind])
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    clip(model.parameters(), global_grad_norm(model.parameters()), 1.0)
    optimizer.step()
    with pytest.raises(RuntimeError, match="meta"):
        float(model.last.bias)


def test_without_gradients_the_norm_is_zero():
    assert float(global_grad_norm(small().parameters())) == 0.0


def test_two_devices_with_shards_train_what_one_trains(tmp_path):
    """FSDP2 over two processes, with rows that cannot be shared evenly."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(sharded.__file__)), str(tmp_path)]
    ranks = [
        subprocess.Popen([*command, str(rank), "2"], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    for process in ranks:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    for kind, settings in SETTINGS.items():
        alone = small()
        norms = train(alone, make_optimizer(alone, settings), settings, range(10))
        together = torch.load(tmp_path / f"{kind}.pt")
        assert together["norms"] == pytest.approx(norms, rel=1e-5)
        for name, parameter in alone.named_parameters():
            assert error(together["weights"][name], parameter.detach().double()) < 1e-5, (kind, name)


def _assert_same_weights(left, right):
    for (name, mine), its in zip(left.named_parameters(), right.parameters(), strict=True):
        assert torch.equal(mine, its), f"{name} differs by {float((mine - its).detach().abs().max()):.1e}"
