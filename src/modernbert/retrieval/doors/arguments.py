"""What a tool of an assistant takes: its JSON schema, and one sentence for what does not fit to it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from modernbert.core.errors import UserError
from modernbert.core.jsonable import Json

Value = str | int | list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument; an absent one has its default."""

    about: str
    """For the assistant."""
    default: Value = None
    is_required: bool = False
    least: int | None = None
    """Given, it is a whole number, this or more; otherwise text."""
    most: int | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    """Whether a list of texts is taken, too."""

    def schema(self) -> dict[str, Json]:
        """As JSON Schema has it."""
        schema: dict[str, Json] = {"description": self.about, "type": "string" if self.least is None else "integer"}
        if self.many:
            schema["type"] = ["string", "array"]
            schema["items"] = {"type": "string"}
        if self.least is not None:
            schema["minimum"] = self.least
        if self.most is not None:
            schema["maximum"] = self.most
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default  # type: ignore[assignment]
        return schema

    def expected(self) -> str:
        """In words."""
        if self.least is not None:
            return f"a whole number from {self.least}" + (f" to {self.most}" if self.most else "")
        if self.choices:
            return " or ".join(self.choices)
        return "text or a list of texts" if self.many else "text that is not empty"

    def fits(self, value: object) -> bool:
        """Whether it may be this."""
        if self.least is not None:
            if not isinstance(value, int) or isinstance(value, bool):
                return False
            return self.least <= value and (self.most is None or value <= self.most)
        if self.many and isinstance(value, list):
            return all(isinstance(one, str) for one in value)
        return isinstance(value, str) and bool(value.strip()) and (not self.choices or value in self.choices)


def schema_of(arguments: Mapping[str, Argument]) -> dict[str, Json]:
    """Of a tool with these arguments and no others."""
    required: list[Json] = [name for name, argument in arguments.items() if argument.is_required]
    return {
        "type": "object",
        "properties": {name: argument.schema() for name, argument in arguments.items()},
        "required": required,
        "additionalProperties": False,
    }


def checked(tool: str, arguments: Mapping[str, Argument], given: Mapping[str, object]) -> dict[str, Value]:
    """All arguments of a call, with the defaults of those that were left out or null.

    Raises:
        UserError: one is unknown, missing or cannot be meant.
    """
    for name in given:
        if name not in arguments:
            close = difflib.get_close_matches(name, arguments, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(arguments) or 'none'}"
            raise UserError(f"{tool}: no such argument {name!r}; {hint}")
    values: dict[str, Value] = {}
    for name, argument in arguments.items():
        value = given.get(name)
        if value is None:
            if argument.is_required:
                raise UserError(f"{tool}: {name} is missing, expected {argument.expected()}")
            values[name] = argument.default
        elif argument.fits(value):
            values[name] = value  # type: ignore[assignment]
        else:
            raise UserError(f"{tool}: {name}: found {value!r}, expected {argument.expected()}")
    return values
