import pytest
import torch

from modernbert.bench.rivals import MODELS, SIZE_NAMES, build, pad_id, rival
from modernbert.core.errors import UserError
from modernbert.model.config import SIZES
from modernbert.model.counts import linear_flops_per_token

PUBLISHED = {  # million parameters, from the paper's table 2
    "bert-base": 110,
    "bert-large": 330,
    "roberta-base": 125,
    "roberta-large": 355,
    "debertav3-base": 183,
    "debertav3-large": 434,
    "nomic-base": 137,
    "gte-base": 137,
    "gte-large": 435,
    "modernbert-base": 149,
    "modernbert-large": 395,
}


def _all(*sizes):
    return [found for model in MODELS for size in sizes if (found := rival(model, size))]


@pytest.mark.parametrize("one", _all("base", "large"), ids=lambda one: one.key)
def test_a_model_has_its_published_number_of_parameters(one):
    with torch.device("meta"):
        model = build(one)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert parameters / 1e6 == pytest.approx(PUBLISHED[one.key], rel=0.015)
    assert one.weights == pytest.approx(parameters, rel=0.01)
    in_layers = [
        module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and "layer" in name
    ]
    assert one.linear_weights == sum(module.weight.numel() for module in in_layers)


def test_every_published_model_is_there():
    assert {one.key for one in _all("base", "large")} == set(PUBLISHED)
    assert rival("nomic", "large") is None


@pytest.mark.parametrize("one", _all("tiny"), ids=lambda one: one.key)
def test_a_small_model_runs_and_padding_does_not_reach_its_documents(one):
    model = build(one)
    ids = torch.randint(10, one.vocab_size, (1, 40))
    ids_padded = torch.cat([ids, torch.full((1, 9), pad_id(one))], 1)
    mask = (torch.arange(49) < 40).long()[None]
    with torch.inference_mode():
        alone = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        among = model(input_ids=ids_padded, attention_mask=mask).last_hidden_state[:, :40]
    torch.testing.assert_close(among, alone, atol=1e-5, rtol=1e-5)


def test_operations_grow_with_the_square_of_the_length_but_in_windows():
    bert, ours = rival("bert", "base"), rival("modernbert", "base")
    assert bert.flops([512]) == 12 * (2 * 512 * 12 * 768**2 + 4 * 768 * 512**2)
    assert ours.flops([512]) == 512 * linear_flops_per_token(SIZES["base"]) + ours.attention_flops([512])
    assert ours.attention_flops([8192]) < 0.4 * ours.flops_when_padded(0, 8192**2)
    assert rival("debertav3", "base").flops([512]) > bert.flops([512])


def test_beyond_8192_tokens_the_rotary_base_grows():
    from dataclasses import replace

    ours = rival("modernbert", "base")
    assert ours.config.global_rope_theta == SIZES["base"].global_rope_theta
    long = replace(ours, longest=32_768).config
    assert long.global_rope_theta > 4 * ours.config.global_rope_theta
    assert long.max_position_embeddings == 32_768
    assert long.local_rope_theta == ours.config.local_rope_theta


def test_an_unknown_model_or_size_is_refused():
    with pytest.raises(UserError, match="--models: found 'bort', expected some of bert, roberta"):
        rival("bort", "base")
    with pytest.raises(UserError, match="--sizes: found 'huge', expected some of base, large, tiny"):
        rival("bert", "huge")
    assert SIZE_NAMES == ("base", "large", "tiny")
