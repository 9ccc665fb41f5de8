"""Take the report of a study into the documentation: docs/efficiency.md and its figures.

modernbert bench --out runs/bench ...      # hours, on a quiet machine
python benchmarks/efficiency.py runs/bench
"""

import re
import shutil
import sys
from pathlib import Path

from modernbert.core.files import write_atomically

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


if __name__ == "__main__":
    print(f"wrote {publish(Path(sys.argv[1]))}", file=sys.stderr)
