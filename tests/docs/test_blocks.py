"""Every block that the README and docs/ show is run, in order, where a demonstration has been."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.demonstration import demonstration

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def home(tmp_path):
    """A folder that looks as it does after `make demo`."""
    shutil.copytree(demonstration()[0], tmp_path / "runs" / "demo")
    return tmp_path


def _blocks():
    for page in PAGES:
        for number, (language, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
            yield pytest.param(language, code, id=f"{page.relative_to(ROOT)}:{number}:{language}")


@pytest.mark.parametrize(("language", "code"), list(_blocks()))
def test_the_block_runs(language, code, home):
    assert language in ("bash", "python"), "say what a block is, so that it can be run"
    if language == "python":
        _check(subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True))
        return
    bin_folder = home / "bin"
    bin_folder.mkdir()
    command = bin_folder / "modernbert"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modernbert.cli.main "$@"\n')
    command.chmod(0o755)
    for line in filter(None, (line.split("  #")[0].strip() for line in code.splitlines())):
        if line.startswith("make "):
            # The suite cannot run itself; make must know the verb, and what it calls is tested here and in system/.
            _check(subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True))
        elif line != "source .venv/bin/activate":
            env = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}
            _check(subprocess.run(["bash", "-ec", line], cwd=home, env=env, capture_output=True, text=True))


def _check(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_python_blocks_print_what_their_readers_expect(home):
    blocks = [code for language, code in BLOCK.findall((ROOT / "README.md").read_text()) if language == "python"]
    first, second = (
        subprocess.run([sys.executable, "-c", b], cwd=home, capture_output=True, text=True) for b in blocks
    )
    assert re.match(r"\[\[ *-?[\d.e-]+ +-?[\d.e-]+ *\]\]", first.stdout)
    assert "Guess(" in first.stdout
    assert "torch.Size" in second.stdout
