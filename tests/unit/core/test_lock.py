"""One owner."""

import sys

import pytest

from modernbert.core.errors import UnsupportedError, UserError
from modernbert.core.lock import Lock


def test_the_second_is_refused_until_the_first_lets_go(tmp_path):
    path = tmp_path / "new" / "owner.lock"
    with Lock(path) as held:
        with pytest.raises(UserError, match=r"new is still in use by process \d+ on .+ since 2.+: let it finish"):
            Lock(path)
        held.close()
        Lock(path).close()


def test_a_holder_that_has_not_said_who_it_is_is_still_one(tmp_path):
    with Lock(tmp_path / "owner.lock"):
        (tmp_path / "owner.lock").write_text("")
        with pytest.raises(UserError, match="the box is still in use by another process: wait"):
            Lock(tmp_path / "owner.lock", what="the box", way_out="wait")


def test_a_system_without_such_locks_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(UnsupportedError, match="no file locks of POSIX's kind"):
        Lock(tmp_path / "owner.lock")
