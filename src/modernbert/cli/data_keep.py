"""`modernbert data keep`: the documents of a corpus whose annotations are as they should be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from modernbert.bulk.keep import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Write the documents that fulfil conditions, for data tokenize to read; or all of them with what was found redacted."""

    input: tyro.conf.Positional[str]
    """The corpus, as it was given to annotate."""
    annotations: tyro.conf.Positional[str]
    """What annotate wrote."""
    out: tyro.conf.Positional[str]
    """A new folder, here or in a store: Parquet with id, text, source and the annotations."""
    where: tuple[str, ...] = ()
    """Conditions that all must hold, such as "score>=3" "scores.toxic<0.5" "label!=spam"."""
    redact: str | None = None
    """A column of entities; each is written as its label in place of its text."""
    figure: Path | None = None
    """A .png, .svg or .pdf of what was kept of each source."""
    text_field: str = "text"
    """Key or column of the text."""
    id_field: str = "id"
    """Key or column of the id."""
    source_field: str = "source"
    """Key or column that the report is grouped by; a document without one counts for its file."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Keep and report."""
        import json

        from modernbert.core.errors import UserError, require

        if not self.where and self.redact is None:
            raise UserError(
                "found no condition, expected --where or --redact: without one, everything would be kept as it is"
            )
        require("pyarrow", extra="data")
        from modernbert.bulk.keep import keep

        report = keep(
            self.input,
            self.annotations,
            self.out,
            where=self.where,
            redact=self.redact,
            text_field=self.text_field,
            id_field=self.id_field,
            source_field=self.source_field,
        )
        if self.figure is not None:
            from modernbert.bulk.keep_figure import draw

            draw(report, self.figure)
        if self.json:
            print(json.dumps(report.as_dict(), ensure_ascii=False))
            return
        for line in _lines(report):
            print(line)


def _lines(report: "Report") -> Iterator[str]:
    yield f"{'source':<24} {'documents':>12} {'kept':>12} {'share':>7} {'of its text':>12}"
    for name, counts in sorted(report.sources.items(), key=lambda item: -item[1].documents):
        text = counts.kept_characters / max(1, counts.characters)
        share = counts.kept / max(1, counts.documents)
        yield f"{name[:24]:<24} {counts.documents:>12,} {counts.kept:>12,} {share:>7.1%} {text:>12.1%}"
    yield f"{'all':<24} {report.documents:>12,} {report.kept:>12,} {report.kept / max(1, report.documents):>7.1%}"
