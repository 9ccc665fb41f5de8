"""`modernbert answer`: where a text answers a question."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from modernbert.core.dtypes import DtypeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer questions from a text, or from the rows of a file with question and context."""

    questions: tyro.conf.Positional[tuple[str, ...]] = ()
    """Asked of the text of --context or --context-file."""
    model: str
    """A folder or a Hub id of a question-answering model."""
    context: str | None = None
    """The text."""
    context_file: Path | None = None
    """A file with the text."""
    file: Path | None = None
    """Rows with question and context each: .jsonl, .csv or .parquet."""
    top_k: int = 1
    """Answers to each question."""
    must_answer: bool = False
    """Give the best answer even where the model finds that the text does not say."""
    out: Path | None = None
    """A .jsonl or .parquet file; absent: stdout."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32."""
    json: bool = False
    """Print one JSON object a question."""

    def run(self) -> None:
        """Answer and print."""
        from modernbert.cli.predictions import check_out, put

        check_out(self.out)
        put(self._rows(self._pairs()), out=self.out, as_json=self.json, show=_shown, like=_LIKE)

    def _pairs(self) -> list[tuple[str, str]]:
        from modernbert.core.errors import UserError

        if self.file is not None:
            from modernbert.data.records import read_records

            found = []
            for row in read_records(str(self.file)):
                pair = row.values.get("question"), row.values.get("context")
                if not isinstance(pair[0], str) or not isinstance(pair[1], str):
                    raise UserError(
                        f"{row.where}: found {sorted(row.values)}, expected texts under question and context"
                    )
                found.append((pair[0], pair[1]))
            return found
        if not self.questions or (self.context is None) == (self.context_file is None):
            raise UserError(
                "expected a question and the text that it is asked of: modernbert answer --model FOLDER 'Who wrote it?' "
                "--context-file text.txt (or --context '...', or rows with --file)"
            )
        if self.context_file is None:
            return [(question, str(self.context)) for question in self.questions]
        try:
            context = self.context_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.context_file}: cannot be read as UTF-8 text ({error}): check the path") from None
        return [(question, context) for question in self.questions]

    def _rows(self, pairs: list[tuple[str, str]]) -> Iterator[dict[str, object]]:
        from modernbert.tasks.answer import Answerer

        answerer = Answerer.from_pretrained(self.model, dtype=self.dtype)
        stream = answerer.stream(pairs, top_k=self.top_k, must_answer=self.must_answer, show_progress=len(pairs) > 100)
        for (question, _), answers in zip(pairs, stream, strict=True):
            yield {"question": question, "answers": [asdict(each) for each in answers]}


_LIKE: dict[str, object] = {"answers": [{"text": "", "start": 0, "end": 0, "score": 0.0}]}


def _shown(row: dict[str, object]) -> str:
    answers: list[dict] = row["answers"]  # type: ignore[assignment]
    lines = [
        f"  {each['score']:>6.1%}  "
        + (f"{each['text']}  [{each['start']}:{each['end']}]" if each["text"] else "the text does not say")
        for each in answers
    ]
    return "\n".join([str(row["question"]), *(lines or ["  no answer"])])
