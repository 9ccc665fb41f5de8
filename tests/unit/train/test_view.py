"""What a person sees, where stderr is no terminal: lines."""

import pytest

from modernbert.train.evaluation import Score
from modernbert.train.step import Outcome
from modernbert.train.view import View
from support.runs import recipe

OUTCOME = Outcome(tokens=256, num_predicted=80, loss=3.14159, accuracy=0.25, grad_norm=1.0, is_skipped=False, flops=1e9)
SCORES = {"news": Score(loss=2.5, accuracy=0.125, num_predicted=100)}


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.delenv("MODERNBERT_QUIET", raising=False)
    return recipe(tmp_path)


def test_progress_is_told_in_tokens_with_loss_speed_and_use(given, capsys):
    with View(given, shows=True) as view:
        view.step("short", 1280, OUTCOME, speed=12345.6, share=0.42)
    told = capsys.readouterr().err
    for part in ("short", "1,280 of 2,560", "loss 3.142", "12,346 tokens/s", "42% of matmul"):
        assert part in told


def test_evaluations_are_told_at_once(given, capsys):
    with View(given, shows=True) as view:
        view.scores("short", 1280, SCORES)
        assert capsys.readouterr().err == "short, 1,280 tokens: held-out loss (accuracy): news 2.500 (12.5%)\n"
        view.scores("short", 1280, {})
        assert capsys.readouterr().err == ""


def test_a_last_batch_beyond_the_budget_is_not_more_than_all(given, capsys):
    with View(given, shows=True) as view:
        view.step("long", 2700, OUTCOME, speed=1.0, share=0.1)
    assert "2,560 of 2,560 (100%)" in capsys.readouterr().err


def test_other_processes_show_nothing(given, capsys):
    with View(given, shows=False) as view:
        view.step("short", 1280, OUTCOME, speed=1.0, share=0.1)
        view.scores("short", 1280, SCORES)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
