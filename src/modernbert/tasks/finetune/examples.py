"""From rows to examples: texts checked, labels by name turned into numbers, and every mismatch told with its row.

The labels are those of the training rows; a label that only other rows have is refused, with the one it looks like.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Literal, cast

from modernbert.core.errors import UserError
from modernbert.data.records import Record
from modernbert.tasks.config import Task
from modernbert.text.clean import find_surrogate

Target = int | float | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, or a pair, with its label, its labels or its score."""

    text: str
    pair: str | None
    target: Target


@dataclass(frozen=True, slots=True)
class Tagged:
    """Words with a tag each."""

    words: tuple[str, ...]
    tags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a text, and where the answer stands; no answer: the text does not say."""

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]
    """Text and first character of each."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The beginning that all choices share, the choices, and which is right."""

    text: str
    choices: tuple[str, ...]
    target: int


Example = Labelled | Tagged | Asked | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """All examples of a run, and what their numbers mean."""

    labels: tuple[str, ...]
    """By number; of regression and multiple choice one, of question answering two."""
    train: list[Example]
    validation: list[Example]
    test: list[Example]


def label_names(task: Task, rows: Sequence[Record], columns: Mapping[str, str]) -> tuple[str, ...]:
    """The labels that the rows have, in order: numbers by size, names by the alphabet, `O` first among tags.

    Where a column such as `label_name` says what each number means, those names are the labels.

    Raises:
        UserError: all rows have the same label, or one has none.
    """
    if task in ("regression", "multiple_choice"):
        return ("score",)
    if task == "qa":
        return ("start", "end")
    if task == "token_cls":
        found = {str(tag) for row in rows for tag in _sequence(row, columns["tags"])}
        return tuple(sorted(found, key=_tag_order))
    if task == "multi_label":
        found = {_name(label, row) for row in rows for label in _sequence(row, columns["label"])}
        return tuple(sorted(found, key=_order))
    values = {_name(_present(row, columns["label"]), row) for row in rows}
    if len(values) < 2:
        raise UserError(
            f"{rows[0].where.partition(',')[0]}: all {len(rows):,} training rows have the label {next(iter(values))!r}, expected "
            "two labels or more: there is nothing to learn"
        )
    return tuple(sorted(values, key=_order))


def named_rows(rows: Sequence[Record], column: str) -> list[Record]:
    """Numbered labels replaced by what the column beside them (`label_name`, `label_text`) calls them, where there is one.

    Raises:
        UserError: one number has two names, or the other way round.
    """
    beside = next((f"{column}_{end}" for end in ("name", "text") if f"{column}_{end}" in rows[0].values), None)
    if beside is None or not all(isinstance(row.values.get(beside), str) for row in rows):
        return list(rows)
    names: dict[object, object] = {}
    numbers: dict[object, object] = {}
    for row in rows:
        number, name = row.values.get(column), row.values[beside]
        if names.setdefault(number, name) != name or numbers.setdefault(name, number) != number:
            raise UserError(
                f"{row.where}: {column} {number!r} is called {name!r}, elsewhere {names[number]!r}: expected one name a "
                "number; mend the rows or drop one of the columns"
            )
    return [Record({**row.values, column: row.values[beside]}, row.where) for row in rows]


def to_examples(
    task: Task, rows: Sequence[Record], columns: Mapping[str, str], labels: Sequence[str], *, split: str
) -> list[Example]:
    """Every row as an example.

    Raises:
        UserError: the first row that is not one, with its place.
    """
    number = {name: i for i, name in enumerate(labels)}
    make: Mapping[Task, Callable[[Record], Example]] = {
        "seq_cls": lambda row: _labelled(row, columns, _number(row, columns["label"], number, split)),
        "multi_label": lambda row: _labelled(
            row,
            columns,
            tuple(sorted({_known(_name(each, row), number, row, split) for each in _sequence(row, columns["label"])})),
        ),
        "regression": lambda row: _labelled(row, columns, _score(row, columns["label"])),
        "token_cls": lambda row: _tagged(row, columns, number, split),
        "qa": lambda row: _asked(row, columns),
        "multiple_choice": lambda row: _choice(row, columns),
    }
    return [make[task](row) for row in rows]


def _labelled(row: Record, columns: Mapping[str, str], target: Target) -> Labelled:
    pair = _text(row, columns["text_pair"]) if "text_pair" in columns else None
    return Labelled(_text(row, columns["text"]), pair, target)


def _tagged(row: Record, columns: Mapping[str, str], number: Mapping[str, int], split: str) -> Tagged:
    words, tags = _sequence(row, columns["tokens"]), _sequence(row, columns["tags"])
    if len(words) != len(tags):
        raise UserError(
            f"{row.where}: found {len(words)} words and {len(tags)} tags, expected a tag for each word: mend the row"
        )
    if not words:
        raise UserError(f"{row.where}: found no word, expected one or more: drop the row")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise UserError(
                f"{row.where}: found the word {word!r}, expected text that is not white space: mend the row"
            )
    return Tagged(tuple(map(str, words)), tuple(_known(str(tag), number, row, split) for tag in tags))


