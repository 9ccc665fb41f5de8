"""`modernbert rerank`: documents in the order in which they answer a question."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerank:
    """Sort texts by how well they answer a question: each is read together with it."""

    query: tyro.conf.Positional[str]
    """The question."""
    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Texts, one a line, or .jsonl with a "text" each; stdin when there is none."""
    model: str = DEFAULT
    """A packaged model (its reranker head, with --late its late one), a folder or a Hub id of a cross-encoder of one label, or of ColBERT."""
    late: bool = False
    """Compare vectors of tokens (MaxSim) instead of reading pairs."""
    top_k: int | None = None
    """Most texts that are shown; absent: all."""
    out: Path | None = None
    """A .jsonl or .parquet file; absent: stdout."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32."""
    too_long: Literal["truncate", "refuse"] = "truncate"
    """What happens to a text too long for the model beside the question: its end is left out and counted, or nothing is done."""
    json: bool = False
    """Print one JSON object a text."""

    def run(self) -> None:
        """Rank and print."""
        from modernbert.cli.predictions import check_out, put

        check_out(self.out)
        put(self._rows(), out=self.out, as_json=self.json, show=_shown)

    def _rows(self) -> Iterator[dict[str, object]]:
        from modernbert.cli.texts import read_texts

        texts = list(read_texts(self.files))
        if self.late:
            from modernbert.retrieval.late import LateInteraction

            model = LateInteraction.from_pretrained(self.model, dtype=self.dtype, too_long=self.too_long)
        else:
            from modernbert.retrieval.reranker import Reranker

            model = Reranker.from_pretrained(self.model, dtype=self.dtype, too_long=self.too_long)
        for rank, each in enumerate(model.rank(self.query, texts, top_k=self.top_k), start=1):
            yield {"rank": rank, "score": each.score, "line": each.corpus_id + 1, "text": texts[each.corpus_id]}


def _shown(row: dict[str, object]) -> str:
    return f"{row['rank']:>4}  {row['score']:8.4f}  {row['text']}"
