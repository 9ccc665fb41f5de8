"""What a field's type accepts, and the sentence when it does not.

A small closed set on purpose: bool, int, float, str, Path, Tokens, Duration, Literal, None, list, tuple, dict with text
keys, dataclasses, and unions of these. Anything else is a mistake in our own code (TypeError).
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, TypeGuard, Union, cast, get_args, get_origin, get_type_hints

from modernbert.core._place import Place, did_you_mean, either
from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Duration, Tokens

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    NoneType: "null",
    Tokens: Tokens.EXPECTED,
    Duration: Duration.EXPECTED,
}

# PyYAML reads 8e-4 and 1.5e4 as text: YAML 1.1 wants a point and a sign.
_EXPONENT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+", re.ASCII)

_QUOTE_IT = "YAML reads an unquoted yes, no, on or off as a bool, so put it in quotes"


def convert(hint: object, value: object, at: Place, default: object = None) -> object:
    """The plain `value` as the type `hint`.

    `default` is what the field holds when nothing is written: a mapping written for a dataclass completes it,
    everything else replaces it.

    Raises:
        ConfigError: the value does not fit; the message starts with the place.
        TypeError: a type outside the closed set.
    """
    origin = get_origin(hint)
    if is_section(hint):
        return _section(hint, value, at, default)
    if origin in (Union, UnionType):
        return _union(members(hint), value, at, default)
    if origin is Literal:
        return _choice(get_args(hint), value, at)
    if origin in (list, tuple) and get_args(hint):
        return _sequence(hint, value, at)
    if origin is dict and get_args(hint)[0] is str:
        return _dict(get_args(hint)[1], value, at)
    if hint in _EXPECTED:
        return _scalar(hint, value, at)
    raise TypeError(f"{at}: a setting cannot have the type {hint}; modernbert.core._fields lists those it can have")


def is_section(hint: object) -> TypeGuard[type]:
    """Whether the type is a dataclass, hence a mapping in the file."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def members(hint: object) -> tuple[object, ...]:
    """The members of a union; any other type is its own only member."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


@cache
def field_types(kind: type) -> dict[str, object]:
    """The keys a dataclass takes, each with its type, in the order of the class."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _section(kind: type, value: object, at: Place, default: object) -> object:
    if not isinstance(value, Mapping):
        raise at.mismatch(value, "a mapping")
    types = field_types(kind)
    for key in value:
        if key not in types:
            raise at.into(key).unknown_key(types)
    defaults = _defaults(kind, default)
    missing = [name for name in types if name not in value and name not in defaults]
    if missing:
        words = "is missing and has" if len(missing) == 1 else "are missing and have"
        raise at.error(f"{either(missing, 'and')} {words} no default; write {'it' if len(missing) == 1 else 'them'}")
    settings = {
        name: convert(types[name], value[name], at.into(name), defaults.get(name)) if name in value else defaults[name]
        for name in types
    }
    try:
        return kind(**settings)
    except ValueError as refusal:  # from __post_init__, which knows what is wrong but not where it stands
        raise at.error(str(refusal)) from refusal


def _defaults(kind: type, instance: object) -> dict[str, object]:
    """What each key holds when it is not written: the enclosing default's value, else the class's own."""
    if type(instance) is kind:
        return {name: getattr(instance, name) for name in field_types(kind)}
    defaults: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = field.default_factory()
    return defaults


def _union(options: tuple[object, ...], value: object, at: Place, default: object) -> object:
    if value is None and NoneType in options:
        return None
    _check_distinct(options, at)
    sections = [option for option in options if is_section(option)]
    if sections and isinstance(value, Mapping):
        return _section(_tagged(sections, value, at, default), value, at, default)
    fitting = [option for option in options if option is not NoneType and _shape(option) == _shape_of(value)]
    if len(fitting) == 1:  # only one can be meant, so its own error says more than a list of all
        return convert(fitting[0], value, at)
    for option in sorted(fitting, key=lambda option: option is not type(value)):  # 3 stays an int in float | int
        try:
            return convert(option, value, at)
        except ConfigError:
            continue
    expected = " or ".join(dict.fromkeys(_describe(option) for option in options))
    raise at.mismatch(value, expected, f"its kind is {either(_kinds(sections))}" if len(sections) > 1 else "")


