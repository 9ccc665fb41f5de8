"""Hugging Face's config.json, both generations; the only file that knows they differ.

transformers 4.48-5.0 (and the Hub, TEI, llama.cpp) write `global_rope_theta`, `local_rope_theta` and
`global_attn_every_n_layers`; 5.1 and later write `rope_parameters` and `layer_types`. We read either and write both:
a reader that finds only the other spelling falls back to base's values silently, which is wrong for other thetas.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from modernbert.core.errors import CheckpointError, ConfigError, UnsupportedError
from modernbert.model.config import Kind, ModelConfig

_OLD_THETAS: dict[Kind, str] = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
_SAME = {field.name for field in fields(ModelConfig)} - {
    *_OLD_THETAS.values(), "layer_types", "labels",
}  # fmt: skip

_LIVE = (*_SAME, *_OLD_THETAS.values(), "rope_parameters", "layer_types", "model_type", "id2label")
_ABSENT = object()
_remembered: dict[str, ModelConfig] = {}
_MOST_REMEMBERED = 32


def from_file(path: Path) -> tuple[ModelConfig, str]:
    """Read a config.json: the shape, and the architecture it names ("ModernBertForMaskedLM", or "" when it names none)."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: a model folder holds config.json and model.safetensors") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not JSON ({error}): fetch or write the folder again") from None
    if not isinstance(written, dict):
        raise CheckpointError(f"{path} holds {type(written).__name__}, expected a mapping of settings")
    try:
        config = from_mapping(written)
    except (ConfigError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from None
    architectures = written.get("architectures") or [""]
    return config, str(architectures[0])


def from_object(stock: object) -> ModelConfig:
    """Read a live transformers `ModernBertConfig`, without importing transformers.

    Who accelerates a stock model reads it on every call, so the last few are remembered, by all that they say.
    """
    written = {name: found for name in _LIVE if (found := getattr(stock, name, _ABSENT)) is not _ABSENT}
    said = repr(written)
    if (config := _remembered.get(said)) is None:
        config = from_mapping(written)
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[said] = config
    return config


def from_mapping(written: Mapping[str, object]) -> ModelConfig:
    """Read the settings of a config.json.

    A missing key means what it means to transformers, whose defaults are base's. Keys that do not change the
    computation are passed over; those that do and that we cannot honour are refused.

    Raises:
        ConfigError: a value has the wrong type, or two of them contradict each other.
        UnsupportedError: another architecture, or rotary scaling.
    """
    model_type = written.get("model_type", "modernbert")
    if model_type != "modernbert":
        raise UnsupportedError(f"model_type: found {model_type!r}, expected 'modernbert': this package runs no other")
    if written.get("rope_scaling") is not None:
        raise UnsupportedError(
            f"rope_scaling: found {written['rope_scaling']!r}, expected none: scaled RoPE is not built"
        )
    settings = {name: written[name] for name in _SAME & written.keys()}
    settings.setdefault("classifier_pooling", "cls")  # the library's default; the Hub's own files say "mean"
    if settings.get("global_attn_every_n_layers", 3) is None:
        del settings["global_attn_every_n_layers"]
    if (layer_types := written.get("layer_types")) is not None:
        settings["layer_types"] = tuple(layer_types) if isinstance(layer_types, list) else layer_types
    for kind, old in _OLD_THETAS.items():
        if (theta := _theta(written, kind, old)) is not None:
            settings[old] = theta
    if isinstance(id2label := written.get("id2label"), Mapping):
        settings["labels"] = _labels(id2label)
    elif isinstance(num_labels := written.get("num_labels"), int):
        settings["labels"] = tuple(f"LABEL_{i}" for i in range(num_labels))
    for name in ("eos_token_id", "bos_token_id"):
        if isinstance(several := settings.get(name), list):
            settings[name] = several[0] if several else None
    try:
        return _by_interval(ModelConfig(**_typed(settings)))  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def to_mapping(config: ModelConfig, *, architecture: str, dtype: str) -> dict[str, object]:
    """What config.json says, in both generations' words."""
    config = _by_interval(config)
    written: dict[str, object] = {"architectures": [architecture], "model_type": "modernbert"}
    written |= {name: getattr(config, name) for name in sorted(_SAME)}
    written["layer_types"] = list(config.layer_kinds)
    if config.layer_types is not None:
        del written["global_attn_every_n_layers"]  # cannot be said in the old words
    written["rope_parameters"] = {
        kind: {"rope_type": "default", "rope_theta": config.theta(kind)} for kind in get_args(Kind)
    }
    written["global_rope_theta"] = config.global_rope_theta
    written["local_rope_theta"] = config.local_rope_theta
    written["id2label"] = {str(i): label for i, label in enumerate(config.labels)}
    written["label2id"] = {label: i for i, label in enumerate(config.labels)}
    written["position_embedding_type"] = "absolute"
    written["torch_dtype"] = written["dtype"] = dtype
    return written


def _theta(written: Mapping[str, object], kind: Kind, old: str) -> object:
    """The rotary base, from the new words if they say it, else from the old ones."""
    rope_parameters = written.get("rope_parameters")
    own = rope_parameters.get(kind) if isinstance(rope_parameters, Mapping) else None
    if not isinstance(own, Mapping):
        return written.get(old)
    if (rope_type := own.get("rope_type", "default")) != "default":
        raise UnsupportedError(f"rope_parameters.{kind}.rope_type: found {rope_type!r}, expected 'default'")
    return own.get("rope_theta", written.get(old))


def _by_interval(config: ModelConfig) -> ModelConfig:
    """The same layers, said by `global_attn_every_n_layers` where that can say them."""
    for every in (config.global_attn_every_n_layers, *range(1, config.num_hidden_layers + 1)):
        by_interval = replace(config, layer_types=None, global_attn_every_n_layers=every)
        if by_interval.layer_kinds == config.layer_kinds:
            return by_interval
    return config


def _labels(id2label: Mapping[object, object]) -> tuple[str, ...]:
    by_id = {str(key): str(label) for key, label in id2label.items()}
    try:
        return tuple(by_id[str(i)] for i in range(len(by_id)))
    except KeyError:
        raise ConfigError(f"id2label: found the keys {sorted(by_id)}, expected 0 to {len(by_id) - 1}") from None


def _typed(settings: Mapping[str, object]) -> dict[str, object]:
    """Stock JSON is read leniently in its keys, strictly in its values; a whole number will do for a float."""
    typed: dict[str, object] = {}
    for field in fields(ModelConfig):
        if field.name not in settings:
            continue
        value = settings[field.name]
        if not _fits(value, field.type):
            found = list(value) if isinstance(value, tuple) else value
            raise ConfigError(f"{field.name}: found {found!r}, expected {_in_words(field.type)}")
        typed[field.name] = float(value) if field.type is float else value  # type: ignore[arg-type]
    return typed


def _fits(value: object, kind: object) -> bool:
    options = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, option) for option in options)
    if get_origin(kind) is Literal:
        return value in options
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(item, options[0]) for item in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    assert isinstance(kind, type)
    return isinstance(value, kind) and (kind is not int or not isinstance(value, bool))


def _in_words(kind: object) -> str:
    options = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_in_words(option) for option in options)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, options))}"
    if get_origin(kind) is tuple:
        return f"a list, each {_in_words(options[0])}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
    assert isinstance(kind, type)
    return words[kind]
