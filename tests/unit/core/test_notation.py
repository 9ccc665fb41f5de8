"""Files that are no settings at all: each broken one is one sentence, with the line where there is one."""

import sys

import pytest

from modernbert.core._notation import load, parse_yaml
from modernbert.core.errors import ConfigError


@pytest.fixture
def recipe(tmp_path):
    """Writes the text to a file."""

    def to_file(text, name="recipe.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def refusal(path):
    """The whole message, checked to be one line."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # Python's own: libraries that other tests import raise it
    try:
        with pytest.raises(ConfigError) as caught:
            load(path)
    finally:
        sys.setrecursionlimit(limit)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.yaml", "a: [1\nb: 2", ", line 2, column 2: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("r.yaml", "a: b: c", ", line 1, column 5: mapping values are not allowed here"),
        ("r.yaml", "a:\n\tb: 1", ", line 2, column 1: while scanning for the next token, found character '\\t' that cannot start any token"),
        ("r.yaml", "seed: 1\nname: x\nseed: 2", ", line 3, column 1: the key 'seed' stands twice in one mapping, first in line 1; keep one"),
        ("r.yaml", "sources: {no: 0.3}", ", line 1, column 11: YAML reads the key no as bool, expected text; put it in quotes"),
        ("r.yaml", "? [a]\n: 1", ", line 1, column 3: found a list or a mapping as a key, expected text"),
        ("r.yaml", "a: &x [*x]", ", line 1, column 8: *x contains itself"),
        ("r.yaml", "a: !!python/object:os.system x", ", line 1, column 4: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("r.yaml", "a: 1\n---\nb: 2", ", line 2, column 1: expected a single document in the stream, but found another document"),
        ("r.yaml", "a: \x07", ": unacceptable character #x0007: special characters are not allowed in \"<unicode string>\", position 3"),
        ("r.yaml", "a: !!int x", ": invalid literal for int() with base 10: 'x'"),
        ("r.yaml", "[" * 600, ": nested too deeply to read"),
        ("r.yaml", "", ": the file is empty; expected a mapping such as 'seed: 17'"),
        ("r.yaml", "# nothing\n", ": the file is empty; expected a mapping such as 'seed: 17'"),
        ("r.yaml", "- a", ": found a list at the top, expected a mapping such as 'seed: 17'"),
        ("r.yaml", "hello", ": found 'hello' (str) at the top, expected a mapping such as 'seed: 17'"),
        ("r.yaml", b"a: \xff", ": byte 3 is not UTF-8; save the file as UTF-8"),
        ("r.json", "", ": the file is empty; expected a mapping such as 'seed: 17'"),
        ("r.json", "[1]", ": found a list at the top, expected a mapping such as 'seed: 17'"),
        ("r.json", '{"a": 1\n"b": 2}', ", line 2, column 1: expecting ',' delimiter"),
        ("r.json", '{"a": {"b": 1, "b": 2}}', ": the key 'b' stands twice in one mapping; keep one"),
        ("r.json", "[" * 100_000, ": nested too deeply to read"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_sentence(name, text, said, recipe):
    path = recipe(text, name)
    assert refusal(path) == f"{path}{said}"


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    path = tmp_path / "gone.yaml"
    assert refusal(path) == f"{path}: cannot read it (no such file or directory); expected a YAML or JSON file"
    path.mkdir()
    assert refusal(path) == f"{path}: cannot read it (is a directory); expected a YAML or JSON file"


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(recipe):
    assert load(recipe(b"\xef\xbb\xbfseed: 3\r\nname: x\r\n")) == {"seed": 3, "name": "x"}


@pytest.mark.parametrize("text", ["a: {<<: [{b: 1}, {b: 2}], b: 3}", "{a: &x {b: 3}, <<: *x, b: 3}"])
def test_a_key_may_overrule_a_merged_one(text):
    value = parse_yaml(text, "recipe.yaml")
    assert value in ({"a": {"b": 3}}, {"a": {"b": 3}, "b": 3})
