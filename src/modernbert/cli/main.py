"""`modernbert VERB ...`: words become calls.

Results go to stdout, progress and messages to stderr. Exit code 2 is the user's mistake, 1 is ours.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from modernbert.cli.demo import Demo
from modernbert.cli.doctor import Doctor
from modernbert.cli.embed import Embed
from modernbert.cli.fill_mask import FillMask
from modernbert.core.errors import UserError

Verb = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[FillMask, tyro.conf.subcommand("fill-mask")]
    | Annotated[Embed, tyro.conf.subcommand("embed")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        verb = _parse(words)
    except ValueError as mistake:  # what a settings class says of values that cannot be meant
        return _refuse(mistake)
    try:
        verb.run()
    except UserError as mistake:
        return _refuse(mistake)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough; nothing is wrong
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parse(words: Sequence[str] | None) -> Demo | FillMask | Embed | Doctor:
    return tyro.cli(
        Verb,  # type: ignore[arg-type]
        prog="modernbert",
        description="The whole life of a ModernBERT encoder.",
        args=words,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def _refuse(mistake: ValueError) -> int:
    print(f"error: {mistake}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
