"""Settings from the command line: `optim.lr=3e-4` means what `optim: {lr: 3e-4}` means in a file."""

from collections.abc import Mapping
from typing import get_args, get_origin

from modernbert.core._fields import field_types, is_section, members
from modernbert.core._notation import parse_yaml
from modernbert.core._place import FLAGS, Place, show
from modernbert.core.errors import ConfigError


def parse_flag(flag: str, kind: type) -> tuple[list[str], object]:
    """The keys and the YAML value of one flag, with or without leading dashes, in snake or kebab case.

    Raises:
        ConfigError: no `=`, an empty key, or broken YAML.
    """
    path, equals, text = flag.removeprefix(FLAGS).partition("=")
    if not equals or not all(path.split(".")):
        raise ConfigError(f"{FLAGS}{path}: found {flag!r}, expected key=value as in optim.lr=3e-4")
    return _spell(path.split("."), kind), parse_yaml(text, FLAGS + path)


def check_way(keys: list[str], settings: Mapping[str, object]) -> None:
    """Refuse a flag that leads into something which is no mapping: it would silently drop what is there.

    Raises:
        ConfigError: one of the keys before the last holds a list or a plain value.
    """
    here: object = settings
    for place, key in enumerate(keys[:-1], start=1):
        here = here.get(key) if isinstance(here, Mapping) else None
        if here is None:
            return
        if not isinstance(here, Mapping):
            whole = ".".join(keys[:place])
            raise Place({(): FLAGS}, tuple(keys)).error(
                f"{whole} holds {show(here)}, expected a mapping; replace it as a whole with {whole}=..."
            )


def _spell(keys: list[str], hint: object) -> list[str]:
    """Kebab case becomes snake case where a field has that name; the keys of a dict stay as they are."""
    spelled = []
    for key in keys:
        options = members(hint)
        fields = {name: kind for option in options if is_section(option) for name, kind in field_types(option).items()}
        values = [get_args(option)[1] for option in options if get_origin(option) is dict]
        name = key.replace("-", "_")
        spelled.append(name if name in fields else key)
        hint = fields.get(name, values[0] if values else None)
    return spelled
