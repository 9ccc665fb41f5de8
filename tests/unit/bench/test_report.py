import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import mkdtemp

from modernbert.bench.report import write_report
from support.studies import study


@cache
def _report():
    """Where a report was written, and what."""
    folder = Path(mkdtemp())
    return folder, write_report(study(), folder)


def test_a_report_is_whole_and_loads_nothing_from_elsewhere():
    folder, written = _report()
    names = [path.name for path in written]
    assert names == [
        "study.json",
        "report.md",
        "report.html",
        "speed-base.png",
        "roofline-base.png",
        "scaling-base.png",
    ]
    assert all((folder / name).read_bytes()[:4] == b"\x89PNG" for name in names if name.endswith("png"))
    page = (folder / "report.html").read_text()
    HTMLParser().feed(page)
    assert page.count("<img") == page.count("src='data:image/png;base64,") == 3
    assert "http" not in page
    assert "Scaled down" in page
    assert "the paper, RTX 4090" in page
    text = (folder / "report.md").read_text()
    assert "![roofline-base](roofline-base.png)" in text


def test_json_has_the_provenance_of_every_figure():
    folder, _ = _report()
    told = json.loads((folder / "study.json").read_text())
    assert told["machine"]["cpu"] == "Make-believe CPU"
    assert told["published"]["source"].startswith("Warner et al.")
    for cell in told["cells"]:
        assert cell["provenance"]["rates"]["float32"] == 250e9
        assert cell["figures"].keys() == {
            f"{one['backend']}, {one['batching']}" for one in cell["measured"] if one["seconds"]
        }
