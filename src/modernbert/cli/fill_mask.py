"""`modernbert fill-mask`: what belongs where a text says [MASK]."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class FillMask:
    """Fill every [MASK] of each text."""

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts with [MASK] in them; from --file or stdin, one a line, when there is none."""
    model: str = DEFAULT
    """A packaged model (see `modernbert models`), a folder or a Hub id of a masked language model."""
    file: Path | None = None
    """Texts, one a line, or .jsonl with a "text" each."""
    top_k: int = 5
    """Candidates for each [MASK]."""
    targets: tuple[str, ...] = ()
    """Judge these words only, such as his her; each a single token."""
    attention: Path | None = None
    """Draw who looks at whom in the first text, layer by layer, into this .png."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32, as for a few texts of a small model.
    int8: see model check-int8."""
    json: bool = False
    """Print one JSON object a text."""

    def run(self) -> None:
        """Fill and print."""
        from modernbert.cli.texts import read_texts
        from modernbert.core.errors import UserError
        from modernbert.infer import few

        if self.texts and self.file:
            raise UserError(f"found texts and --file {self.file}, expected one of the two: drop one")
        texts = list(self.texts) or list(read_texts([self.file] if self.file else []))
        few.begin(texts)
        from modernbert.tasks.fill_mask import MaskFiller

        if self.attention is None:
            filler = MaskFiller.for_texts(self.model, texts, dtype=self.dtype)
        else:
            filler = MaskFiller.from_pretrained(self.model, dtype=self.dtype)
            from modernbert.core.log import say
            from modernbert.infer.exported import refuse_exported
            from modernbert.tasks.attention_maps import draw_attention

            refuse_exported(filler.model, "a drawing of attention")

            say(f"attention: {draw_attention(filler.model.model, filler.tokenizer, texts[0], self.attention)}")
        for text, masks in zip(texts, filler.fill(texts, top_k=self.top_k, targets=self.targets or None), strict=True):
            if self.json:
                print(json.dumps({"text": text, "masks": [[asdict(g) for g in guesses] for guesses in masks]}))
                continue
            print(text)
            for guesses in masks:
                print("  " + "   ".join(f"{guess.token!r} {guess.score:.1%}" for guess in guesses))
