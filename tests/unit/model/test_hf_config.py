"""config.json in both generations, read and written; stock transformers as the judge of what we write."""

import json
from dataclasses import fields, replace

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.core.errors import CheckpointError, ConfigError, UnsupportedError
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.hf_config import from_file, from_mapping, from_object, to_mapping
from support.tiny import stock_config, tiny_config

FULL, SLIDING = "full_attention", "sliding_attention"

HUB = {
    "architectures": ["ModernBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 50281,
    "classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0, "classifier_pooling": "mean",
    "cls_token_id": 50281, "decoder_bias": True, "deterministic_flash_attn": False, "embedding_dropout": 0.0,
    "eos_token_id": 50282, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "gradient_checkpointing": False,
    "hidden_activation": "gelu", "hidden_size": 768, "initializer_cutoff_factor": 2.0, "initializer_range": 0.02,
    "intermediate_size": 1152, "layer_norm_eps": 1e-05, "local_attention": 128, "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192, "mlp_bias": False, "mlp_dropout": 0.0, "model_type": "modernbert", "norm_bias": False,
    "norm_eps": 1e-05, "num_attention_heads": 12, "num_hidden_layers": 22, "pad_token_id": 50283,
    "position_embedding_type": "absolute", "sep_token_id": 50282, "tie_word_embeddings": True, "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0", "vocab_size": 50368,
}  # fmt: skip
"""The file of answerdotai/ModernBERT-base, as the reference trainer's converter writes it."""

UNUSUAL = tiny_config(
    num_hidden_layers=5, global_attn_every_n_layers=2, local_attention=32, global_rope_theta=80_000.0,
    local_rope_theta=500.0, norm_eps=1e-6, norm_bias=True, attention_bias=True, mlp_bias=True, decoder_bias=False,
    classifier_bias=True, classifier_activation="silu", classifier_pooling="cls", hidden_activation="gelu_new",
    embedding_dropout=0.1, attention_dropout=0.2, mlp_dropout=0.3, classifier_dropout=0.4, initializer_range=0.05,
    initializer_cutoff_factor=3.0, tie_word_embeddings=False, max_position_embeddings=512, labels=("a", "b", "c"),
    problem_type="multi_label_classification",
)  # fmt: skip
"""Every field but the tokens differs from the default: what is forgotten on the way shows."""

CONFIGS = {
    **SIZES,
    "unusual": UNUSUAL,
    "layers one by one": replace(
        UNUSUAL, layer_types=(SLIDING, FULL, SLIDING, SLIDING, FULL), global_attn_every_n_layers=3
    ),
    "all sliding": tiny_config(layer_types=(SLIDING,) * 4),
    "all global": tiny_config(global_attn_every_n_layers=1),
    "first global": tiny_config(global_attn_every_n_layers=4),
    "no tokens": tiny_config(
        pad_token_id=None, bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None
    ),
    "one label": tiny_config(labels=("score",), problem_type="regression"),
    "eleven labels": tiny_config(labels=tuple("abcdefghijk")),
}


def written(config):
    """What arrives in a file: through JSON, so that a tuple that stays one would show."""
    return json.loads(json.dumps(to_mapping(config, architecture="ModernBertForMaskedLM", dtype="float32")))


# ---------------------------------------------------------------- reading


def test_the_hubs_file_is_modernbert_base():
    assert from_mapping(HUB) == SIZES["base"]


def test_the_unusual_config_leaves_nothing_at_its_default():
    same = {field.name for field in fields(ModelConfig) if getattr(UNUSUAL, field.name) == field.default}
    assert same == {"layer_types"}


def test_a_missing_key_means_what_it_means_to_transformers():
    assert from_mapping({}) == replace(ModelConfig(), classifier_pooling="cls")
    assert from_mapping({}) == from_object(transformers.ModernBertConfig())
    assert from_mapping({"global_attn_every_n_layers": None}) == from_mapping({})


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_live_stock_config_is_read(config):
    assert from_object(stock_config(config)) == config


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_stock_writes_is_read(config):
    assert from_mapping(json.loads(stock_config(config).to_json_string(use_diff=False))) == config


def test_the_old_words_alone_are_read():
    old = HUB | {
        "global_rope_theta": 80000,
        "local_rope_theta": 500,
        "global_attn_every_n_layers": 2,
        "local_attention": 32,
    }
    read = from_mapping(old)
    assert (read.theta(FULL), read.theta(SLIDING), read.window_reach) == (80_000.0, 500.0, 16)
    assert read.layer_kinds[:3] == (FULL, SLIDING, FULL)


def test_the_new_words_alone_are_read():
    new = {key: value for key, value in HUB.items() if "theta" not in key and key != "global_attn_every_n_layers"}
    new["rope_parameters"] = {FULL: {"rope_type": "default", "rope_theta": 80000}, SLIDING: {"rope_theta": 500}}
    new["layer_types"] = [SLIDING if i % 2 else FULL for i in range(22)]
    read = from_mapping(new)
    assert (read.theta(FULL), read.theta(SLIDING)) == (80_000.0, 500.0)
    assert (read.global_attn_every_n_layers, read.layer_types) == (2, None)


def test_new_words_win_over_old_ones_and_what_they_leave_out_is_taken_from_the_old():
    read = from_mapping(HUB | {"rope_parameters": {FULL: {"rope_theta": 1e6}}, "local_rope_theta": 500.0})
    assert (read.theta(FULL), read.theta(SLIDING)) == (1e6, 500.0)


def test_several_end_tokens_are_read_as_the_first():
    assert from_mapping(HUB | {"eos_token_id": [7, 8], "bos_token_id": []}).eos_token_id == 7
    assert from_mapping(HUB | {"eos_token_id": [7, 8], "bos_token_id": []}).bos_token_id is None


def test_an_interval_beyond_the_last_layer_is_kept():
    assert from_mapping(written(tiny_config(global_attn_every_n_layers=100))).global_attn_every_n_layers == 100


def test_labels_come_in_the_order_of_their_numbers():
    assert from_mapping({"id2label": {"1": "no", "0": "yes"}}).labels == ("yes", "no")
    assert from_mapping({"id2label": {str(i): f"c{i}" for i in reversed(range(11))}}).labels[10] == "c10"
    assert from_mapping({"num_labels": 3}).labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert from_mapping({}).labels == ("LABEL_0", "LABEL_1")


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_is_written_is_read_back(config):
    assert from_mapping(written(config)) == config


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_we_write_stock_understands(config):
    stock = transformers.ModernBertConfig(**written(config))
    twin = stock_config(config)
    for name in ("layer_types", "rope_parameters", "sliding_window", "id2label", "num_labels", "problem_type"):
        assert getattr(stock, name) == getattr(twin, name), name
    for field in fields(ModelConfig):
        if hasattr(twin, field.name):
            assert getattr(stock, field.name) == getattr(twin, field.name), field.name
    assert stock.label2id == {label: number for number, label in stock.id2label.items()}
    assert from_object(stock) == config
    assert stock.architectures == ["ModernBertForMaskedLM"]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_both_generations_words_are_written_and_agree(config):
    mapping = written(config)
    assert mapping["rope_parameters"][FULL]["rope_theta"] == mapping["global_rope_theta"] == config.global_rope_theta
    assert mapping["rope_parameters"][SLIDING]["rope_theta"] == mapping["local_rope_theta"] == config.local_rope_theta
    assert tuple(mapping["layer_types"]) == config.layer_kinds
    assert (mapping["model_type"], mapping["dtype"], mapping["torch_dtype"]) == ("modernbert", "float32", "float32")
    if config.layer_types is None:
        assert mapping["global_attn_every_n_layers"] == config.global_attn_every_n_layers
    else:
        assert "global_attn_every_n_layers" not in mapping, "an interval cannot say this"


def test_layers_named_one_by_one_are_written_as_an_interval_when_one_says_the_same():
    config = tiny_config(layer_types=(FULL, SLIDING, FULL, SLIDING))
    assert written(config)["global_attn_every_n_layers"] == 2
    assert from_mapping(written(config)).layer_kinds == config.layer_kinds


kinds = st.lists(st.sampled_from([FULL, SLIDING]), min_size=1, max_size=7)
thetas = st.floats(min_value=1.0, max_value=1e7)


@given(kinds, thetas, thetas, st.integers(0, 300), st.integers(1, 9), st.lists(st.text(), min_size=1, max_size=12))
@settings(deadline=None, max_examples=60)
def test_any_layers_thetas_windows_and_labels_survive_a_file(layers, far, near, reach, every, labels):
    config = tiny_config(
        num_hidden_layers=len(layers), layer_types=tuple(layers), global_attn_every_n_layers=every,
        global_rope_theta=far, local_rope_theta=near, local_attention=2 * reach, labels=tuple(labels),
    )  # fmt: skip
    read = from_mapping(written(config))
    assert read.layer_kinds == config.layer_kinds
    assert replace(read, layer_types=None, global_attn_every_n_layers=1) == replace(
        config, layer_types=None, global_attn_every_n_layers=1
    )
    assert from_mapping(written(read)) == read


# ---------------------------------------------------------------- files


def test_a_file_gives_the_config_and_its_architecture(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(HUB))
    assert from_file(path) == (SIZES["base"], "ModernBertForMaskedLM")
    path.write_text(json.dumps(HUB | {"architectures": None}))
    assert from_file(path) == (SIZES["base"], "")


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (None, CheckpointError, "{path} is missing: a model folder holds config.json and model.safetensors"),
        (b"{", CheckpointError, r"{path} is not JSON \(.*\): fetch or write the folder again"),
        (b"\xff\xfe\xff", CheckpointError, r"{path} is not JSON \(.*\): fetch or write the folder again"),
        (b"[1]", CheckpointError, "{path} holds list, expected a mapping of settings"),
        (b'{"hidden_size": "768"}', ConfigError, "{path}: hidden_size: found '768', expected a whole number"),
        (b'{"model_type": "bert"}', UnsupportedError, "{path}: model_type: found 'bert', expected 'modernbert'"),
    ],
    ids=["missing", "cut off", "not text", "a list", "a wrong type", "another model"],
)
def test_a_file_that_is_no_config_is_named(content, error, sentence, tmp_path):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=sentence.replace("{path}", str(path))):
        from_file(path)


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"model_type": "bert"}, UnsupportedError,
         "model_type: found 'bert', expected 'modernbert': this package runs no other"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, UnsupportedError,
         "rope_scaling: found {'type': 'linear', 'factor': 2}, expected none: scaled RoPE is not built"),
        ({"rope_parameters": {FULL: {"rope_type": "yarn", "rope_theta": 1e4}}}, UnsupportedError,
         "rope_parameters.full_attention.rope_type: found 'yarn', expected 'default'"),
        ({"layer_types": [FULL, SLIDING]}, ConfigError,
         "layer_types names 2 layers, num_hidden_layers says 22: make them agree"),
        ({"layer_types": [SLIDING] * 4}, ConfigError,
         "layer_types names 4 layers, num_hidden_layers says 22: make them agree"),
        ({"layer_types": ["full"] * 22}, ConfigError,
         "layer_types: found \\['full', .*\\], expected a list, each one of full_attention, sliding_attention or null"),
        ({"layer_types": FULL}, ConfigError, "layer_types: found 'full_attention', expected a list"),
        ({"hidden_size": 768.0}, ConfigError, "hidden_size: found 768.0, expected a whole number"),
        ({"hidden_size": True}, ConfigError, "hidden_size: found True, expected a whole number"),
        ({"norm_bias": 0}, ConfigError, "norm_bias: found 0, expected true or false"),
        ({"norm_eps": "1e-5"}, ConfigError, "norm_eps: found '1e-5', expected a number"),
        ({"global_rope_theta": "big"}, ConfigError, "global_rope_theta: found 'big', expected a number"),
        ({"pad_token_id": "[PAD]"}, ConfigError, r"pad_token_id: found '\[PAD\]', expected a whole number or null"),
        ({"hidden_activation": "mish"}, ConfigError,
         "hidden_activation: found 'mish', expected one of gelu, gelu_pytorch_tanh, gelu_new, silu, swish, relu"),
        ({"classifier_pooling": "max"}, ConfigError, "classifier_pooling: found 'max', expected one of cls, mean"),
        ({"problem_type": "guess"}, ConfigError,
         "problem_type: found 'guess', expected one of regression, single_label_classification, "
         "multi_label_classification or null"),
        ({"global_attn_every_n_layers": 0}, ConfigError, r"global_attn_every_n_layers \(found 0\) is 1 or more"),
        ({"num_attention_heads": 7}, ConfigError, "hidden_size 768 over num_attention_heads 7 must give an even head size"),
        ({"id2label": {"yes": "0", "no": "1"}}, ConfigError,
         r"id2label: found the keys \['no', 'yes'\], expected 0 to 1"),
        ({"id2label": {"0": "a", "2": "b"}}, ConfigError, r"id2label: found the keys \['0', '2'\], expected 0 to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_or_run_is_refused(changed, error, sentence):
    with pytest.raises(error, match=sentence):
        from_mapping(HUB | changed)
