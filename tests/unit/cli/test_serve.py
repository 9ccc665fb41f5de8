from dataclasses import fields

import pytest

from modernbert.cli.main import _parse, main
from modernbert.cli.serve import FROM_TEI, SPINS, Serve, serve_words, spin_briefly
from modernbert.core import errors
from modernbert.serve.config import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in (*FROM_TEI, "model_id"):
        monkeypatch.delenv(name.upper(), raising=False)


def test_words_become_settings():
    said = _parse(
        ["serve", "a=nano", "./b", "--port", "0", "--api-key", "x", "y", "--auto-truncate", "--index", "n=./notes"]
    )
    assert isinstance(said, Serve)
    assert said.models == ("a=nano", "./b")
    assert (said.port, said.api_key, said.auto_truncate, said.index) == (0, ("x", "y"), True, ("n=./notes",))


def test_the_environment_says_what_words_leave_unsaid(monkeypatch):
    for name, value in {"PORT": "80", "API_KEY": "one, two", "AUTO_TRUNCATE": "true", "MAX_BATCH_TOKENS": "99"}.items():
        monkeypatch.setenv(name, value)
    said = _parse(["serve", "nano", "--max-batch-tokens", "7"])
    assert (said.port, said.api_key, said.auto_truncate, said.max_batch_tokens) == (80, ("one", "two"), True, 7)
    assert said.models == ("nano",)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, []), ({"HOSTNAME": "box", "HOST": "box"}, []), ({"AUTO_TRUNCATE": "false"}, []), ({"API_KEY": ""}, []),
        ({"PORT": "80"}, ["--port", "80"]),
    ],
)  # fmt: skip
def test_nothing_else_of_the_environment_is_read(environment, words):
    assert serve_words([], environment) == words


def test_a_flag_with_an_equals_sign_counts_as_said():
    assert serve_words(["--port=1"], {"PORT": "80"}) == ["--port=1"]


def test_what_the_environment_may_say_are_settings():
    assert set(FROM_TEI) <= {field.name for field in fields(Settings)}


def test_a_setting_that_cannot_be_meant_is_exit_code_2(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "nano", "--timeout", "0"])
    assert "--timeout: found 0.0, expected more than 0" in capsys.readouterr().err


def test_a_missing_extra_says_what_to_install(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(errors, "import_module", missing)
    assert main(["serve", "nano"]) == 2
    assert "pip install 'modernbert[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize("said", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}], ids=str)
def test_threads_that_wait_for_each_other_soon_sleep_unless_the_environment_says_otherwise(said):
    found = dict(said)
    spin_briefly(found)
    assert found == (said or {"GOMP_SPINCOUNT": SPINS})