def _asked(row: Record, columns: Mapping[str, str]) -> Asked:
    context = _text(row, columns["context"])
    found = _present(row, columns["answers"])
    texts: list[str] | None
    starts: list[int] | None
    if isinstance(found, Mapping):  # SQuAD's: lists of texts and of places
        texts, starts = cast("list[str] | None", found.get("text")), cast("list[int] | None", found.get("answer_start"))
    elif isinstance(found, Sequence) and not isinstance(found, str):
        pairs = [(each.get("text"), each.get("answer_start")) for each in found if isinstance(each, Mapping)]
        texts, starts = cast("list[str]", [text for text, _ in pairs]), cast("list[int]", [start for _, start in pairs])
    else:
        texts = starts = None
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise UserError(
            f"{row.where}: answers are {str(found)[:60]!r}, expected SQuAD's "
            '{"text": ["..."], "answer_start": [17]}, both lists empty where the text does not say'
        )
    for text, start in zip(texts, starts, strict=True):
        if (
            not isinstance(text, str)
            or not isinstance(start, int)
            or context[start : start + len(text)] != text
            or not text
        ):
            raise UserError(
                f"{row.where}: the answer {text!r} does not stand at character {start} of the context, found "
                f"{context[start : start + len(text)] if isinstance(start, int) else start!r}: mend answer_start"
            )
    question = _text(row, columns["question"])
    return Asked(str(row.values.get("id", row.where)), question, context, tuple(zip(texts, starts, strict=True)))


def _choice(row: Record, columns: Mapping[str, str]) -> Choice:
    column = columns["choices"]
    if column.endswith("*"):
        choices = [row.values[name] for name in sorted(row.values) if name.startswith(column[:-1])]
    else:
        choices = _sequence(row, column)
    if len(choices) < 2 or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise UserError(f"{row.where}: found the choices {choices!r}, expected two texts or more: mend the row")
    label = _present(row, columns["label"])
    number = int(label) if isinstance(label, int) or (isinstance(label, str) and label.isdigit()) else -1
    if not 0 <= number < len(choices):
        raise UserError(
            f"{row.where}: the right choice is {label!r}, expected a number from 0 to {len(choices) - 1}: mend the row"
        )
    return Choice(_text(row, columns["text"]), tuple(map(str, choices)), number)


def _text(row: Record, column: str) -> str:
    text = _present(row, column)
    if not isinstance(text, str):
        raise UserError(f"{row.where}: {column!r} is {text!r:.60}, expected text: convert it or drop the row")
    if not text.strip():
        raise UserError(f"{row.where}: {column!r} is empty, expected text: drop the row")
    if (place := find_surrogate(text)) is not None:
        raise UserError(f"{row.where}: {column!r} is not valid Unicode at character {place}: replace it")
    return text


def _score(row: Record, column: str) -> float:
    found = _present(row, column)
    try:
        score = float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        score = float("nan")
    if isinstance(found, bool) or not isfinite(score):
        raise UserError(f"{row.where}: {column!r} is {found!r}, expected a number: convert it or drop the row")
    return score


def _number(row: Record, column: str, number: Mapping[str, int], split: str) -> int:
    return _known(_name(_present(row, column), row), number, row, split)


def _known(name: str, number: Mapping[str, int], row: Record, split: str) -> int:
    if name in number:
        return number[name]
    close = get_close_matches(name, number, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "mend the row or add such rows to train"
    shown = ", ".join(map(repr, list(number)[:12])) + (" and more" if len(number) > 12 else "")
    raise UserError(f"{row.where}: the {split} label {name!r} is in no training row, found {shown} there: {hint}")


def _name(label: object, row: Record) -> str:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, str | int) or label == "":
        hint = "for scores give --task regression" if isinstance(label, float) else "mend or drop the row"
        raise UserError(f"{row.where}: the label is {label!r}, expected a name or a whole number: {hint}")
    return str(label)


def _sequence(row: Record, column: str) -> list:
    found = _present(row, column)
    if isinstance(found, list | tuple):
        return list(found)
    raise UserError(
        f"{row.where}: {column!r} is {str(found)[:60]!r}, expected a list: CSV cannot hold one, JSON lines can"
    )


def _present(row: Record, column: str) -> object:
    found = row.values.get(column)
    if found is None:
        what = "null" if column in row.values else "missing"
        raise UserError(f"{row.where}: {column!r} is {what}, expected a value: mend or drop the row")
    return found


def _order(name: str) -> tuple[Literal[0, 1], float, str]:
    return (0, float(name), "") if name.lstrip("-").isdigit() else (1, 0.0, name)


def _tag_order(tag: str) -> tuple[bool, str, str]:
    return (tag != "O", tag[2:] or tag, tag)
