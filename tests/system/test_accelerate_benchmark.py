"""The benchmark of `accelerate` at toy size: outputs are compared, both sides are timed, the page is left alone."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def accelerated(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import accelerated

    return accelerated


@pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed in v6:FutureWarning")
def test_it_compares_before_it_times_and_leaves_the_page_alone(accelerated, monkeypatch, capsys):
    monkeypatch.setattr(accelerated, "HEADS", ("ModernBertForSequenceClassification",))
    monkeypatch.setattr(accelerated, "FAMILIES", ("SentenceTransformer",))
    page = accelerated.PAGE.read_bytes() if accelerated.PAGE.exists() else b""
    words = ["--size", "tiny", "--texts", "4", "--kinds", "docstrings", "--dtypes", "float32", "--rounds", "3"]
    accelerated.main([*words, "--no-write"])
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows == [
        "model", "ModernBertForSequenceClassification", "LoRA", "SentenceTransformer",
        "family", "SentenceTransformer",
    ]  # fmt: skip
    assert (accelerated.PAGE.read_bytes() if accelerated.PAGE.exists() else b"") == page


def test_outputs_that_differ_are_not_timed(accelerated, monkeypatch):
    monkeypatch.setattr(accelerated, "_largest", lambda found, truth: 0.5)
    monkeypatch.setattr(accelerated, "_load", lambda *_: (None, lambda texts: []))
    monkeypatch.setattr(accelerated, "accelerate", lambda model: model)
    with pytest.raises(AssertionError, match=r"ModernBertModel: outputs differ by 0\.5: nothing to time"):
        accelerated._parity("ModernBertModel", os.devnull, ["text"])


def test_texts_are_taken_from_all_over(accelerated):
    items = [str(i) for i in range(10)]
    assert accelerated.evenly(items, 3) == ["0", "3", "6"]
    assert accelerated.evenly(items, 10) == accelerated.evenly(items, 99) == items
