"""Laws of reading settings: for any config, through any door."""

import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from modernbert.core._notation import parse_yaml
from modernbert.core.config import read, to_plain, write
from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Duration, Tokens

frozen = dataclass(frozen=True, slots=True, kw_only=True)
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


@frozen
class Constant:
    kind: Literal["constant"] = "constant"
    lr: float = 1e-3


@frozen
class Warmup:
    kind: Literal["warmup-stable"] = "warmup-stable"
    lr: float
    warmup: Tokens | Duration = Tokens(3_000)


@frozen
class Stage:
    until: Tokens
    schedule: Constant | Warmup = Constant(lr=0.5)
    note: str | None = None


@frozen
class Recipe:
    name: str
    seed: int = 17
    rate: float = 0.3
    is_dry: bool = True
    size: Literal["tiny", "no", "1"] = "tiny"
    workers: Literal["auto"] | int = 1
    limit: float | int | None = None
    folder: Path = Path("runs")
    every: Duration = Duration(600)
    betas: tuple[float, float] = (0.9, 0.98)
    words: tuple[str, ...] = ("a",)
    nested: list[list[int]] = field(default_factory=lambda: [[1]])
    sources: dict[str, float] = field(default_factory=lambda: {"web": 1.0})
    stages: tuple[Stage, ...] = ()
    best: Stage | None = Stage(until=Tokens(1))


texts = st.text(max_size=20) | st.sampled_from(
    ["no", "8e-4", "012", "1:30", "2024-01-01", "null", "~", "=", "<<", "x: y", "\x85", "\r\n", "\u2028 "]
)
floats = st.floats(allow_nan=False, allow_infinity=False)
tokens = st.integers(0, 2**63 - 1).map(Tokens)
durations = st.floats(0, allow_infinity=False).map(Duration)
schedules = st.builds(Constant, lr=floats) | st.builds(Warmup, lr=floats, warmup=tokens | durations)
stages = st.builds(Stage, until=tokens, schedule=schedules, note=st.none() | texts)
recipes = st.builds(
    Recipe,
    name=texts,
    seed=st.integers(),
    rate=floats,
    is_dry=st.booleans(),
    size=st.sampled_from(["tiny", "no", "1"]),
    workers=st.just("auto") | st.integers(),
    limit=st.none() | floats | st.integers(),
    folder=st.text(string.printable.strip(), min_size=1).map(Path),
    every=durations,
    betas=st.tuples(floats, floats),
    words=st.lists(texts, max_size=3).map(tuple),
    nested=st.lists(st.lists(st.integers(), max_size=2), max_size=2),
    sources=st.dictionaries(texts, floats, max_size=3),
    stages=st.lists(stages, max_size=2).map(tuple),
    best=st.none() | stages,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)  # hundreds of files: the laws are about their text
        yield tmp_path_factory.mktemp("recipes")


def same(one, other):
    """Equal in types too: 1 == 1.0 == True to Python."""
    return repr(one) == repr(other) and one == other


@law
@given(recipes)
def test_a_config_reads_back_from_plain_values(recipe):
    assert same(read(Recipe, to_plain(recipe)), recipe)


@law
@given(recipes)
def test_a_config_reads_back_from_files(folder, recipe):
    for name in ("recipe.yaml", "recipe.json"):
        write(recipe, folder / name)
        assert same(read(Recipe, folder / name), recipe)


@law
@given(recipes, st.text(string.ascii_lowercase + "_-", min_size=1), st.sampled_from(["", "best", "best.schedule"]))
def test_an_unknown_key_is_always_refused(recipe, key, where):
    plain = to_plain(recipe)
    section = plain
    for step in filter(None, where.split(".")):
        section = section[step] if section else None
    assume(section is not None and key not in section)
    section[key] = 1
    with pytest.raises(ConfigError) as caught:
        read(Recipe, plain)
    place = ".".join(filter(None, ("config", where, key)))
    assert str(caught.value).startswith(f"{place}: no such key; ")


PATHS = ["seed", "rate", "size", "limit", "every", "words", "sources", "best", "best.until", "best.schedule.lr", "x.y"]
VALUES = ["1", "-3", "8e-4", "no", "tiny", "5 min", "3B", "[a, b]", "{web: 2}", "{until: 5}", "null", "'7'", ".nan"]


@law
@given(st.sampled_from(PATHS), st.sampled_from(VALUES) | st.integers().map(str) | floats.map(repr))
def test_an_override_equals_the_same_line_in_a_file(folder, path, value):
    *sections, key = path.split(".")
    line = "name: x\n" + "".join(f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections))
    (folder / "line.yaml").write_text(f"{line}{'  ' * len(sections)}{key}: {value}\n")
    outcomes = []
    for read_it in (
        lambda: read(Recipe, folder / "line.yaml"),
        lambda: read(Recipe, {"name": "x"}, overrides=[f"{path}={value}"]),
    ):
        try:
            outcomes.append(repr(read_it()))
        except ConfigError as refusal:
            outcomes.append(str(refusal).replace("line.", "--", 1))
    assert outcomes[0] == outcomes[1]


@law
@given(recipes, recipes)
def test_the_last_source_wins(below, above):
    assume(not below.sources.keys() - above.sources.keys())  # mappings merge: a key below stays
    assert read(Recipe, to_plain(below), to_plain(above)) == above


@law
@given(tokens | durations)
def test_words_for_a_quantity_read_back_to_the_same_amount(amount):
    assert same(type(amount).parse(str(amount)), amount)


@law
@given(st.text(alphabet="ab:-[]{}&*!#|>'\"%@`,?\n\t 01.=<~_é\x07\ud800", max_size=40))
def test_any_text_is_a_value_or_one_sentence(text):
    try:
        parse_yaml(text, "r.yaml")
    except ConfigError as refusal:
        assert str(refusal).startswith("r.yaml")  # noqa: PT017
        assert "\n" not in str(refusal)  # noqa: PT017


scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
plain_values = st.recursive(scalars, lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3))


@law
@given(st.sampled_from(sorted(to_plain(Recipe(name="x")))), plain_values)
def test_any_value_of_any_key_is_read_or_refused_in_one_sentence(key, value):
    try:
        recipe = read(Recipe, {"name": "x", key: value})
    except ConfigError as refusal:
        assert str(refusal).startswith(f"config.{key}")  # noqa: PT017
        assert "\n" not in str(refusal)  # noqa: PT017
    else:
        assert same(read(Recipe, to_plain(recipe)), recipe)
