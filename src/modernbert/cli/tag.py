"""`modernbert tag`: the entities of a text."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """Find the entities of texts, or tag every word."""

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts; from --file or stdin, one a line, when there is none."""
    model: str = DEFAULT
    """A packaged model (its entities head), a folder or a Hub id of a token classifier."""
    file: Path | None = None
    """Texts, one a line, or .jsonl with a "text" each."""
    words: bool = False
    """Give every word with its tag instead of entities."""
    out: Path | None = None
    """A .jsonl or .parquet file; absent: stdout."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32, as for a few texts of a small model."""
    json: bool = False
    """Print one JSON object a text."""

    def run(self) -> None:
        """Tag and print."""
        from modernbert.cli.predictions import check_out, put
        from modernbert.core.errors import UserError

        check_out(self.out)
        if self.texts and self.file:
            raise UserError(f"found texts and --file {self.file}, expected one of the two: drop one")
        put(self._rows(), out=self.out, as_json=self.json, show=_shown, like=_LIKE)

    def _rows(self) -> Iterator[dict[str, object]]:
        from modernbert.cli.texts import read_texts
        from modernbert.infer import few

        texts = list(self.texts) or list(read_texts([self.file] if self.file else []))
        few.begin(texts)
        from modernbert.tasks.tag import Tagger

        tagger = Tagger.for_texts(self.model, texts, dtype=self.dtype)
        for found in tagger.stream(texts, show_progress=len(texts) > 200):
            row: dict[str, object] = {"text": found.text, "entities": [asdict(entity) for entity in found.entities]}
            if self.words:
                row = {
                    "text": found.text,
                    "words": list(found.words),
                    "tags": list(found.tags),
                    "scores": list(found.scores),
                }
            yield row


_LIKE: dict[str, object] = {
    "entities": [{"label": "", "text": "", "start": 0, "end": 0, "score": 0.0}],
    "words": [""],
    "tags": [""],
    "scores": [0.0],
}


def _shown(row: dict[str, object]) -> str:
    if "words" in row:
        return "\n".join(f"{word}\t{tag}" for word, tag in zip(row["words"], row["tags"], strict=True)) + "\n"  # type: ignore[call-overload]
    entities: list[dict] = row["entities"]  # type: ignore[assignment]
    lines = [
        f"  {each['label']:<6} {each['score']:>6.1%}  {each['text']}  [{each['start']}:{each['end']}]"
        for each in entities
    ]
    return "\n".join([str(row["text"]), *(lines or ["  no entity"])])
