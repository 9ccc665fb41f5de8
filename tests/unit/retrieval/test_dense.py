import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modernbert.core.errors import CheckpointError, UnsupportedError
from modernbert.retrieval.dense import Dense, Normalize, activation_of
from modernbert.retrieval.folder import Step

DRAWN = np.random.default_rng(3)
ROWS = DRAWN.normal(size=(4, 6)).astype(np.float32)
TANH, IDENTITY = "torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity"


def _written(folder, settings, **arrays):
    folder.mkdir(exist_ok=True)
    save_file({name: torch.tensor(array) for name, array in arrays.items()}, folder / "model.safetensors")
    return Step(kind="Dense", settings=settings, folder=folder)


@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("out", [6, 3])
def test_it_is_what_its_settings_say(tmp_path, out, has_residual):
    arrays = {
        "linear.weight": DRAWN.normal(size=(out, 6)).astype(np.float32),
        "linear.bias": DRAWN.normal(size=out).astype(np.float32),
    }
    expected = np.tanh(ROWS @ arrays["linear.weight"].T + arrays["linear.bias"])
    if has_residual and out != 6:
        arrays["residual.weight"] = DRAWN.normal(size=(out, 6)).astype(np.float32)
    if has_residual:
        expected = expected + (ROWS @ arrays["residual.weight"].T if out != 6 else ROWS)
    settings = {"in_features": 6, "out_features": out, "activation_function": TANH, "use_residual": has_residual}
    layer = Dense.load(_written(tmp_path / "1_Dense", settings, **arrays))
    with torch.no_grad():
        np.testing.assert_allclose(layer(torch.tensor(ROWS)), expected, atol=1e-6)
    assert layer.step("sentence_embedding").settings.items() >= {
        "in_features": 6, "out_features": out, "bias": True, "activation_function": TANH
    }.items()  # fmt: skip


def test_it_computes_in_float32_behind_an_encoder_of_halves():
    assert Dense(6, 3)(torch.tensor(ROWS).bfloat16()).dtype == torch.float32


def test_a_token_layer_says_what_it_reads():
    said = Dense(6, 3).step("token_embeddings").settings
    assert (said["module_input_name"], said["module_output_name"]) == ("token_embeddings", "token_embeddings")
    assert Normalize().step("sentence_embedding").settings == {}


def test_rows_are_brought_to_length_one_and_zeros_stay():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(Normalize()(rows), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_contradictions_are_named(tmp_path):
    weight = np.zeros((3, 6), dtype=np.float32)
    settings = {"in_features": 6, "out_features": 4, "bias": False, "activation_function": IDENTITY}
    with pytest.raises(
        CheckpointError, match=r"1_Dense: the weights are not those of its config.json \(.*size mismatch"
    ):
        Dense.load(_written(tmp_path / "1_Dense", settings, **{"linear.weight": weight}))
    with pytest.raises(CheckpointError, match="found in_features and out_features"):
        Dense.load(_written(tmp_path / "1_Dense", {"in_features": 6}, **{"linear.weight": weight}))


def test_an_activation_is_looked_up_and_never_imported():
    with pytest.raises(
        UnsupportedError, match=r"x: found the activation 'os.system', expected one of torch's Identity, "
    ):
        activation_of("os.system", "x")
