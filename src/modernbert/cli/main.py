"""`modernbert VERB ...`: words become calls.

Results go to stdout, progress and messages to stderr. Exit code 2 is the user's mistake, 1 is ours.
"""

import os
import sys
from collections.abc import Sequence

from modernbert.cli.verbs import Verb, parse
from modernbert.core.errors import UserError


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        try:
            verb = _parse(sys.argv[1:] if words is None else words)
        except ValueError as mistake:  # what a settings class says of values that cannot be meant
            return _refuse(mistake)
        verb.run()
    except UserError as mistake:
        code = _refuse(mistake)
        if mistake.leaves_at_once:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] != "torch":
            raise
        return _refuse(
            "torch is not installed and this needs it: pip install torch, or name a folder of modernbert export"
        )
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough; nothing is wrong
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parse(words: Sequence[str]) -> Verb:
    """Return the verb, after the words of three of them are put into the form that their recipes or the parser read."""
    if words[:1] == ["pretrain"] or words[:2] == ["recipe", "check"]:
        from modernbert.cli.pretrain import settings_as_words

        words = settings_as_words(words)
    if words[:1] == ["finetune"]:
        from modernbert.cli.finetune import finetune_words

        words = [words[0], *finetune_words(words[1:])]
    if words[:1] == ["serve"]:
        from modernbert.cli.serve import serve_words

        words = [words[0], *serve_words(words[1:], os.environ)]
    return parse(words)


def _refuse(mistake: ValueError | str) -> int:
    print(f"error: {mistake}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
