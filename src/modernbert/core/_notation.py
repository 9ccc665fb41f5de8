"""YAML and JSON text to plain values and back, without YAML's traps.

Refused: a key that stands twice (PyYAML keeps the last), a key that is not text (`no: 0.3` has the key False), a value
that contains itself. Read as the text they are: 012 (YAML 1.1: ten), 1:30 (ninety) and 2024-01-01 (a date). Which type
a value must have is not decided here.
"""

import json
import re
from pathlib import Path

import yaml

from modernbert.core._place import show
from modernbert.core.errors import ConfigError

SUFFIXES = (".yaml", ".yml", ".json")


def load(path: Path) -> dict[str, object]:
    """The mapping in a YAML or JSON file.

    Raises:
        ConfigError: no such file, broken text (with line and column), an empty file, or no mapping at the top.
    """
    _check_suffix(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as failure:
        reason = (failure.strerror or str(failure)).lower()
        raise ConfigError(f"{path}: cannot read it ({reason}); expected a YAML or JSON file") from None
    except UnicodeDecodeError as failure:
        raise ConfigError(f"{path}: byte {failure.start} is not UTF-8; save the file as UTF-8") from None
    value = _parse_json(text, str(path)) if path.suffix == ".json" else parse_yaml(text, str(path))
    if value is None:
        raise ConfigError(f"{path}: the file is empty; expected a mapping such as 'seed: 17'")
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: found {show(value)} at the top, expected a mapping such as 'seed: 17'")
    return value


def parse_yaml(text: str, name: str) -> object:
    """One YAML value; `name` says in an error where the text stands."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = ", ".join(filter(None, (broken.context, broken.problem)))
    except (yaml.YAMLError, ValueError) as broken:  # a forbidden character; !!int x; an int beyond 4,300 digits
        where, reason = "", str(broken)
    except RecursionError:
        where, reason = "", "nested too deeply to read"
    raise ConfigError(f"{name}{where}: {' '.join(reason.split())}")


def dump(plain: dict[str, object], path: Path) -> str:
    """The text of a YAML or JSON file, by the suffix of `path`; keys keep their order."""
    _check_suffix(path)
    if path.suffix == ".json":
        return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: found the suffix {path.suffix!r}, expected {', '.join(SUFFIXES[:-1])} or .json")


def _parse_json(text: str, name: str) -> object:
    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_twins(pairs, name))
    except json.JSONDecodeError as broken:
        reason = broken.msg[0].lower() + broken.msg[1:]
        raise ConfigError(f"{name}, line {broken.lineno}, column {broken.colno}: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply to read") from None


def _without_twins(pairs: list[tuple[str, object]], name: str) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ConfigError(f"{name}: the key {twin!r} stands twice in one mapping; keep one")
    return mapping


class _Loader(yaml.SafeLoader):
    """SafeLoader, stricter where YAML would guess."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's way to fill it is below)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open_anchors: set[str | None] = set()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent) and anchor in self._open_anchors:
            raise yaml.MarkedYAMLError(problem=f"*{anchor} contains itself", problem_mark=event.start_mark)
        self._open_anchors |= {anchor}
        node = super().compose_node(parent, index)
        self._open_anchors -= {anchor}
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:  # pyright: ignore[reportIncompatibleMethodOverride]
        # Here and not in construct_mapping, where `<<` has already copied its keys into the node.
        node = super().compose_mapping_node(anchor)  # pyright: ignore[reportArgumentType]
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem=_key_trap(key), problem_mark=key.start_mark)
            if key.value in lines:
                problem = (
                    f"the key {key.value!r} stands twice in one mapping, first in line {lines[key.value]}; keep one"
                )
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return node


def _key_trap(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return "found a list or a mapping as a key, expected text"
    return f"YAML reads the key {key.value} as {key.tag.rsplit(':')[-1]}, expected text; put it in quotes"


# YAML 1.1 as PyYAML has it, less octal, sexagesimal and dates. 8e-4 stays text here; where a number is expected, the
# reader of fields knows it for one, and a git revision such as 1234e56 stays text where text is expected.
for _tag, _pattern, _first in (
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


class _Dumper(yaml.SafeDumper):
    """SafeDumper, with short lists on one line and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_list(dumper: _Dumper, items: list[object]) -> yaml.SequenceNode:
    is_short = not any(isinstance(item, dict | list) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=is_short)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Left to itself PyYAML writes some line breaks (\x85, \u2028) raw, and then reads a space.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
