import pytest
import torch

from modernbert.cli.model_average import Average
from modernbert.core.errors import UserError
from modernbert.model.average import Mean, Ties
from modernbert.model.store import fresh, load, save
from support.tiny import tiny_config


@pytest.fixture
def models(tmp_path):
    config = tiny_config(hidden_size=16, num_hidden_layers=1)
    for seed in range(3):
        save(fresh(config, seed=seed), tmp_path / str(seed))
    return tuple(str(tmp_path / str(seed)) for seed in range(3))


def test_the_mean_is_written_and_told(models, tmp_path, capsys):
    out = tmp_path / "out"
    Average(models=models, out=out).run()
    assert capsys.readouterr().out == f"{out}: mean of 3 models\n"
    stacked = torch.stack([load(model, dtype=torch.float32).head.dense.weight for model in models])
    torch.testing.assert_close(load(out, dtype=torch.float32).head.dense.weight, stacked.mean(0))


def test_ties_is_written_and_told(models, tmp_path, capsys):
    Average(models=models[1:], out=tmp_path / "out", method="ties", base=models[0], density=1.0, scale=0.0).run()
    assert capsys.readouterr().out.endswith("out: ties of 2 models\n")
    base, out = load(models[0], dtype=torch.float32), load(tmp_path / "out", dtype=torch.float32)
    assert torch.equal(out.head.dense.weight, base.head.dense.weight)  # a scale of 0 changes nothing


def test_what_is_not_said_is_the_methods_own(tmp_path):
    assert Average(models=("a", "b"), out=tmp_path)._method() == Mean()
    assert Average(models=("a",), out=tmp_path, method="ties", base="b")._method() == Ties(base="b")


WRONG = {
    "density without ties": ({"density": 0.1}, "--density belongs to --method ties, found --method mean"),
    "weights with ties": (
        {"method": "ties", "base": "b", "weights": (1.0,)},
        "--weights belongs to --method mean, found --method ties",
    ),
    "ties without a base": ({"method": "ties"}, "--method ties wants --base"),
}


@pytest.mark.parametrize("how", WRONG)
def test_flags_of_another_method_are_refused(how, tmp_path):
    flags, message = WRONG[how]
    with pytest.raises(UserError, match=message):
        Average(models=("a", "b"), out=tmp_path / "out", **flags).run()
