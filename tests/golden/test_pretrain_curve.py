"""Training is what it was: the loss of forty steps against numbers in a file."""

import hashlib
import json

import pytest

from golden.make.pretrain_curve import EXACT, FILE, MANIFEST, curve

LOSS = 1e-3
"""Nats; other processors round otherwise, and the difference grows with the steps."""
NORM = 1e-2
"""Relative."""


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    return curve(tmp_path_factory.mktemp("curve"))


@pytest.fixture(scope="module")
def then():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_same_rows_are_read_and_the_same_tokens_predicted(now, then):
    assert len(then["steps"]) >= 40
    assert [[step[key] for key in EXACT] for step in now["steps"]] == [
        [step[key] for key in EXACT] for step in then["steps"]
    ]


def test_loss_and_gradient_norms_are_what_they_were(now, then):
    for mine, its in zip(now["steps"], then["steps"], strict=True):
        assert mine["loss"] == pytest.approx(its["loss"], abs=LOSS), f"step {its['step']}"
        assert mine["lr"] == pytest.approx(its["lr"], rel=1e-12)
        assert mine["grad_norm"] == pytest.approx(its["grad_norm"], rel=NORM), f"step {its['step']}"


def test_held_out_loss_is_what_it_was(now, then):
    for mine, its in zip(now["evaluations"], then["evaluations"], strict=True):
        assert (mine["step"], mine["num_predicted"]) == (its["step"], its["num_predicted"])
        assert mine["loss"] == pytest.approx(its["loss"], abs=LOSS)
        assert mine["by_position"] == pytest.approx(its["by_position"], abs=2 * LOSS)


def test_the_file_is_the_one_that_was_made():
    made = json.loads(MANIFEST.read_text(encoding="utf-8"))[FILE.name]
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == made["sha256"]
    assert made["reason"]
