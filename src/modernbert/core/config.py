"""Settings: YAML or JSON, read strictly into frozen dataclasses, and written back.

A section of a file is a dataclass, a choice is a union of dataclasses told apart by their field `kind`, and every
mistake is one sentence which starts with the place: `recipe.optim.weigth_decay: no such key; did you mean
'weight_decay'?`. Not for data: files of settings are small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from math import isfinite
from pathlib import Path
from typing import TypeVar, cast

from modernbert.core._fields import convert, field_types
from modernbert.core._flags import check_way, parse_flag
from modernbert.core._notation import dump, load
from modernbert.core._place import FLAGS, Keys, Place
from modernbert.core.files import write_atomically
from modernbert.core.quantities import Duration, Tokens

T = TypeVar("T")


def read(kind: type[T], *sources: Path | str | Mapping[str, object], overrides: Sequence[str] = ()) -> T:
    """Settings of that kind: defaults, then files or mappings from left to right, then overrides.

    Mappings merge, lists replace, and a mapping that names another `kind` replaces the whole section, for what was
    written for one optimizer says nothing about the next. An override is `optim.lr=3e-4`, its value read as YAML.
    Sections which are not written at all come from the defaults; a written dict replaces a default dict.

    Raises:
        ConfigError: anything that cannot be meant, in one sentence.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True, kw_only=True)
    ... class Optim:
    ...     lr: float
    ...     weight_decay: float = 1e-5
    >>> read(Optim, {"lr": 0.1}, overrides=["lr=8e-4"])
    Optim(lr=0.0008, weight_decay=1e-05)
    >>> read(Optim, {"lr": 0.1, "weigth_decay": 0})
    Traceback (most recent call last):
    modernbert.core.errors.ConfigError: config.weigth_decay: no such key; did you mean 'weight_decay'?
    """
    written: dict[str, object] = {}
    authors: dict[Keys, str] = {(): "config"}
    for source in sources:
        name, settings = ("config", source) if isinstance(source, Mapping) else (Path(source).stem, load(Path(source)))
        authors[()] = name
        _lay(settings, over=written, author=name, authors=authors)
    flags: dict[str, object] = {}  # one layer, so that their order does not matter when one of them names a kind
    for override in overrides:
        keys, value = parse_flag(override, kind)
        for below in (written, flags):
            check_way(keys, below)
        for key in reversed(keys):
            value = {key: value}
        _lay(cast("dict[str, object]", value), over=flags, author=FLAGS, authors={})
    _lay(flags, over=written, author=FLAGS, authors=authors)
    return cast("T", convert(kind, written, Place(authors)))


def to_plain(config: object) -> dict[str, object]:
    """All settings as JSON could hold them; `read` makes the same config of it.

    Raises:
        ConfigError: a value no file can hold, such as nan.
    """
    plain = _plain(config, Place({(): "config"}))
    assert isinstance(plain, dict), f"{type(config).__name__} is not a dataclass"
    return plain


def write(config: object, path: Path | str) -> None:
    """Write all settings to a YAML or JSON file, by its suffix; a crash leaves the old file.

    Raises:
        ConfigError: another suffix, or a value no file can hold.
    """
    text = dump(to_plain(config), Path(path))
    with write_atomically(path, "w") as file:
        file.write(text)


def _lay(
    above: Mapping[str, object], *, over: dict[str, object], author: str, authors: dict[Keys, str], at: Keys = ()
) -> None:
    """Merge one layer into those below it, and note who wrote what."""
    for key, value in above.items():
        here = (*at, key)
        authors[here] = author
        if not isinstance(value, Mapping):
            over[key] = value
            continue
        below = over.get(key)
        if not isinstance(below, dict) or _names_another_kind(value, below):
            below = over[key] = {}
        _lay(value, over=below, author=author, authors=authors, at=here)


def _names_another_kind(above: Mapping[str, object], below: Mapping[str, object]) -> bool:
    kinds = above.get("kind"), below.get("kind")
    return kinds[0] != kinds[1] and all(isinstance(kind, str) for kind in kinds)


def _plain(value: object, at: Place) -> object:
    if is_dataclass(value):
        return {name: _plain(getattr(value, name), at.into(name)) for name in field_types(type(value))}
    if isinstance(value, Path | Tokens | Duration):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(part, at.into(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, at.into(place)) for place, part in enumerate(value)]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise at.mismatch(value, "a setting that can be written down")
