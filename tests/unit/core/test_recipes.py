from dataclasses import dataclass

import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.recipes import read_words, shipped_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    rate: float = 0.5
    name: str = ""


def _read(*words):
    return read_words(Settings, "finetune", words, what="recipe of a test", such_as="rate=1")


def test_files_lie_over_each_other_and_settings_on_top(tmp_path):
    (tmp_path / "a.yaml").write_text("rate: 0.25\nname: a\n")
    (tmp_path / "b.yaml").write_text("name: b\n")
    assert _read("rate=2", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")) == Settings(rate=2.0, name="b")
    assert _read() == Settings()


def test_a_name_that_is_not_shipped_is_told_what_is():
    assert "imdb" in shipped_names("finetune")
    with pytest.raises(
        ConfigError, match=r"there is no recipe of a test 'imbd', found hc3, imdb: name one of them, .* such as rate=1"
    ):
        _read("imbd")
