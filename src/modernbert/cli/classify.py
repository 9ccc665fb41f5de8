"""`modernbert classify`: which label a text has."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Label texts, or pairs of texts: by a fine-tuned model, or by --labels that no model was trained on."""

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts; from --file or stdin, one a line, when there is none. With --pairs, two belong together."""
    model: str = DEFAULT
    """A packaged model (its sentiment head), a folder or a Hub id of a sequence classifier."""
    labels: tuple[str, ...] = ()
    """Labels in words, such as sports politics: classify by them without training (zero-shot)."""
    template: str = "This text is about {}."
    """For --labels: a sentence with {} where the label goes."""
    pairs: bool = False
    """Texts come in pairs: two words each, or two columns in a file, split by a tab."""
    file: Path | None = None
    """Texts, one a line, or .jsonl with a "text" each."""
    explain: bool = False
    """Show which words drove each prediction."""
    html: Path | None = None
    """With --explain: write the coloured texts as a page."""
    out: Path | None = None
    """A .jsonl or .parquet file; absent: stdout."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32, as for a few texts of a small model."""
    json: bool = False
    """Print one JSON object a text."""

    def run(self) -> None:
        """Classify and print."""
        from modernbert.cli.predictions import check_out, put
        from modernbert.core.errors import UserError

        check_out(self.out)
        if self.texts and self.file:
            raise UserError(f"found texts and --file {self.file}, expected one of the two: drop one")
        if self.html and not self.explain:
            raise UserError("--html shows explanations: say --explain, too")
        put(
            self._explained() if self.explain else self._rows(),
            out=self.out,
            as_json=self.json,
            show=_shown,
            like=_LIKE,
        )

    def _inputs(self) -> list[str] | list[tuple[str, str]]:
        from modernbert.cli.texts import read_texts
        from modernbert.core.errors import UserError

        texts = list(self.texts) or list(read_texts([self.file] if self.file else []))
        if not self.pairs:
            return texts
        if self.texts:
            if len(texts) % 2:
                raise UserError(f"--pairs: found {len(texts)} texts, expected an even number: give every text its pair")
            return list(zip(texts[::2], texts[1::2], strict=True))
        found = []
        for number, line in enumerate(texts, start=1):
            one, tab, other = line.partition("\t")
            if not tab:
                raise UserError(f"line {number} has no tab, expected two texts with a tab between them")
            found.append((one, other))
        return found

    def _rows(self) -> Iterator[dict[str, object]]:
        from modernbert.core.errors import UserError
        from modernbert.infer import few

        texts = self._inputs()
        if self.labels:
            from modernbert.tasks.zero_shot import ZeroShot

            if self.pairs:
                raise UserError("--labels are for single texts: drop --pairs")
            model = ZeroShot.from_pretrained(self.model, dtype=self.dtype)
            found = iter(model.predict(map(str, texts), self.labels, template=self.template))
        else:
            few.begin(texts)
            from modernbert.tasks.classify import TextClassifier

            classifier = TextClassifier.for_texts(self.model, texts, dtype=self.dtype)
            found = classifier.stream(texts, show_progress=len(texts) > 200)
        for text, each in zip(texts, found, strict=True):
            given = {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}
            yield {
                **given,
                "label": each.label,
                "score": each.score,
                "labels": list(each.labels),
                "scores": each.scores,
            }

    def _explained(self) -> Iterator[dict[str, object]]:
        from modernbert.core.errors import UserError
        from modernbert.tasks.classify import TextClassifier
        from modernbert.tasks.explain import explain
        from modernbert.tasks.explain_view import page, terminal

        texts = self._inputs()
        if self.pairs or self.labels:
            raise UserError("--explain is for single texts and fine-tuned models: drop --pairs and --labels")
        classifier = TextClassifier.from_pretrained(self.model, dtype="float32")
        shown = []
        for text in texts:
            found = explain(classifier, str(text))
            shown.append(found)
            words = [{"word": w.text, "start": w.start, "end": w.end, "weight": w.weight} for w in found.words]
            yield {"text": text, "label": found.label, "score": found.score, "words": words, "view": terminal(found)}
        if self.html is not None:
            from modernbert.core.files import write_atomically
            from modernbert.core.log import say

            with write_atomically(self.html, "w") as file:
                file.write(page(shown))
            say(f"page: {self.html}")


_LIKE: dict[str, object] = {"labels": [""], "words": [{"word": "", "start": 0, "end": 0, "weight": 0.0}]}


def _shown(row: dict[str, object]) -> str:
    if "view" in row:
        return f"{row['label']} {row['score']:.1%}  {row['view']}"
    both = f"{row['text']}" + (f" | {row['text_pair']}" if "text_pair" in row else "")
    scores: dict[str, float] = row["scores"]  # type: ignore[assignment]
    if len(scores) == 1:
        return f"{row['score']:.4f}  {both}"
    rest = "   ".join(f"{label} {score:.1%}" for label, score in list(scores.items())[1:4])
    return f"{row['label']} {row['score']:.1%}   {rest}\n  {both}"
