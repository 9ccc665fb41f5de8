import sys

import pytest

from modernbert.core.errors import MissingExtraError
from modernbert.train.curves import draw
from modernbert.train.journal import Metrics

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
pytest.importorskip("matplotlib")


def step(number, stage="short", **changes):
    return {
        "tokens": 100 * number,
        "loss": 7.0 - 0.01 * number,
        "lr": 1e-3,
        "tokens_per_second": 100.0,
        "stage": stage,
    } | changes


@pytest.mark.parametrize("num_steps", [1, 30], ids=["one step", "two stages"])
def test_a_run_becomes_a_picture(tmp_path, num_steps):
    with Metrics(tmp_path, (), from_step=0, settings={}) as metrics:
        for number in range(1, num_steps + 1):
            metrics.write("step", number, step(number, "short" if number < 20 else "long"))
            if number % 10 == 0:
                metrics.write("evaluation", number, {"tokens": 100 * number, "news": {"loss": 5.0, "accuracy": 0.1}})
    path = draw(tmp_path)
    assert path == tmp_path / "curves.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_step_without_a_loss_is_a_gap(tmp_path):
    with Metrics(tmp_path, (), from_step=0, settings={}) as metrics:
        for number in range(1, 6):
            metrics.write("step", number, step(number, loss=float("nan") if number == 3 else 1.0))
    assert draw(tmp_path).stat().st_size > 1000


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modernbert\[train\]'"):
        draw(tmp_path)
