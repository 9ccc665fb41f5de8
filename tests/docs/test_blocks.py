"""Every block that the README and docs/ show is run, page by page and in order, where a demonstration has been.

bash and python blocks are run; a bash line that ends with & goes on until the end of its page, and what it serves on port 3000 is on a
free one here. A yaml block is read strictly, over a recipe; where its first line is a comment with
a name, such as `# mine.yaml`, it is also written to that file for the blocks behind it. A json block is parsed. A text
block is only looked at by people: what needs several GPUs, or a network.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from modernbert.tasks.recipes import read_recipe as read_finetune_recipe
from modernbert.train.recipes import read_recipe
from support.demonstration import demonstration
from support.warm import warm_python

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


_started: dict[Path, list[subprocess.Popen]] = {}
_ports: dict[Path, int] = {}


class Block(NamedTuple):
    line: int
    language: str
    code: str


@pytest.fixture
def home(tmp_path):
    """A folder that looks as it does after `make demo`, with `modernbert` in its bin/."""
    shutil.copytree(demonstration()[0], tmp_path / "runs" / "demo")
    command = tmp_path / "bin" / "modernbert"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{_python()}" -m modernbert.cli.main "$@"\n')
    command.chmod(0o755)
    yield tmp_path
    for process in _started.pop(tmp_path, []):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _python():
    return warm_python("sentence_transformers", "transformers.trainer", "transformers.pipelines")


def _blocks(page):
    text = page.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, found.start()) + 1, *found.groups()) for found in BLOCK.finditer(text)]


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if _blocks(page)]
)
def test_the_blocks_of_a_page_run_in_order(page, home):
    for block in _blocks(page):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.language in RUNNERS, f"{where}: say what a block is, so that it can be run: {', '.join(RUNNERS)}"
        RUNNERS[block.language](block.code, home, where)


def _run_python(code, home, where):
    _check([_python(), "-c", _at_free_port(code, home)], home, where)


def _run_bash(code, home, where):
    env = os.environ | {"PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    code = _at_free_port(code, home).replace("\\\n", " ")
    for line in filter(None, (line.split("  #")[0].strip() for line in code.splitlines())):
        if line.startswith("make "):
            # The suite cannot run itself; make must know the verb, and what it calls is tested here and in system/.
            _check([*line.split(), "--dry-run"], ROOT, where)
        elif line.endswith(" &"):
            with (home / "started.log").open("ab") as log:
                words = ["bash", "-ec", line.removesuffix("&")]
                process = subprocess.Popen(words, cwd=home, env=env, stdout=log, stderr=log, start_new_session=True)
            _started.setdefault(home, []).append(process)
        elif line != "source .venv/bin/activate":
            _check(["bash", "-ec", line], home, where, env=env)


def _at_free_port(code, home):
    """The same port on one page, and another on every other."""
    if "3000" in code and home not in _ports:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            _ports[home] = free.getsockname()[1]
    return code.replace("3000", str(_ports.get(home, 3000)))


def _read_yaml(code, home, where):
    named = re.match(r"# ([\w-]+\.yaml)\n", code)
    path = home / (named[1] if named else "block.yaml")
    path.write_text(code, encoding="utf-8")
    if re.search(r"^task:", code, re.MULTILINE):
        assert read_finetune_recipe([str(path)]).task, f"{where}: no fine-tuning recipe"
        return
    assert read_recipe(["base", path]) != read_recipe(["base"]), f"{where}: changes nothing"


def _check(words, home, where, env=None):
    done = subprocess.run(words, cwd=home, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{where}: {words[-1]}\n{done.stdout}\n{done.stderr}"


RUNNERS = {
    "bash": _run_bash, "python": _run_python, "yaml": _read_yaml, "json": lambda code, home, where: json.loads(code),
    "text": lambda code, home, where: None,
}  # fmt: skip


def test_python_blocks_print_what_their_readers_expect(home):
    blocks = [block.code for block in _blocks(ROOT / "README.md") if block.language == "python"]
    _run_bash("modernbert model copy nano:embedding runs/embedding", home, "README.md")
    first, second, third = (
        subprocess.run([_python(), "-c", code], cwd=home, capture_output=True, text=True) for code in blocks
    )
    assert re.match(r"\[\[ *-?[\d.e-]+ +-?[\d.e-]+ *\]\]", first.stdout)
    assert "Guess(" in first.stdout
    assert "torch.Size" in second.stdout
    assert third.stdout == "(2, 256)\n"
