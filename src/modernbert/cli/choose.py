"""`modernbert choose`: which continuation fits best."""

import json
from dataclasses import dataclass

import tyro

from modernbert.core.dtypes import DtypeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """Choose among continuations of a beginning."""

    texts: tyro.conf.Positional[tuple[str, ...]]
    """The beginning, then two choices or more."""
    model: str
    """A folder or a Hub id of a multiple-choice model."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Choose and print."""
        from modernbert.core.errors import UserError
        from modernbert.tasks.choose import Chooser

        if len(self.texts) < 3:
            raise UserError(f"found {len(self.texts)} texts, expected a beginning and two choices or more")
        beginning, *choices = self.texts
        (found,) = Chooser.from_pretrained(self.model, dtype=self.dtype).predict([(beginning, choices)])
        if self.json:
            print(
                json.dumps(
                    {
                        "text": beginning,
                        "choice": choices[found.choice],
                        "scores": dict(zip(choices, found.scores, strict=True)),
                    }
                )
            )
            return
        for score, choice in sorted(zip(found.scores, choices, strict=True), reverse=True):
            print(f"{score:>6.1%}  {choice}")
