"""The benchmark of first answers, without its processes: its tables, and that nothing is timed that differs."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import first_answer

    return first_answer


def _answers(*, differ_by):
    """What processes would print."""

    def run(code, words, given):
        return json.dumps({"masks": [[{"token": "a", "score": 0.5 + (differ_by if "--dtype" in words else 0)}]]})

    return run


def test_ways_with_equal_answers_are_timed_on_both_pages(benchmark, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "_run", _answers(differ_by=1e-7))
    monkeypatch.setattr(benchmark, "PAGE", tmp_path / "page.md")
    benchmark.main(["--rounds", "3", "--verbs", "tag", "embed", "--lengths", "16", "8000"])
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows == [
        "| command",
        "| `tag Angela Merkel met Tim Cook in Berlin.`",
        "| `embed`",
        "| tokens of one text",
        "| 16",
        "| 8,000",
    ]
    assert "| 8,000 | 0.00 (0.00–0.00) |" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_answers_that_differ_are_not_timed(benchmark, monkeypatch, difference):
    monkeypatch.setattr(benchmark, "_run", _answers(differ_by=difference))
    with pytest.raises(SystemExit, match="nothing is timed that differs"):
        benchmark.main(["--rounds", "1", "--verbs", "tag", "--lengths", "16", "--no-write"])
