"""`modernbert demo`: the packaged model at work; with --train, a small one trained here and now."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from modernbert.core.errors import UserError
from modernbert.core.packaged import DEFAULT, names
from modernbert.demo.config import Settings

if TYPE_CHECKING:
    from modernbert.demo.show import Filled, Judged, Named, Search
    from modernbert.demo.train import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """See the packaged model fill masks, judge, find names and search Python's standard library by meaning, in seconds.

    With --train a small ModernBERT is trained here and now (about four minutes on two cores), and shows what it learnt.
    """

    model: str = DEFAULT
    """A packaged model (see `modernbert models`), a folder or a Hub id."""
    train: bool = False
    """Train one live; the settings below are for this."""
    settings: Annotated[Settings, tyro.conf.arg(name="")]
    json: bool = False
    """Print the outcome as one JSON object."""

    def run(self) -> None:
        """Show, or train, save and report."""
        if self.train:
            self._train()
            return
        if self.settings != Settings():
            raise UserError("found settings of a training without --train: add --train, or leave them out")
        self._show()

    def _show(self) -> None:
        from modernbert.demo import show

        heads = {name.partition(":")[2] for name in names() if name.startswith(f"{self.model}:")}
        filled = show.fill(self.model)
        self._say(_blanks(self.model, filled))
        judged = show.judge(self.model) if "sentiment" in heads else []
        self._say(_opinions(self.model, judged))
        named = show.name(self.model) if "entities" in heads else []
        self._say(_names(self.model, named))
        found = show.search(self.model)
        self._say(_answers(found))
        if self.json:
            parts = {"filled": filled, "judged": judged, "named": named}
            print(
                json.dumps(
                    {name: [asdict(one) for one in part] for name, part in parts.items()} | {"search": asdict(found)}
                )
            )
        else:
            print("train one yourself, live: modernbert demo --train")

    def _say(self, lines: Iterator[str]) -> None:
        if not self.json:
            for line in lines:
                print(line, flush=True)

    def _train(self) -> None:
        from modernbert.core.errors import require
        from modernbert.demo.report import write_report
        from modernbert.demo.train import run

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
        folder = outcome.model_folder
        print(f"model:  {folder}   try: modernbert fill-mask 'import [MASK]' --model {folder}")


def _blanks(model: str, filled: "Sequence[Filled]") -> Iterator[str]:
    yield f"{model} fills masks"
    for one in filled:
        guesses = "  ".join(f"{guess.token.strip()} {guess.score:.0%}" for guess in one.guesses)
        yield f"  {' '.join(one.text.split())}\n      {guesses}"


def _opinions(model: str, judged: "Sequence[Judged]") -> Iterator[str]:
    if judged:
        yield f"{model}:sentiment tells praise from blame, and which words made it think so"
    for one in judged:
        yield f"  {one.text}\n      {one.label} {one.score:.0%}: {', '.join(word for word, _ in one.words)}"


def _names(model: str, named: "Sequence[Named]") -> Iterator[str]:
    if named:
        yield f"{model}:entities finds names"
    for one in named:
        yield f"  {one.text}\n      {'  '.join(f'{each.text} {each.label}' for each in one.entities)}"


def _answers(found: "Search") -> Iterator[str]:
    yield f"{found.num_functions:,} functions of the standard library, embedded in {found.seconds:.0f} s and searched by meaning"
    for answer in found.answers:
        yield f"  {answer.question}"
        yield "      " + "  ".join(f"{function.name} {cosine:.2f}" for function, cosine in answer.nearest)


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
