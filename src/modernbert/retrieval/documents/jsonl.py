"""JSON lines to documents, one each: a text, a name, and all other fields as metadata."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from modernbert.core.jsonable import Json
from modernbert.retrieval.documents.decode import decode
from modernbert.retrieval.documents.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The names of fields in JSON lines."""

    text: str = "text"
    id: tuple[str, ...] = ("id", "_id")
    """The first that is there. A line without gets a name from its text, which it keeps when lines are put in before it."""
    title: str = "title"


def read_jsonl(data: bytes, id_: str, path: str, fields: Fields, faults: list[str]) -> Iterator[Document]:
    """The documents in order. A line that gives none is left out and told in `faults`, with its number.

    Raises:
        UnreadableError: the file is binary, or no text.
    """
    seen: dict[str, int] = {}
    unnamed: Counter[str] = Counter()
    for number, line in enumerate(decode(data, path).text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        row = _row(line, fields, where, faults)
        if row is None:
            continue
        text = str(row.pop(fields.text))
        name = next((str(row.pop(field)) for field in fields.id if isinstance(row.get(field), str | int)), None)
        if name is None:
            name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
            unnamed[name] += 1
            name = name if unnamed[name] == 1 else f"{name}-{unnamed[name]}"
        if name in seen:
            faults.append(f"{where}: the id {name!r} is that of line {seen[name]}, expected each once: left out")
            continue
        seen[name] = number
        title = row.get(fields.title)
        yield Document(
            id=f"{id_}#{name}", path=path, text=text, kind="jsonl", line=number, metadata=row,
            title=" ".join(title.split()) if isinstance(title, str) else "",
        )  # fmt: skip


def _row(line: str, fields: Fields, where: str, faults: list[str]) -> dict[str, Json] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        faults.append(f"{where}: is no JSON ({error}), expected an object a line: left out")
        return None
    text = row.get(fields.text) if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        faults.append(f'{where}: has no text under {fields.text!r}, expected {{"{fields.text}": "..."}}: left out')
        return None
    return row
