"""Every name that the code looks up is defined somewhere: ruff and pyright cannot say, for they take "T H K" for names."""

import builtins
import dis
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).parents[2]
OF_EVERY_MODULE = {*dir(builtins), "__file__", "__path__", "__annotations__"}


def undefined(source: str) -> set[str]:
    """Global names that a module looks up and nowhere binds."""
    module = compile(source, "module", "exec")
    bound, used = set(OF_EVERY_MODULE), set()
    for code in _codes(module):
        for step in dis.get_instructions(code):
            if step.opname == "STORE_GLOBAL" or (step.opname == "STORE_NAME" and code is module):
                bound.add(step.argval)
            elif step.opname == "LOAD_GLOBAL" or (step.opname == "LOAD_NAME" and code is module):
                used.add(step.argval)
    return used - bound


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def test_a_name_that_is_nowhere_bound_is_found():
    source = 'import os\ndef f(x: "T H K"):\n    return [os.sep + lost for _ in x]\n'
    assert undefined(source) == {"lost"}


@pytest.mark.parametrize("folder", ["src", "benchmarks", "models", "docs"])
def test_every_name_is_bound(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert {str(path): names for path in files if (names := undefined(path.read_text(encoding="utf-8")))} == {}
