"""From a corpus and its annotations to the documents worth keeping, as a corpus again.

File by file and row by row, each beside its annotation: nothing is held but a batch of either.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from modernbert.bulk.output import Output, sidecar_name, table_name
from modernbert.core.errors import UserError
from modernbert.data.corpus_files import CorpusFile, CorpusReader, CorpusRow, corpus_files

_CONDITION = re.compile(r"([\w.\- ]+?)\s*(>=|<=|!=|=|>|<)\s*(.+)")
_BATCH = 1024
_BINS = 40


@dataclass(frozen=True, slots=True)
class Condition:
    """`score>=3`, `scores.toxic<0.5`, `label=good`: what an annotation must be."""

    column: str
    sign: str
    value: str

    @classmethod
    def of(cls, text: str) -> "Condition":
        """As it is written.

        Raises:
            UserError: it is none.

        >>> Condition.of("scores.toxic < 0.5")
        Condition(column='scores.toxic', sign='<', value='0.5')
        """
        found = _CONDITION.fullmatch(text.strip())
        if found is None:
            raise UserError(
                f"--where {text!r}: found no condition, expected such as score>=3, scores.toxic<0.5 or label=good"
            )
        return cls(found[1], found[2], found[3].strip())

    def holds(self, row: dict[str, object]) -> bool:
        """Of one row.

        Raises:
            UserError: the column is not there, or holds no numbers to compare.
        """
        found = self.value_in(row)
        if isinstance(found, list):
            is_in = self.value in found
            return is_in if self.sign == "=" else not is_in
        if isinstance(found, str):
            if self.sign not in ("=", "!="):
                raise UserError(
                    f"--where {self.column}{self.sign}{self.value}: {self.column} is text: compare it with = or !="
                )
            return (found == self.value) == (self.sign == "=")
        return _compared(float(found), self.sign, self._number())  # type: ignore[arg-type]

    def value_in(self, row: dict[str, object]) -> object:
        """What it compares."""
        found: object = row
        for part in self.column.split("."):
            if not isinstance(found, dict) or part not in found:
                raise UserError(f"--where {self.column}: there is no such column: expected one that annotate wrote")
            found = found[part]
        return found

    def _number(self) -> float:
        try:
            return float(self.value)
        except ValueError:
            raise UserError(
                f"--where {self.column}{self.sign}{self.value}: {self.column} is a number, found {self.value!r}: give a number"
            ) from None


@dataclass(slots=True)
class Counts:
    """Of one source."""

    documents: int = 0
    kept: int = 0
    characters: int = 0
    kept_characters: int = 0
    values: list[int] = field(default_factory=lambda: [0] * _BINS)
    """How many documents fell into each part of the range of what the first condition asks."""


@dataclass(slots=True)
class Report:
    """What was kept, by source."""

    where: list[str]
    low: float
    high: float
    """Of the numbers that the first condition compares; equal where it compares none."""
    sources: dict[str, Counts] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Documents."""
        return sum(each.kept for each in self.sources.values())

    @property
    def documents(self) -> int:
        """Before."""
        return sum(each.documents for each in self.sources.values())

    def count(
        self, source: str, text: str, marks: dict[str, object], conditions: Sequence[Condition], *, is_kept: bool
    ) -> None:
        """One document more."""
        counts = self.sources.setdefault(source, Counts())
        counts.documents += 1
        counts.characters += len(text)
        counts.kept += is_kept
        counts.kept_characters += len(text) if is_kept else 0
        if conditions and self.high > self.low:
            at = (float(conditions[0].value_in(marks)) - self.low) / (self.high - self.low)  # type: ignore[arg-type]
            counts.values[min(_BINS - 1, int(at * _BINS))] += 1

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "documents": self.documents, "kept": self.kept}


def keep(
    path: str,
    annotations: str,
    out: str,
    *,
    where: Sequence[str],
    redact: str | None = None,
    text_field: str = "text",
    id_field: str = "id",
    source_field: str = "source",
) -> Report:
    """Write the documents whose annotations fulfil all conditions: Parquet with id, text, source and the annotations.

    Args:
        path: the corpus, as it was annotated.
        annotations: what annotate wrote.
        out: a new or empty folder.
        redact: a column of entities; each is written as its label, such as [PERSON], in place of its text.
        source_field: key or column by which the report is grouped; a document without one counts for its file.

    Raises:
        UserError: a file is not annotated yet, or is another than was annotated.
    """
    conditions = [Condition.of(each) for each in where]
    shards, marks, target = corpus_files(path), Output(annotations), Output(out)
    if target.names():
        raise UserError(f"{out} is not empty: choose another folder for what is kept")
    done = marks.finished([shard.name for shard in shards])
    for shard in shards:
        if shard.name not in done:
            raise UserError(
                f"{shard.path} is not annotated in {annotations} (there is no {sidecar_name(shard.name)}): finish it with "
                "modernbert annotate first"
            )
        if done[shard.name].size != shard.size:
            raise UserError(f"{shard.path} has changed since it was annotated: annotate it again first")
    low, high = _range(conditions[0].column, shards, marks) if conditions else (0.0, 0.0)
    report = Report(where=list(where), low=low, high=high)
    chosen = _Chosen(conditions, redact, report)
    for shard in shards:
        reader = CorpusReader(shard, text_field=text_field, id_field=id_field, also=(source_field,))
        _keep_shard(reader, marks, target, chosen, source_field)
    return report


