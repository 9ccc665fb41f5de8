import subprocess
import sys

import pytest

import modernbert


def _runs(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("heavy", ["torch", "transformers", "numpy", "huggingface_hub", "tokenizers"])
def test_the_command_line_starts_without_anything_heavy(heavy):
    _runs(f"import modernbert.cli.main, sys; assert {heavy!r} not in sys.modules")


def test_the_package_itself_imports_nothing():
    _runs("import modernbert, sys; assert 'torch' not in sys.modules and 'tyro' not in sys.modules")


@pytest.mark.parametrize("module", ["model.config", "train.config", "demo.config", "model.hf_config"])
def test_settings_are_read_without_torch(module):
    _runs(f"import modernbert.{module}, sys; assert 'torch' not in sys.modules")


def test_transformers_is_never_needed_to_run():
    _runs("import modernbert.cli.main, modernbert.demo.train, sys; assert 'transformers' not in sys.modules")


@pytest.mark.parametrize("name", modernbert.__all__)
def test_every_name_at_the_front_door_leads_somewhere(name):
    assert getattr(modernbert, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        modernbert.nothing  # noqa: B018


def test_the_front_door_lists_itself():
    assert set(modernbert.__all__) <= set(dir(modernbert))
