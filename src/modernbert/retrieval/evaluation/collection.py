"""A collection to search: documents, queries, and which of them belong together.

From a folder in BEIR's layout here, from others' places in `hub.py`. What does not fit together is said, once, in
numbers: a figure measured on half of the queries looks like any other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modernbert.core.errors import UserError
from modernbert.core.log import say
from modernbert.data.records import Record, read_records

_COMPRESSIONS = ("", ".xz", ".gz", ".zst", ".bz2")
_IDS = ("_id", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What is searched and what is asked. Every query has judged documents."""

    name: str
    documents: Mapping[str, str]
    """By id: title, a space and text."""
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]
    """Grades by query, then document; 0 is judged and not relevant. A judged document may be missing from `documents`: it
    counts as one that nobody found."""

    def fingerprint(self) -> str:
        """The same for the same texts, ids and grades, whatever the collection is called."""
        whole = hashlib.sha256()
        grades = ((f"{query}\t{document}", str(grade)) for query, found in self.relevant.items() for document, grade in found.items())  # fmt: skip
        for pairs in (self.documents.items(), self.queries.items(), grades):
            for one in sorted(pairs):
                for word in one:
                    raw = word.encode()
                    whole.update(b"%d:" % len(raw) + raw)  # the length keeps an id from running into its text
            whole.update(b"|")
        return whole.hexdigest()


def read_collection(folder: Path, *, split: str = "test") -> Collection:
    """A folder with corpus.jsonl, queries.jsonl (also .xz, .gz, .zst, .bz2) and qrels/SPLIT.tsv.

    Raises:
        UserError: a file is missing or damaged, or nothing in it fits together.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: there is no such folder, expected corpus.jsonl, queries.jsonl and qrels/{split}.tsv in it: check the "
            "path, or write hub:OWNER/NAME or mteb:TASK"
        )
    corpus, queries, qrels = (_file(folder, name) for name in ("corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv"))
    return fitted(
        folder.resolve().name,
        documents=texts(read_records(str(corpus)), str(corpus)),
        queries=texts(read_records(str(queries)), str(queries)),
        relevant=grades(read_records(str(qrels))),
    )


def texts(rows: Iterable[Record], place: str) -> dict[str, str]:
    """Texts by id; a title comes first.

    Raises:
        UserError: a row has no id or no text, or two have the same id.
    """
    found: dict[str, str] = {}
    for row in rows:
        id_ = next((row.values[name] for name in _IDS if row.values.get(name) is not None), None)
        text, title = row.values.get("text"), row.values.get("title") or ""
        if id_ is None or not isinstance(text, str) or not isinstance(title, str):
            raise UserError(
                f"{row.where}: found {', '.join(row.values) or 'nothing'}, expected _id and text, and perhaps a title, both "
                "texts"
            )
        if str(id_) in found:
            raise UserError(f"{row.where}: the id {str(id_)!r} is there already, expected each once")
        found[str(id_)] = f"{title} {text}".strip()
    if not found:
        raise UserError(f"{place}: there is no row in it, expected one or more: is it the right file?")
    return found


def grades(rows: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Grades by query and document, from rows of query-id, corpus-id and score.

    Raises:
        UserError: a row has other columns, or a grade that is no whole number from 0 on.
    """
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        try:
            query, document, grade = (row.values[name] for name in ("query-id", "corpus-id", "score"))
        except KeyError:
            raise UserError(
                f"{row.where}: found the columns {', '.join(row.values)}, expected query-id, corpus-id and score"
            ) from None
        number = _whole(grade)
        if number is None or number < 0:
            raise UserError(f"{row.where}: the score is {grade!r}, expected a whole number from 0 on")
        found.setdefault(str(query), {})[str(document)] = number
    return found


def fitted(
    name: str, *, documents: dict[str, str], queries: dict[str, str], relevant: dict[str, dict[str, int]]
) -> Collection:
    """Only the judged queries are asked; judgements of queries that do not exist are left out. Both are said.

    Raises:
        UserError: no judged query exists, or no judged document does.
    """
    lost = [query for query in relevant if query not in queries]
    kept = {query: found for query, found in relevant.items() if query in queries}
    judged = {document for found in kept.values() for document in found}
    absent = sum(document not in documents for document in judged)
    if not kept or absent == len(judged):
        what = "queries" if not kept else "documents"
        raise UserError(
            f"{name}: none of the {len(relevant) if not kept else len(judged):,} judged {what} is in the collection, expected "
            "their ids in it: do the files belong together?"
        )
    if lost:
        say(f"{name}: {len(lost):,} judged queries such as {lost[0]!r} are not in the collection and are left out")
    if absent:
        say(f"{name}: {absent:,} of {len(judged):,} judged documents are not in the collection: nobody can find them")
    if empty := sum(not any(found.values()) for found in kept.values()):
        say(f"{name}: {empty:,} queries have no relevant document: every ranking gets 0 for them")
    return Collection(name=name, documents=documents, queries={query: queries[query] for query in kept}, relevant=kept)


def _file(folder: Path, name: str) -> Path:
    for ending in _COMPRESSIONS:
        if (path := folder / f"{name}{ending}").is_file():
            return path
    beside = sorted(path.name.partition(".")[0] for path in (folder / name).parent.glob("*.tsv*"))
    hint = f"; there is {', '.join(beside)}: choose with --split" if beside else ""
    raise UserError(f"{folder}: found no {name}, expected BEIR's corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv{hint}")


def _whole(grade: object) -> int | None:
    try:
        number = float(str(grade))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
