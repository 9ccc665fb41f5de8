"""Which checkpoints are there after any run: the newest, those that stay, and no others."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from modernbert.core.quantities import Tokens
from modernbert.train.checkpoint import Checkpoints, all_in
from modernbert.train.config import Saving
from modernbert.train.pretrain import _passes
from modernbert.train.world import World


@given(st.lists(st.booleans(), max_size=12), st.one_of(st.just("all"), st.integers(1, 4)))
def test_the_newest_and_those_that_stay_are_kept(stays, keep):
    """`stays` says of each checkpoint in turn whether it does."""
    with TemporaryDirectory() as home:
        folder = Path(home)
        checkpoints = Checkpoints(folder, Saving(keep=keep), World())
        for step, does in enumerate(stays):
            made = folder / f"step-{step:08d}"
            made.mkdir()
            (made / "state.json").write_text(json.dumps({"stays": does}))
            checkpoints._prune()
        checkpoints.close()
        passing = [step for step, does in enumerate(stays) if not does]
        recent = passing if keep == "all" else passing[-keep:]
        kept = sorted({step for step, does in enumerate(stays) if does} | set(recent))
        assert [path.name for path in all_in(folder)] == [f"step-{step:08d}" for step in kept]


@given(st.integers(1, 1000), st.lists(st.integers(1, 3000), min_size=1, max_size=30))
def test_every_multiple_is_passed_exactly_once_however_large_the_steps(every, steps):
    tokens, passed, multiples = 0, 0, set()
    for step in steps:
        if _passes(Tokens(every), tokens, tokens + step):
            passed += 1
            multiples.add((tokens + step) // every)
        tokens += step
    assert passed == len(multiples) <= tokens // every
    assert (passed > 0) == (tokens >= every)
    assert not _passes(None, 0, tokens)