def _check_distinct(options: tuple[object, ...], at: Place) -> None:
    """Text, paths and quantities all look like text in a file: a union of them would read back as another type."""
    texts = [option for option in options if option in (str, Path)]
    if texts and (len(texts) > 1 or Tokens in options or Duration in options):
        raise TypeError(f"{at}: {' | '.join(str(option) for option in options)} cannot be told apart in a file")


def _tagged(sections: list[type], value: Mapping[str, object], at: Place, default: object) -> type:
    """The dataclass whose `kind` the mapping names; without a name, the one of the default."""
    if len(sections) == 1:
        return sections[0]
    kinds = _kinds(sections)
    if "kind" not in value:
        if type(default) in sections:
            return type(default)
        raise at.error(f"'kind' is missing; write kind: {either(kinds)}")
    chosen = value["kind"]
    if not isinstance(chosen, str) or chosen not in kinds:
        raise at.into("kind").mismatch(chosen, either(kinds), did_you_mean(chosen, kinds))
    return kinds[chosen]


def _kinds(sections: list[type]) -> dict[str, type]:
    return {kind: section for section in sections for kind in get_args(field_types(section)["kind"])}


def _shape(hint: object) -> str:
    origin = get_origin(hint)
    return "mapping" if is_section(hint) or origin is dict else "list" if origin in (list, tuple) else "one"


def _shape_of(value: object) -> str:
    return "mapping" if isinstance(value, Mapping) else "list" if isinstance(value, list | tuple) else "one"


def _describe(hint: object) -> str:
    if get_origin(hint) is Literal:
        return either(get_args(hint))
    shape = _shape(hint)
    return f"a {shape}" if shape != "one" else _EXPECTED[hint]


def _choice(options: tuple[object, ...], value: object, at: Place) -> object:
    for option in options:
        if type(option) is type(value) and option == value:  # 1 == True == 1.0 to Python
            return option
    hint = _QUOTE_IT if isinstance(value, bool) else did_you_mean(value, options)
    raise at.mismatch(value, either(options), hint)


def _sequence(hint: object, value: object, at: Place) -> object:
    if not isinstance(value, list | tuple):
        raise at.mismatch(value, "a list", "" if isinstance(value, Mapping) else "put it in [ ]")
    items = get_args(hint)
    if get_origin(hint) is list or items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise at.error(f"found a list of {len(value)}, expected one of {len(items)}")
    read = [convert(item, part, at.into(place)) for place, (item, part) in enumerate(zip(items, value, strict=True))]
    return read if get_origin(hint) is list else tuple(read)


def _dict(hint: object, value: object, at: Place) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise at.mismatch(value, "a mapping")
    for key in value:
        _scalar(str, key, at)
    return {key: convert(hint, part, at.into(key)) for key, part in value.items()}


def _scalar(kind: object, value: object, at: Place) -> object:
    if kind in (Tokens, Duration) and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return kind.parse(value)
        except ConfigError as refusal:
            raise at.error(str(refusal)) from None
    if kind is float:
        return _number(value, at)
    if kind is Path and (isinstance(value, Path) or (type(value) is str and value)):
        return Path(value)
    if type(value) is kind:  # not isinstance: True is an int to Python
        return value
    raise at.mismatch(value, _EXPECTED[kind], _way_out(kind, value))


def _number(value: object, at: Place) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _EXPONENT.fullmatch(value)):
        raise at.mismatch(value, _EXPECTED[float], _way_out(float, value))
    try:
        number = float(cast("float | str", value))
    except (OverflowError, ValueError):  # 10**400; 1__0e3
        number = math.nan
    if not math.isfinite(number):
        raise at.mismatch(value, "a finite number")
    return number


def _way_out(kind: object, value: object) -> str:
    """What to do about the usual accidents of YAML."""
    if kind is str and isinstance(value, bool):
        return _QUOTE_IT
    if kind in (str, Path) and isinstance(value, int | float):
        return "put it in quotes"
    if kind in (int, float) and isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        return "take off the quotes and any leading zeros"
    if kind is int and isinstance(value, str) and _EXPONENT.fullmatch(value):
        return "write all its digits, as in 1_000_000"
    return ""
