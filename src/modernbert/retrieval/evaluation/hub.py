"""Collections that others keep: sets of the Hub in BEIR's or mteb's layout, and the retrieval tasks of mteb by name.

mteb knows which revision of which set a task means; it is no part of the `retrieval` extra.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modernbert.core.errors import UserError, require
from modernbert.data.records import Record
from modernbert.retrieval.evaluation.collection import Collection, fitted, grades, texts


def of_hub(source: str, *, split: str = "test") -> Collection:
    """A set with configurations `corpus` and `queries`, its judgements under `default` or `qrels`, or in the set NAME-qrels.

    Args:
        source: an id of the Hub, or a folder in the layout of the Hub.

    Raises:
        UserError: it cannot be had, or is laid out otherwise.
    """
    corpus, queries = (_rows(source, name, split=None) for name in ("corpus", "queries"))
    first: UserError | None = None
    for place, subset in ((source, "default"), (source, "qrels"), (f"{source}-qrels", None)):
        try:
            judged = grades(_rows(place, subset, split=split))
        except UserError as error:
            first = first or error
            continue
        return fitted(
            source.rstrip("/").rpartition("/")[2],
            documents=texts(corpus, source),
            queries=texts(queries, source),
            relevant=judged,
        )
    raise UserError(f"{source!r} has no judgements {split!r} as default, qrels or in {source}-qrels: {first}")


def of_mteb(name: str, *, split: str = "test") -> Collection:
    """One of mteb's retrieval tasks, with the revision of its set that mteb means.

    Args:
        name: `TASK`, or `TASK/SUBSET` of a task that has several.

    Raises:
        MissingExtraError: mteb is not installed.
        UserError: there is no such task or subset, or its set cannot be had.
    """
    task_name, _, subset = name.partition("/")
    mteb: Any = require("mteb")
    try:
        task = mteb.get_task(task_name, hf_subsets=[subset] if subset else None)
    except (KeyError, ValueError) as error:
        reason = str(error.args[0] if error.args else error).removeprefix("KeyError: ")
        raise UserError(f"mteb knows no task {name!r} ({reason}): check the name") from None
    try:
        task.load_data()
    except Exception as error:
        raise _not_had(f"the set of mteb's {task_name}", error) from error
    return of_task(task, subset=subset, split=split)


def of_task(task: Any, *, subset: str = "", split: str = "test") -> Collection:
    """A loaded task of mteb: `task.dataset[subset][split]` holds corpus, queries and relevant_docs.

    Raises:
        UserError: it has no such subset or split.
    """
    name = task.metadata.name
    whole: Mapping[str, Any] = task.dataset
    chosen = subset or (next(iter(whole)) if len(whole) == 1 else "")
    if chosen not in whole:
        raise UserError(f"mteb's {name}: found no subset {subset!r}, expected mteb:{name}/SUBSET of {', '.join(whole)}")
    if split not in whole[chosen]:
        raise UserError(
            f"mteb's {name}: found no split {split!r}, expected one of {', '.join(whole[chosen])}: choose with --split"
        )
    data = whole[chosen][split]
    called = name if len(whole) == 1 else f"{name}-{chosen}"
    return fitted(
        called,
        documents=texts(_records(data["corpus"], called), called),
        queries=texts(_records(data["queries"], called), called),
        relevant={
            str(query): {str(document): int(grade) for document, grade in found.items()}
            for query, found in data["relevant_docs"].items()
        },
    )


def _rows(source: str, subset: str | None, *, split: str | None) -> Iterator[Record]:
    """All rows of a split; of the only one where none is named."""
    datasets: Any = require("datasets", extra="retrieval")
    try:
        found = datasets.load_dataset(source, subset)
    except Exception as error:
        raise _not_had(f"{source!r}, {subset}", error) from error
    if split is None:
        split = next(iter(found)) if len(found) == 1 else subset
    if split not in found:
        raise UserError(f"{source!r}, {subset}: found no split {split!r}, expected one of {', '.join(found)}")
    return _records(found[split], f"{source}, {subset}, {split}")


def _records(rows: Iterable[dict[str, object]], place: str) -> Iterator[Record]:
    for number, row in enumerate(rows, start=1):
        yield Record(row, f"{place}, row {number}")


def _not_had(what: str, error: Exception) -> UserError:
    return UserError(f"{what} cannot be had ({_reason(error)}): go online once, or give a folder in BEIR's layout")


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
