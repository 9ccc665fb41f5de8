"""benchmarks/efficiency.py: how a report becomes a page of the documentation."""

import re
from pathlib import Path

from modernbert.bench.report import write_report
from support.studies import study

ROOT = Path(__file__).resolve().parents[3]


def test_a_report_becomes_a_page_with_its_pictures(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from efficiency import publish

    (tmp_path / "docs").mkdir()
    write_report(study(), tmp_path / "out")
    page = publish(tmp_path / "out", tmp_path / "docs").read_text()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert pictures == ["efficiency-speed-base.png", "efficiency-roofline-base.png", "efficiency-scaling-base.png"]
    assert all((tmp_path / "docs" / name).exists() for name in pictures)
    assert "[bench.md](bench.md)" in page
