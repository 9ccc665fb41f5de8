import re
import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_computed_tables_of_the_design_page_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)  # as `python docs/...` has it
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "make_design_tables.py"))["filled"](page) == page, (
        "run  python docs/make_design_tables.py"
    )


def test_the_design_page_has_all_of_its_tables():
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    names = re.findall(r"<!-- table (\w+) -->\n\n\| ", page)
    assert sorted(names) == ["base", "bound", "large", "reference", "targets", "widths", "worth"]
