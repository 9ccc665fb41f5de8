"""A run's folder belongs to one recipe: whoever comes with another is told what differs, before anything is lost."""

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from modernbert.core.config import to_plain
from modernbert.core.errors import ConfigError


def refuse_another(
    before: Any,
    now: Any,
    *,
    recipe: Path,
    flag: str,
    free: Collection[str] = (),
    ordered: Collection[str] = (),
) -> None:
    """Compare the settings that a folder holds with those of the run that wants to go on in it.

    Args:
        recipe: the file in the folder that the old run can be gone on with.
        flag: names another folder on the command line.
        free: settings, by their dotted path, that may change when a run goes on.
        ordered: mappings whose names and order count as one setting.

    Raises:
        ConfigError: they differ; the message names where, old and new.
    """
    old, new = to_plain(before), to_plain(now)
    changed = [
        place for f in fields(now) for place in _differences(old[f.name], new[f.name], f.name, free, ordered)
    ]  # fmt: skip
    if changed:
        raise ConfigError(
            f"{recipe.parent} holds a run of another recipe, which differs in {', '.join(changed[:4])}"
            f"{' and more' if len(changed) > 4 else ''}: go on with {recipe}, or choose another folder with {flag}"
        )


def _differences(old: object, new: object, at: str, free: Collection[str], ordered: Collection[str]) -> list[str]:
    if at in free:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [f"{at} ({old} there, {new} here)"]
    if list(old) != list(new) and at in ordered:
        return [f"{at} ({', '.join(old)} there, {', '.join(new)} here)"]
    return [
        place
        for key in dict.fromkeys([*old, *new])
        for place in _differences(old.get(key), new.get(key), f"{at}.{key}", free, ordered)
    ]
