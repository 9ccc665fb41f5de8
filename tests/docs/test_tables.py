import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("script", "name"), [("make_tables.py", "pretraining.md"), ("make_serving_table.py", "serving.md")]
)
def test_the_computed_tables_are_up_to_date(script, name, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)  # as `python docs/...` has it
    page = (DOCS / name).read_text(encoding="utf-8")
    assert "| `--" in page or name != "serving.md"
    assert runpy.run_path(str(DOCS / script))["filled"](page) == page, f"run  python docs/{script}"


def test_every_table_of_the_script_is_on_the_page():
    page = (DOCS / "pretraining.md").read_text(encoding="utf-8")
    assert [name for name in ("cost", "budget", "rates") if f"<!-- table {name} -->\n\n| " not in page] == []
