"""From a row of any format to a document, or a sentence about what is wrong with the row."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from modernbert.data._faults import Faults
from modernbert.text.clean import find_surrogate


@dataclass(frozen=True, slots=True)
class Fields:
    """Which keys or columns to read."""

    text: str
    id: str


@dataclass(frozen=True, slots=True)
class Row:
    """Values by key, and where they come from."""

    values: dict[str, object]
    where: str
    """For messages."""
    name: str
    """The id of a row that has none."""
    number: int = 1
    """Of the row or line in its file, from 1."""


def to_document(row: Row, fields: Fields, faults: Faults) -> tuple[str, str] | None:
    """Id and text; nothing when the row is at fault and faults are skipped."""
    if fields.text not in row.values:
        return faults.meet(row.where, missing(fields.text, row.values))
    text = row.values[fields.text]
    if not isinstance(text, str):
        kind = "null" if text is None else f"of type {type(text).__name__}"
        return faults.meet(row.where, f"{fields.text!r} is {kind}, expected text: convert it or drop the row")
    own = row.values.get(fields.id)
    name = str(own) if isinstance(own, str | int) and not isinstance(own, bool) and own != "" else row.name
    for field, value in ((fields.text, text), (fields.id, name)):
        if (place := find_surrogate(value)) is not None:
            return faults.meet(
                row.where,
                f"{field!r} holds a lone surrogate U+{ord(value[place]):04X} at character {place}, which is not valid"
                " Unicode: replace it",
            )
    return name, text


def missing(field: str, there: Collection[str]) -> str:
    """The sentence about a key or column that is not there."""
    close = get_close_matches(field, there, n=1)
    names = ", ".join(map(repr, sorted(there)[:20])) or "nothing"
    hint = f"did you mean {close[0]!r}?" if close else "say which one holds the text"
    return f"there is no {field!r}, found {names}: {hint}"
