"""Python that says what it does: the sources of well-known packages under permissive licences, of which pairs.py takes docstrings.

    python models/nano/packages.py --out runs/nano/packages

`packages.txt` names them with their versions. Their wheels come from the package index (pip, without what they depend on) and are
read, not installed. OUT gets `python-packages.jsonl.xz`, a source file a line with `text`, `package` and `license`. Tests are left out,
and packages whose licence is not plainly permissive.
"""

import argparse
import json
import lzma
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

from modernbert.core.files import atomic_folder
from modernbert.core.log import say
from modernbert.core.script import as_script

PACKAGES = Path(__file__).with_name("packages.txt")
PERMISSIVE = re.compile(r"\b(MIT|BSD|0BSD|Apache|ISC|ISCL|HPND)\b|BSD-\d")
BINDING = re.compile(r"GPL|General Public|Mozilla|MPL|Eclipse|EPL|CDDL|EUPL|CeCILL", re.IGNORECASE)
LONGEST_NAME = 100
"""Characters of a licence's name; what is longer is its text."""
LONGEST = 300_000
"""Characters of a file: longer ones are tables."""
MOST = 8_000_000
"""Bytes of one package, in files drawn by chance: no package shall be most of what is read."""
TESTS = re.compile(r"(^|/)(tests?|testing|_?vendor(ed)?|_distutils)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
"""Files that are no part of what a package does, or not its own."""
QUICK = 1
"""xz's preset: the file is read once."""


def main() -> None:
    """Download, read, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--packages", type=Path, default=PACKAGES, help="requirements, a line each")
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--seed", type=int, default=17)
    given = words.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as wheels, atomic_folder(given.out) as out:
        pip = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", wheels)
        subprocess.run([sys.executable, *pip, "--requirement", str(given.packages)], check=True)
        files = 0
        with lzma.open(out / "python-packages.jsonl.xz", "wt", encoding="utf-8", preset=QUICK) as lines:
            for wheel in sorted(Path(wheels).glob("*.whl")):
                for row in sources(wheel, draw):
                    lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                    files += 1
    print(f"{given.out}: {files:,} files")


def sources(wheel: Path, draw: random.Random) -> Iterator[dict[str, str]]:
    """The Python files of a wheel, as rows; none where its licence asks for more than to be named."""
    with ZipFile(wheel) as opened:
        metadata = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(opened.read(metadata), headersonly=True)
        licence, package = licence_of(told), f"{told['Name']} {told['Version']}"
        if not PERMISSIVE.search(licence) or BINDING.search(licence):
            say(f"{package}: left out, its licence is {licence or 'not named'}")
            return
        found = [
            file for file in opened.infolist() if file.filename.endswith(".py") and not TESTS.search(file.filename)
        ]
        draw.shuffle(found)
        room = MOST
        for file in found:
            if file.file_size <= min(room, LONGEST):
                room -= file.file_size
                try:
                    text = opened.read(file).decode()
                except UnicodeDecodeError:
                    continue
                yield {"text": text, "package": package, "path": file.filename, "license": licence}


def licence_of(told: Message) -> str:
    """Its name, as a wheel's metadata have it in one of three places; empty where they have not."""
    named = [told.get("License-Expression"), told.get("License")]
    named += [one.rpartition("::")[2] for one in told.get_all("Classifier", []) if one.startswith("License ::")]
    return "; ".join(one.strip() for one in named if one and len(one) <= LONGEST_NAME)


if __name__ == "__main__":
    as_script(main)
