"""A training step on a GPU against the same step on the CPU."""

from pathlib import Path

import pytest
import torch

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Loader
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh
from modernbert.train.config import Devices, Muon, StableAdamW
from modernbert.train.step import Trainer
from modernbert.train.world import World
from support.tiny import random_documents, tiny_config

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("unchecked")]

VOCABULARY = Vocabulary(
    size=320, num_ordinary=300, cls_id=1, sep_id=2, pad_id=0, mask_id=3, special_ids=frozenset({0, 1, 2, 3})
)


def _losses(device, devices, optim, *, steps=5):
    documents = InMemory(random_documents([20, 130, 7, 64, 12, 33, 90, 300, 511], seed=4), VOCABULARY)
    rows = Rows(length=Tokens(512), room=Tokens(1024), look_ahead=8)
    model = fresh(tiny_config(), MaskedLM, seed=3)
    trainer = Trainer(model, optim, seeds=Seeds(5), devices=devices, world=World(device=torch.device(device)))
    with Loader({"a": (Source(path=Path()), documents)}, rows, Masking(), seeds=Seeds(1), tokens=1000) as loader:
        outcomes = [trainer.step(loader.take(2), lr=1e-3, peak=1e-3, weight_decay=1e-5) for _ in range(steps)]
    return [outcome.loss for outcome in outcomes], [outcome.grad_norm for outcome in outcomes]


@pytest.mark.parametrize("optim", [StableAdamW(), Muon()], ids=["stable-adamw", "muon"])
def test_float32_steps_are_the_cpu_s(optim):
    plain = Devices(precision="float32")
    (losses, norms), (truth, true_norms) = _losses("cuda", plain, optim), _losses("cpu", plain, optim)
    assert losses == pytest.approx(truth, rel=1e-4)
    assert norms == pytest.approx(true_norms, rel=1e-3)


@pytest.mark.parametrize("devices", [Devices(precision="bfloat16"), Devices(precision="bfloat16", recompute=True)])
def test_bfloat16_steps_are_near(devices):
    losses, _ = _losses("cuda", devices, StableAdamW())
    truth, _ = _losses("cpu", Devices(precision="float32"), StableAdamW())
    assert losses == pytest.approx(truth, rel=1e-2)


def test_compiled_layers_train_alike():
    losses, _ = _losses("cuda", Devices(precision="bfloat16", compile=True), StableAdamW())
    truth, _ = _losses("cuda", Devices(precision="bfloat16"), StableAdamW())
    assert losses == pytest.approx(truth, rel=1e-2)


def test_a_step_waits_for_the_device_only_where_it_looks_at_its_result():
    plain = Devices(precision="bfloat16")
    _losses("cuda", plain, StableAdamW())  # whatever is set up once
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchroniz") as found:
            _losses("cuda", plain, StableAdamW(), steps=1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(found) < 20, [str(warning.message) for warning in found]
