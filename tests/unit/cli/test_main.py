"""How the command line leaves."""

import os

import pytest

from modernbert.cli import main as entry
from modernbert.core.errors import UserError
from modernbert.train.world import LostProcessError


class LeftError(Exception):
    """In place of a process that is gone."""


@pytest.mark.parametrize(("error", "at_once"), [(UserError, False), (LostProcessError, True)])
def test_a_process_whose_peers_are_lost_takes_nothing_down(error, at_once, monkeypatch, capsys):
    class Verb:
        def run(self):
            raise error("it is gone")

    def leave(code):
        assert capsys.readouterr().err == "error: it is gone\n"  # told before
        raise LeftError(code)

    monkeypatch.setattr(entry, "_parse", lambda words: Verb())
    monkeypatch.setattr(os, "_exit", leave)
    if at_once:
        with pytest.raises(LeftError, match="2"):
            entry.main(["pretrain"])
    else:
        assert entry.main(["pretrain"]) == 2
