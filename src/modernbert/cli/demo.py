"""`modernbert demo`: train a small ModernBERT here and now, and show what it learnt."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from modernbert.demo.config import Settings

if TYPE_CHECKING:
    from modernbert.demo.run import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Train a small ModernBERT here and now (about four minutes on two cores), and show what it learnt."""

    settings: Annotated[Settings, tyro.conf.arg(name="")]
    json: bool = False
    """Print the outcome as one JSON object."""

    def run(self) -> None:
        """Train, save, report."""
        from modernbert.core.errors import require
        from modernbert.demo.report import write_report
        from modernbert.demo.run import run

        require("matplotlib", extra="train")
        outcome = run(self.settings)
        page = self.settings.out / "report.html"
        write_report(outcome, page)
        if self.json:
            print(json.dumps(outcome.as_dict() | {"report": str(page)}))
            return
        for line in _lines(outcome):
            print(line)
        print(f"report: {page}")
        print(f"model:  {outcome.model_folder}   try: modernbert fill-mask {outcome.model_folder} 'import [MASK]'")


def _lines(outcome: "Outcome") -> Iterator[str]:
    scores = outcome.scores
    yield (
        f"hidden tokens found in held-out text: {scores.model:.1%} "
        f"(bigram {scores.bigram:.1%}, unigram {scores.unigram:.1%})"
    )
    if scores.model <= scores.bigram:
        yield "that is not past the bigram yet: give it more --minutes, or more text"
    yield (
        f"speed: {outcome.tokens_per_second:,.0f} tokens/s, {outcome.roofline_share:.0%} of this machine's matrix rate"
    )
    for blank in outcome.blanks[:5]:
        shown = f"{blank.before.rpartition(chr(10))[2]}[MASK]{blank.after.partition(chr(10))[0]}"
        guesses = ", ".join(f"{guess.token.strip()!r} {guess.score:.0%}" for guess in blank.guesses)
        yield f"  {shown.strip()[:90]}"
        yield f"      was {blank.truth!r}, guessed {guesses}"
    for row in outcome.neighbours[:3]:
        yield f"  {row.function.name} is most like {row.nearest[0][0].name}"