def redacted(text: str, entities: Sequence[dict[str, object]]) -> str:
    """The text with each entity as its label.

    >>> redacted("Ask Ada now", [{"start": 4, "end": 7, "label": "PERSON"}])
    'Ask [PERSON] now'
    """
    for entity in sorted(entities, key=lambda each: -int(each["start"])):  # type: ignore[call-overload]
        text = f"{text[: entity['start']]}[{entity['label']}]{text[entity['end'] :]}"  # type: ignore[misc]
    return text


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is kept, how, and the count of it."""

    conditions: Sequence[Condition]
    redact: str | None
    report: Report


def _keep_shard(reader: CorpusReader, marks: Output, target: Output, chosen: _Chosen, source_field: str) -> None:
    shard = reader.file
    rows = reader.rows(lambda *_: None)
    with marks.open(table_name(shard.name)) as file, target.write(table_name(shard.name)) as out, ExitStack() as opened:
        table = pq.ParquetFile(file)
        schema = _schema(table.schema_arrow)
        writer = opened.enter_context(pq.ParquetWriter(out, schema, compression="zstd"))
        for batch in table.iter_batches(batch_size=_BATCH):
            beside = list(islice(rows, batch.num_rows))
            if [row.number for row in beside] != batch.column("row").to_pylist():
                raise UserError(f"{shard.path}: its rows are not those that were annotated: annotate it again")
            sources = [str(row.values.get(source_field) or shard.name) for row in beside]
            texts, kept = _choose(batch, beside, sources, chosen)
            added = {"text": pa.array(texts, pa.string()), "source": pa.array(sources, pa.string())}
            columns = {name: added[name] if name in added else batch.column(name) for name in schema.names}
            writer.write_table(pa.table(columns, schema=schema).filter(pa.array(kept)))


def _choose(
    batch: pa.RecordBatch, rows: Sequence[CorpusRow], sources: Sequence[str], chosen: _Chosen
) -> tuple[list[str], list[bool]]:
    """The texts as they are to be written, and whether each is."""
    asked = {each.column.partition(".")[0] for each in chosen.conditions} | (
        {chosen.redact} if chosen.redact else set()
    )
    if chosen.redact and chosen.redact not in batch.schema.names:
        raise UserError(f"--redact {chosen.redact}: there is no such column, found {', '.join(batch.schema.names)}")
    found = batch.select([name for name in batch.schema.names if name in asked]).to_pylist()
    texts, kept = [], []
    for row, source, marks in zip(rows, sources, found, strict=True):
        is_kept = all(each.holds(marks) for each in chosen.conditions)
        chosen.report.count(source, row.text, marks, chosen.conditions, is_kept=is_kept)
        texts.append(redacted(row.text, marks[chosen.redact]) if chosen.redact and is_kept else row.text)
        kept.append(is_kept)
    return texts, kept


def _schema(annotated: pa.Schema) -> pa.Schema:
    own = [field for field in annotated if field.name not in ("row", "id")]
    if taken := {"text", "source"} & {field.name for field in own}:
        raise UserError(
            f"annotations have a column {taken.pop()!r}, which the document has, too: name the model otherwise"
        )
    return pa.schema([("id", pa.string()), ("text", pa.string()), ("source", pa.string()), *own])


def _range(column: str, shards: Sequence[CorpusFile], marks: Output) -> tuple[float, float]:
    """Of a column of numbers in all files, by the statistics that Parquet keeps; equal ends for any other."""
    lows, highs = [], []
    for shard in shards:
        with marks.open(table_name(shard.name)) as file:
            groups = pq.ParquetFile(file).metadata
            for group in range(groups.num_row_groups):
                for number in range(groups.num_columns):
                    of = groups.row_group(group).column(number)
                    if of.path_in_schema == column and of.is_stats_set and isinstance(of.statistics.min, int | float):
                        lows.append(float(of.statistics.min))
                        highs.append(float(of.statistics.max))
    return (min(lows), max(highs)) if lows else (0.0, 0.0)


def _compared(found: float, sign: str, wanted: float) -> bool:
    return {
        ">=": found >= wanted,
        "<=": found <= wanted,
        ">": found > wanted,
        "<": found < wanted,
        "=": found == wanted,
        "!=": found != wanted,
    }[sign]
