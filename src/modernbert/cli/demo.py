"""`modernbert demo`: train a small ModernBERT here and now, and show what it learnt."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from modernbert.demo.config import Settings


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

        for library in ("optimi", "matplotlib"):
            require(library, extra="train")
        outcome = run(self.settings)
        page = self.settings.out / "report.html"
        write_report(outcome, page)
        if self.json:
            print(
                json.dumps(
                    asdict(outcome.scores)
                    | {
                        "tokens": outcome.steps[-1].total_tokens,
                        "seconds": outcome.steps[-1].seconds,
                        "tokens_per_second": outcome.tokens_per_second,
                        "roofline_share": outcome.roofline_share,
                        "same_module": outcome.same_module,
                        "same_module_by_chance": outcome.same_module_by_chance,
                        "model_folder": str(outcome.model_folder),
                        "report": str(page),
                    }
                )
            )
            return
        scores = outcome.scores
        print(
            f"hidden tokens found in held-out text: {scores.model:.1%} (bigram {scores.bigram:.1%}, unigram {scores.unigram:.1%})"
        )
        print(
            f"speed: {outcome.tokens_per_second:,.0f} tokens/s, {outcome.roofline_share:.0%} of this machine's matrix rate"
        )
        for blank in outcome.blanks[:5]:
            line = f"{blank.before.splitlines()[-1] if blank.before else ''}[MASK]{blank.after.splitlines()[0] if blank.after else ''}"
            guesses = ", ".join(f"{guess.token.strip()!r} {guess.score:.0%}" for guess in blank.guesses)
            print(f"  {line.strip()[:90]}\n      was {blank.truth!r}, guessed {guesses}")
        for row in outcome.neighbours[:3]:
            print(f"  {row.function.name} is most like {row.nearest[0][0].name}")
        print(f"report: {page}")
        print(f"model:  {outcome.model_folder}   try: modernbert fill-mask {outcome.model_folder} 'import [MASK]'")
