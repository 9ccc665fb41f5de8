"""Which column is what: guessed from names that people use, shown, and refused where two guesses are as good.

A role is what a task reads (text, label, tags); a column is what a file calls it.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from modernbert.core.errors import UserError
from modernbert.data.records import Record
from modernbert.tasks.config import Task

_PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text", "text_pair"),
    ("query", "document"),
    ("query", "passage"),
)
_TEXTS = ("text", "sentence", "content", "review", "document", "body", "message", "comment", "question", "utterance")
_LABELS = ("label", "labels", "class", "category", "target", "sentiment", "intent")
_SCORES = ("score", "similarity", "rating", "stars", "label", "labels", "target", "value")
_NAMES: Mapping[str, Sequence[str]] = {
    "tokens": ("tokens", "words"),
    "tags": ("tags", "ner_tags", "labels", "pos_tags"),
    "context": ("context", "passage", "document"),
    "question": ("question", "query"),
    "answers": ("answers", "answer"),
    "choices": ("choices", "endings", "options"),
}
_STEMS = ("text", "question", "context", "startphrase", "sent1", "premise", "prompt", "ctx")

ROLES_OF: Mapping[Task, tuple[str, ...]] = {
    "seq_cls": ("text", "label"),
    "multi_label": ("text", "label"),
    "regression": ("text", "label"),
    "token_cls": ("tokens", "tags"),
    "qa": ("question", "context", "answers"),
    "multiple_choice": ("text", "choices", "label"),
}
"""What each task cannot do without; a `text_pair` may come on top."""


def find_columns(task: Task, first: Record, said: Mapping[str, str]) -> dict[str, str]:
    """Column by role; those that were said, and guesses for the others.

    Raises:
        UserError: a column that was said is not there, or one that is needed cannot be guessed.
    """
    there = list(first.values)
    for role, column in said.items():
        if column not in there:
            close = get_close_matches(column, there, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "name one of those"
            raise UserError(f"{first.where}: there is no column {column!r} for {role}, found {_list(there)}: {hint}")
    found = dict(said)
    if task in ("seq_cls", "multi_label", "regression"):
        if "text" not in found:
            found = _text_and_pair(there, first) | found
        if "label" not in found:
            names = _SCORES if task == "regression" else _LABELS
            found |= _first("label", names, [name for name in there if name not in found.values()])
    elif task == "multiple_choice":
        found = _first("text", _STEMS, there) | _first("choices", _NAMES["choices"], there) | found
        found = _first("label", _LABELS, there) | found
        if "choices" not in found and "ending0" in there:
            found["choices"] = "ending*"
    else:
        for role in ROLES_OF[task]:
            if role not in found:
                found |= _first(role, _NAMES[role], there)
    for role in ROLES_OF[task]:
        if role not in found:
            raise UserError(
                f"{first.where}: {task} needs a column for {role}, found {_list(there)}: say which one it is with "
                f"--columns.{role.replace('_', '-')}=NAME"
            )
    return found


def _text_and_pair(there: Sequence[str], first: Record) -> dict[str, str]:
    pairs = [pair for pair in _PAIRS if set(pair) <= set(there)]
    if len(pairs) > 1:
        raise UserError(
            f"{first.where}: found columns for {' and for '.join(' with '.join(pair) for pair in pairs)}, expected one "
            "pair of texts: say which with --columns.text=NAME and --columns.text-pair=NAME"
        )
    if pairs:
        return {"text": pairs[0][0], "text_pair": pairs[0][1]}
    texts = [name for name in _TEXTS if name in there]
    if len(texts) > 1:
        raise UserError(
            f"{first.where}: each of the columns {_list(texts)} could be the text, expected one: say which with "
            "--columns.text=NAME (and --columns.text-pair=NAME, if two belong together)"
        )
    return {"text": texts[0]} if texts else {}


def _first(role: str, names: Sequence[str], there: Sequence[str]) -> dict[str, str]:
    return next(({role: name} for name in names if name in there), {})


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) or "none"
