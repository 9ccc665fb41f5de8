"""A checkpoint saved by either loads in the other: keys compared both ways, outputs equal."""

import pytest
import torch
import transformers
from safetensors.torch import load_file

from modernbert.model.heads import ARCHITECTURES
from modernbert.model.hf_config import to_mapping
from modernbert.model.store import encoder_of, fresh, load, save
from modernbert.ops.packed import Packed
from support.close import assert_fp32
from support.tiny import random_documents, tiny_config

LENGTHS = (1, 5, 66, 130)


def _assert_same_hidden(ours, stock):
    their_encoder = stock if isinstance(stock, transformers.ModernBertModel) else stock.model
    for document in random_documents(LENGTHS):
        with torch.no_grad():
            theirs = their_encoder(input_ids=torch.tensor([document])).last_hidden_state[0]
            assert_fp32(encoder_of(ours)(Packed.from_lists([document])), theirs.double())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_stock_opens_what_we_saved(name, tmp_path):
    config = tiny_config(labels=("no", "yes"), global_rope_theta=80_000.0, num_hidden_layers=5)
    ours = fresh(config, ARCHITECTURES[name], seed=1).eval()
    save(ours, tmp_path)
    stock, report = getattr(transformers, name).from_pretrained(
        tmp_path, output_loading_info=True, attn_implementation="eager"
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert stock.config.id2label == {0: "no", 1: "yes"}
    assert set(ours.state_dict()) == set(stock.state_dict())
    _assert_same_hidden(ours, stock)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_we_open_what_stock_saved(name, tmp_path):
    config = tiny_config(labels=("no", "yes"), local_rope_theta=20_000.0, num_hidden_layers=5)
    written = to_mapping(config, architecture=name, dtype="float32")
    stock = getattr(transformers, name)(transformers.ModernBertConfig(**written, attn_implementation="eager")).eval()
    stock.save_pretrained(tmp_path)
    ours = load(tmp_path, dtype=torch.float32)
    assert type(ours) is ARCHITECTURES[name]
    assert ours.config == config
    assert set(ours.state_dict()) == set(stock.state_dict())
    _assert_same_hidden(ours, stock)


def test_both_write_the_same_tensors(tmp_path):
    ours = fresh(tiny_config())
    save(ours, tmp_path / "ours")
    stock = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "ours")
    stock.save_pretrained(tmp_path / "stock")
    mine, theirs = (load_file(tmp_path / who / "model.safetensors") for who in ("ours", "stock"))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_reader_of_the_old_keys_finds_them(tmp_path):
    """transformers 4.48 to 5.0, TEI and llama.cpp read these and fall back to base's values when they are missing."""
    import json

    save(fresh(tiny_config(global_rope_theta=80_000.0, global_attn_every_n_layers=2)), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["global_rope_theta"] == 80_000.0
    assert written["local_rope_theta"] == 10_000.0
    assert written["global_attn_every_n_layers"] == 2
    assert written["rope_parameters"]["full_attention"]["rope_theta"] == 80_000.0
    assert written["layer_types"][:3] == ["full_attention", "sliding_attention", "full_attention"]
