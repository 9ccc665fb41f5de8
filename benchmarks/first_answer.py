"""How long a person waits for the first answer of a new process, and where NumPy's way and torch's meet.

    python benchmarks/first_answer.py                     # writes docs/benchmarks-first-answer.md; some 5 minutes
    python benchmarks/first_answer.py --rounds 1 --verbs tag --lengths 16 --no-write

Every figure is a whole process, from its start to its end, on the packaged model. `--dtype float32` is torch's way, with the
same printed result; which is compared first. In the second table NumPy is made to take every length.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from modernbert.bench.machine import examine
from modernbert.bench.timing import Timing, alternate, times_faster
from modernbert.core.files import write_atomically
from modernbert.core.script import as_script

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-first-answer.md"

VERBS = {
    "fill-mask": (["fill-mask", "She opened the [MASK] and went out."], ""),
    "classify": (["classify", "The music was beautiful.", "I want my money back."], ""),
    "tag": (["tag", "Angela Merkel met Tim Cook in Berlin."], ""),
    "embed": (["embed"], "def area(r): return 3.14 * r * r\n"),
}
NUMPY, TORCH = "NumPy", "torch"
WAYS = {NUMPY: [], TORCH: ["--dtype", "float32"]}

RUN = "import sys; from modernbert.cli.main import main; sys.exit(main())"
RUN_ANY_LENGTH = f"""from modernbert.infer import few; few.begin([])
from modernbert.infer import instant; few.MOST_CHARACTERS = instant.MOST_WORK = 1 << 60
{RUN}"""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbs", nargs="+", default=[*VERBS], choices=[*VERBS])
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128, 511, 1024, 2048, 4096, 8000])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-write", action="store_true", help="leave the page as it is")
    options = parser.parse_args(words)
    load_before = os.getloadavg()[0]
    lines = [
        *_verbs_table(options.verbs, options.rounds),
        "",
        *_lengths_table(options.lengths, max(1, options.rounds // 2)),
    ]
    print("\n".join(lines))
    if not options.no_write:
        with write_atomically(PAGE, "w") as file:
            file.write(_page(lines, examine().line(load_before)))


def _verbs_table(verbs: Sequence[str], rounds: int) -> list[str]:
    lines = [f"| command | {NUMPY}, s | {TORCH}, s | times faster |", "|---|---:|---:|---:|"]
    for verb in verbs:
        words, given = VERBS[verb]
        ways = {name: partial(_run, RUN, [*words, *more], given) for name, more in WAYS.items()}
        _expect_equal(*(way() for way in ways.values()))
        lines.append(f"| `{' '.join(words[:2])}` | {_cells(alternate(ways, rounds=rounds, most_seconds=600))} |")
    return lines


def _lengths_table(lengths: Sequence[int], rounds: int) -> list[str]:
    lines = [f"| tokens of one text | {NUMPY}, s | {TORCH}, s | times faster |", "|---|---:|---:|---:|"]
    for length in lengths:
        text = " ".join(["word"] * (length - 3)) + " [MASK]"
        ways = {
            name: partial(_run, RUN_ANY_LENGTH, ["fill-mask", text, "--json", *more], "") for name, more in WAYS.items()
        }
        _expect_equal(*(way() for way in ways.values()))
        lines.append(f"| {length:,} | {_cells(alternate(ways, rounds=rounds, most_seconds=600))} |")
    return lines


def _cells(timings: dict[str, Timing]) -> str:
    cells = []
    for name in WAYS:
        low, high = timings[name].quartiles
        cells.append(f"{timings[name].median:.2f} ({low:.2f}–{high:.2f})")
    return " | ".join([*cells, times_faster(timings[TORCH], timings[NUMPY])])


def _run(code: str, words: Sequence[str], given: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, input=given, check=True)
    return done.stdout


def _expect_equal(ours: str, theirs: str) -> None:
    """The same words, and numbers that differ by float32's rounding only; nothing else is timed."""
    if ours == theirs:
        return
    found, truth = (_leaves([json.loads(line) for line in said.splitlines()]) for said in (ours, theirs))
    for one, other in zip(found, truth, strict=True):
        if one != other and not (isinstance(one, float) and abs(one - other) <= 1e-5):
            raise SystemExit(f"{one!r} is not {other!r}: nothing is timed that differs")


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for each in value for leaf in _leaves(each)] if isinstance(value, list) else [value]


def _page(lines: Sequence[str], machine: str) -> str:
    return "\n".join(
        [
            "# Benchmarks: the first answer",
            "",
            f"*Written by `python benchmarks/first_answer.py {' '.join(sys.argv[1:])}`; no number here is typed by hand.*".replace(
                " `;", "`;"
            ),
            "",
            "Whole processes, from start to end, on the packaged model: by NumPy, as a few texts of a small model are computed, and "
            "by torch, with the same printed result. Medians and quartiles; the ways take turns. In the second table NumPy is made "
            "to take lengths that are left to torch otherwise ([decision 024](decisions/024-a-few-texts-by-numpy.md)).",
            "",
            machine,
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    as_script(main)
