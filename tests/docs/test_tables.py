import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_computed_tables_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)  # as `python docs/...` has it
    page = (DOCS / "pretraining.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "make_tables.py"))["filled"](page) == page, "run  python docs/make_tables.py"


def test_every_table_of_the_script_is_on_the_page():
    page = (DOCS / "pretraining.md").read_text(encoding="utf-8")
    assert [name for name in ("cost", "budget", "rates") if f"<!-- table {name} -->\n\n| " not in page] == []
