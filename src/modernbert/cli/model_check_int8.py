"""`modernbert model check-int8`: what 8-bit matrices cost a model on one's own texts, and what they gain."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from modernbert.core.packaged import DEFAULT

if TYPE_CHECKING:
    from modernbert.bench.int8 import Closeness, Report

STDIN = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInt8:
    """Compare int8 with float32 on texts of your own, before you use --dtype int8.

    States and vectors, guesses at masked tokens where the checkpoint has its head, nearest neighbours, speed.
    """

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Texts, one a line, or .jsonl with a "text" each; - is stdin. Absent: docstrings of Python's standard library."""
    model: str = DEFAULT
    """A packaged model (see `modernbert models`), a folder or a Hub id of a ModernBERT checkpoint."""
    pooling: Literal["cls", "mean"] | None = None
    """Absent: what the checkpoint's config says."""
    tokens: int = 20_000
    """Texts are drawn until there are so many."""
    seconds: float = 20.0
    """For timing, three rounds at least."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Compare and print."""
        from modernbert.bench.int8 import check_int8

        found = check_int8(
            self.model, self._texts(), most_tokens=self.tokens, seconds=self.seconds, pooling=self.pooling
        )
        if self.json:
            print(json.dumps(asdict(found) | {"problems": found.problems, "verdict": found.verdict}))
            return
        print("\n".join(_lines(found)))

    def _texts(self) -> list[str]:
        from modernbert.cli.texts import read_texts

        if self.files:
            return list(read_texts([] if self.files == (STDIN,) else self.files))

        from modernbert.core.log import say
        from modernbert.demo.corpus import docstrings, standard_library

        say("no texts are given: docstrings of Python's standard library are taken")
        return docstrings(standard_library()[::5])


def _lines(found: "Report") -> list[str]:
    """For people."""
    lines = [
        f"{found.model}: int8 against float32, {found.num_texts:,} texts of {found.num_tokens:,} tokens",
        "",
        _row("cosines", "mean", "1st percentile", "least"),
        _cosines("token states", found.states),
        _cosines(f"vectors ({found.pooling})", found.vectors),
        "",
    ]
    if (one := found.guesses) is not None:
        lines += [
            _row(f"{one.num_masked:,} masked tokens", "float32", "int8", "the same"),
            _row("loss, nats", f"{one.loss:.4f}", f"{one.loss_int8:.4f}", ""),
            _row("first guess", f"{one.found:.1%}", f"{one.found_int8:.1%}", f"{one.agreement:.1%}"),
            "",
        ]
    if (near := found.neighbours) is not None:
        lines += [f"nearest {near.nearest} of {near.among:,} texts: {near.overlap:.1%} the same", ""]
    speed = found.speed
    return [
        *lines,
        f"speed: {speed.tokens_per_second:,.0f} tokens/s in float32, {speed.tokens_per_second_int8:,.0f} in int8: "
        f"{speed.ratio:.2f} times ({speed.lowest:.2f} to {speed.highest:.2f})",
        "",
        found.verdict,
    ]


def _cosines(name: str, found: "Closeness") -> str:
    return _row(name, f"{found.mean:.6f}", f"{found.low:.6f}", f"{found.least:.6f}")


def _row(*cells: str) -> str:
    return f"{cells[0]:<22}" + "".join(f"{cell:>16}" for cell in cells[1:]).rstrip()
