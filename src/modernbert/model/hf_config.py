"""Hugging Face's config.json, both generations; the only file that knows they differ.

transformers 4.48-5.0 (and the Hub, TEI, llama.cpp) write `global_rope_theta`, `local_rope_theta` and
`global_attn_every_n_layers`; 5.1 and later write `rope_parameters` and `layer_types`. We read either and write both:
a reader that finds only the other spelling falls back to base's values silently, which is wrong for other thetas.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_args

from modernbert.core.errors import CheckpointError, ConfigError, UnsupportedError
from modernbert.model.config import Kind, ModelConfig

_SAME = {field.name for field in fields(ModelConfig)} - {
    "global_rope_theta", "local_rope_theta", "layer_types", "labels",
}  # fmt: skip


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
    except ConfigError as error:
        raise type(error)(f"{path}: {error}") from None
    architectures = written.get("architectures") or [""]
    return config, str(architectures[0])


def from_object(stock: object) -> ModelConfig:
    """Read a live transformers `ModernBertConfig`, without importing transformers."""
    names = (*_SAME, "rope_parameters", "layer_types", "global_rope_theta", "local_rope_theta", "model_type", "id2label")
    return from_mapping({name: getattr(stock, name) for name in names if hasattr(stock, name)})


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
        raise UnsupportedError(f"rope_scaling: found {written['rope_scaling']!r}, expected none: scaled RoPE is not built")
    settings = {name: written[name] for name in _SAME & written.keys()}
    settings.setdefault("classifier_pooling", "cls")  # the library's default; the Hub's own files say "mean"
    settings.pop("global_attn_every_n_layers", None)
    every = written.get("global_attn_every_n_layers") or 3
    layer_types = written.get("layer_types")
    settings["global_attn_every_n_layers"] = every
    if isinstance(layer_types, list | tuple) and tuple(layer_types) != _pattern(len(layer_types), every):
        settings["layer_types"] = tuple(layer_types)
        settings["global_attn_every_n_layers"] = _interval(layer_types) or every
        if _interval(layer_types) is not None:
            del settings["layer_types"]
    for kind, old in (("full_attention", "global_rope_theta"), ("sliding_attention", "local_rope_theta")):
        if (theta := _theta(written, kind, old)) is not None:
            settings[old] = theta
    if isinstance(id2label := written.get("id2label"), Mapping):
        settings["labels"] = tuple(str(id2label[key]) for key in sorted(id2label, key=int))
    elif isinstance(num_labels := written.get("num_labels"), int):
        settings["labels"] = tuple(f"LABEL_{i}" for i in range(num_labels))
    for name in ("eos_token_id", "bos_token_id"):
        if isinstance(several := settings.get(name), list):
            settings[name] = several[0] if several else None
    _check_types(settings)
    try:
        return ModelConfig(**settings)  # type: ignore[arg-type]
    except ValueError as error:
        raise ConfigError(str(error)) from None


def to_mapping(config: ModelConfig, *, architecture: str, dtype: str) -> dict[str, object]:
    """What config.json says, in both generations' words."""
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


def _pattern(num_layers: int, every: object) -> tuple[Kind, ...]:
    interval = every if isinstance(every, int) and every > 0 else 3
    return tuple("sliding_attention" if i % interval else "full_attention" for i in range(num_layers))


def _interval(layer_types: list[object] | tuple[object, ...]) -> int | None:
    """The n of "every n-th layer is global" that says the same, if there is one."""
    candidates = range(1, len(layer_types) + 1)
    return next((n for n in candidates if tuple(layer_types) == _pattern(len(layer_types), n)), None)


def _check_types(settings: Mapping[str, object]) -> None:
    """Stock JSON is read leniently in its keys, strictly in its values."""
    for field in fields(ModelConfig):
        if field.name not in settings:
            continue
        value = settings[field.name]
        choices = get_args(field.type)
        if field.type is int and (not isinstance(value, int) or isinstance(value, bool)):
            raise ConfigError(f"{field.name}: found {value!r}, expected a whole number")
        if field.type is bool and not isinstance(value, bool):
            raise ConfigError(f"{field.name}: found {value!r}, expected true or false")
        if field.type is float and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise ConfigError(f"{field.name}: found {value!r}, expected a number")
        if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
            raise ConfigError(f"{field.name}: found {value!r}, expected one of {', '.join(choices)}")
    layer_types = settings.get("layer_types")
    if isinstance(layer_types, tuple) and (odd := set(layer_types) - set(get_args(Kind))):
        raise ConfigError(f"layer_types: found {sorted(map(str, odd))}, expected {' or '.join(get_args(Kind))}")
