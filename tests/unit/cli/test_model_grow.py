import json
from pathlib import Path

import pytest
import torch

from modernbert.cli.model_grow import Grow
from modernbert.core.errors import CheckpointError, ConfigError, UserError
from modernbert.model.grow import grow
from modernbert.model.store import fresh, load, save
from modernbert.text.tokenizer import Tokenizer
from support.texts import small_tokenizer
from support.tiny import tiny_config


@pytest.fixture
def small(tmp_path):
    save(fresh(tiny_config(num_attention_heads=4), seed=1), tmp_path / "small")
    small_tokenizer().save(tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def wider(tmp_path):
    path = tmp_path / "wider.yaml"
    path.write_text("hidden_size: 192\nnum_attention_heads: 6\nnum_hidden_layers: 5\n")
    return path


def test_the_larger_model_is_written_with_the_tokenizer(small, wider, tmp_path, capsys):
    out = tmp_path / "large"
    Grow(small=str(small), out=out, config=wider, json=True).run()
    told = json.loads(capsys.readouterr().out)
    large = load(out, dtype=torch.float32)
    assert large.config.hidden_size == 192
    assert told["parameters"] == sum(parameter.numel() for parameter in large.parameters())
    assert told["layers"] == [0, 1, 2, 2, 3]
    assert told["tokenizer"] == ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    twin = grow(load(small, dtype=torch.float32), large.config)
    assert all(torch.equal(tensor, twin.state_dict()[name]) for name, tensor in large.state_dict().items())
    assert Tokenizer.load(out).encode(["x"]).ids == Tokenizer.load(small).encode(["x"]).ids


def test_a_person_reads_what_came_of_what(small, wider, tmp_path, capsys):
    (small / "tokenizer.json").unlink()
    (small / "tokenizer_config.json").unlink()
    (small / "special_tokens_map.json").unlink()
    Grow(small=str(small), out=tmp_path / "large", config=wider, how="tile-aligned").run()
    first, layers, tokenizer = capsys.readouterr().out.splitlines()
    assert "parameters, grown from" in first
    assert layers == "layers taken from 0 1 2 3 2"  # 0 and 3 are global; 4 is windowed, as 2 is
    assert tokenizer == "tokenizer: none beside the smaller model"


def test_one_of_size_and_config_is_wanted(tmp_path):
    for both in ({}, {"size": "large", "config": Path("x.yaml")}):
        with pytest.raises(UserError, match="expected one of the two: say how large"):
            Grow(small="x", out=tmp_path / "large", **both).run()


def test_a_taken_name_is_refused_before_anything_is_read(small):
    with pytest.raises(UserError, match="is there already"):
        Grow(small="nowhere", out=small, size="large").run()


def test_a_size_is_no_smaller_model_since_it_has_no_weights(tmp_path):
    with pytest.raises(CheckpointError, match=r"'base' is neither a packaged model .* nor a folder here, nor a Hub id"):
        Grow(small="base", out=tmp_path / "large", size="large").run()


def test_nothing_is_left_when_it_fails(small, tmp_path):
    with pytest.raises(ConfigError, match="head size: found 64, expected the smaller model's 32"):
        Grow(small=str(small), out=tmp_path / "large", size="base").run()
    assert not (tmp_path / "large").exists()
