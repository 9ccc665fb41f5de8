"""Folders for the Hub: weights that transformers 4 and 5 open, graphs for transformers.js and Optimum beside them, and a card
that says what each graph cost."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from modernbert.core.files import atomic_folder
from modernbert.export.check import MOST_LOST
from modernbert.export.graph import Precision
from modernbert.export.legacy import export_legacy
from modernbert.export.write import LostTooMuchError, Report, export
from modernbert.infer.light import Head
from modernbert.model.card import parted
from modernbert.model.folder import check_free
from modernbert.model.hub import folder_of

_PIPELINES: Mapping[Head, str] = {
    "embedding": "sentence-similarity",
    "late": "sentence-similarity",
    "trunk": "feature-extraction",
}
"""The Hub's word where it is not the head's own."""

_LIBRARIES: Mapping[Head, str] = {"embedding": "sentence-transformers", "late": "PyLate"}

_SAYS: Mapping[str, str] = {"float32": "fp32", "float16": "fp16", "int8": "q8"}
"""The `dtype` by which transformers.js asks for it; it has none for bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What lies in the folder, and what does not."""

    graphs: tuple[Report, ...]
    refused: tuple[str, ...]
    """Why graphs that were asked for are missing: rounding cost them too much."""


def export_hub(
    name: str,
    out: Path,
    *,
    precisions: Sequence[Precision],
    head: Head | None,
    texts: Sequence[str],
    most_lost: float = MOST_LOST,
) -> Made:
    """Write a folder to upload as it is.

    Args:
        name: a packaged model, a folder or a Hub id.
        out: a new folder.
        precisions: of the graphs; one whose rounding costs too much is left out.
        head: absent: what the model's files say.
        texts: what rounded graphs are judged on.
        most_lost: points of quality that rounding may cost.

    Raises:
        UserError: `out` is taken, or a graph is not the model.
    """
    check_free(out)
    graphs, refused = [], []
    with atomic_folder(out) as folder:
        export_legacy(name, folder)
        for precision in precisions:
            whole = folder / precision
            try:
                report = export(
                    name, whole, backend="onnxruntime", precision=precision, head=head, texts=texts, most_lost=most_lost
                )
            except LostTooMuchError as refusal:
                refused.append(refusal.reason)
                continue
            shutil.copytree(whole / "onnx", folder / "onnx", copy_function=shutil.move, dirs_exist_ok=True)
            shutil.rmtree(whole)
            graphs.append(report)
        made = Made(graphs=tuple(graphs), refused=tuple(refused))
        own = folder_of(name) / "README.md"
        before = own.read_text(encoding="utf-8") if own.is_file() else ""
        (folder / "README.md").write_text(card(name, before, made, head), encoding="utf-8")
    return made


def card(name: str, before: str, made: Made, head: Head | None) -> str:
    """The model's own card, or a short one, with words that the Hub's pages look for and a table of the graphs.

    Args:
        before: the card that the model has; none: empty.
        head: absent: that of the graphs, and of no graph none.
    """
    front, body = parted(before)
    body = body.strip() or f"# {name.rpartition('/')[2]}"
    if head := made.graphs[0].manifest.head if made.graphs else head:
        front.setdefault("pipeline_tag", _PIPELINES.get(head, head))
        front.setdefault("library_name", _LIBRARIES.get(head, "transformers"))
    said = front.get("tags") or []
    tags = ("modernbert", "onnx", "transformers.js") if made.graphs else ("modernbert",)
    front["tags"] = list(dict.fromkeys((*([said] if isinstance(said, str) else said), *tags)))
    written = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return "\n".join(["---", written.rstrip(), "---", "", body, "", *_table(made)])


def _table(made: Made) -> list[str]:
    if not made.graphs:
        return []
    lines = [
        "## Graphs",
        "",
        "For ONNX Runtime, Optimum and transformers.js. Each was compared with the weights on documents of many lengths, alone and in a "
        "padded batch: the largest difference, as a share of the largest number in its row. What rounding costs was measured on texts.",
        "",
        "| file | stored | dtype in transformers.js | MB | largest difference | cost |",
        "|---|---|---|---:|---:|---|",
    ]
    for each in made.graphs:
        lost = each.quality
        cost = "" if lost is None else f"{lost.measure} {lost.source:.2f} to {lost.export:.2f} on {lost.num_cases:,}"
        said = each.manifest
        cells = [said.file, said.precision, _SAYS.get(said.precision, ""), f"{each.bytes / 1e6:.1f}"]
        lines.append(f"| {' | '.join(cells)} | {said.worst_difference:.0e} | {cost} |")
    return [*lines, ""]
