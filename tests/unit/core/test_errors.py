"""The family of errors, and the optional imports."""

import json
import subprocess
import sys

import pytest

from modernbert.core import errors
from modernbert.core.errors import MissingExtraError, UserError, require


@pytest.mark.parametrize("name", ["ConfigError", "UnsupportedError", "CheckpointError", "MissingExtraError"])
def test_every_error_of_the_user_is_a_user_error_and_a_value_error(name):
    assert issubclass(getattr(errors, name), UserError)
    assert issubclass(UserError, ValueError)


def test_an_installed_library_is_imported():
    assert require("json", extra="serve") is json


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.inside"])
def test_a_missing_library_names_its_extra(module):
    with pytest.raises(MissingExtraError) as caught:
        require(module, extra="serve")
    assert str(caught.value) == (f"{module!r} is not installed and this needs it: run  pip install 'modernbert[serve]'")
    assert isinstance(caught.value, ImportError), "callers which expect an ImportError get one"


def test_a_library_that_misses_its_own_parts_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency") as caught:
        require("broken_library", extra="serve")
    assert not isinstance(caught.value, MissingExtraError)


def test_core_is_light():
    modules = ["config", "errors", "files", "log", "quantities", "seeds"]
    program = "import sys\n" + "".join(f"import modernbert.core.{module}\n" for module in modules)
    program += "print(sorted({'torch', 'transformers', 'numpy', 'rich'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
