"""Take the report of a study into the documentation: docs/efficiency.md and its figures.

modernbert bench --out runs/bench ...      # hours, on a quiet machine
python benchmarks/efficiency.py runs/bench
"""

import argparse
import re
import shutil
from pathlib import Path

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script

DOCS = Path(__file__).resolve().parent.parent / "docs"


def publish(study: Path, docs: Path = DOCS) -> Path:
    """Copy, pictures under names that say what they belong to."""
    page = (study / "report.md").read_text(encoding="utf-8")
    for name in re.findall(r"!\[[^]]*\]\(([\w.-]+\.png)\)", page):
        page = page.replace(f"]({name})", f"](efficiency-{name})")
        shutil.copyfile(study / name, docs / f"efficiency-{name}")
    page = page.replace("*Written by", "How it is measured: [bench.md](bench.md). *Written by")
    with write_atomically(docs / "efficiency.md", "w") as file:
        file.write(page)
    return docs / "efficiency.md"


def main() -> None:
    """Of the study in this folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    say(f"wrote {publish(parser.parse_args().study)}")


if __name__ == "__main__":
    as_script(main)
