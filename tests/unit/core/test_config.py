"""Every sentence a recipe can meet, and what reading promises."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from modernbert.core.config import read, to_plain, write
from modernbert.core.errors import ConfigError
from modernbert.core.quantities import Duration, Tokens

frozen = dataclass(frozen=True, slots=True, kw_only=True)


@frozen
class AdamW:
    kind: Literal["adamw"] = "adamw"
    lr: float = 8e-4
    weight_decay: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.98)

    def __post_init__(self):
        if self.lr <= 0:
            raise ValueError(f"found lr {self.lr},\nexpected more than zero")


@frozen
class Muon:
    kind: Literal["muon"] = "muon"
    lr: float
    steps: int = 5


@frozen
class Stage:
    until: Tokens
    note: str = ""


@frozen
class Saving:
    every: Duration | Tokens = Duration(600)
    folder: Path = Path("runs")
    keep: int = 3


@frozen
class Recipe:
    seed: int = 17
    is_dry: bool = False
    name: str = "untitled"
    size: Literal["tiny", "base", "large"] = "base"
    precision: Literal["auto", "off"] = "auto"
    workers: Literal["auto"] | int = "auto"
    limit: float | None = None
    either: float | int = 0.5
    languages: tuple[str, ...] = ()
    tags: list[str] = field(default_factory=list)
    sources: dict[str, float] = field(default_factory=dict)
    optim: AdamW | Muon = AdamW(lr=1e-3, weight_decay=0.1)
    stages: tuple[Stage, ...] = ()
    saving: Saving = Saving(keep=7)
    evaluation: Saving | None = None


@frozen
class Demanding:
    model: str
    steps: int
    seed: int = 17


def refusal(kind, *sources, overrides=()):
    """The whole message, checked to be one line."""
    with pytest.raises(ConfigError) as caught:
        read(kind, *sources, overrides=overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def recipe(tmp_path):
    """Writes the text to recipe.yaml."""

    def to_file(text, name="recipe.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


# What reading gives


def test_without_sources_everything_is_default():
    assert read(Recipe) == Recipe()


def test_a_recipe_is_read_into_types(recipe):
    path = recipe("""
        # the shape of a real recipe
        seed: 3
        is_dry: yes
        name: first try
        size: tiny
        workers: 4
        limit: 8e-4
        languages: [en, 'no']
        tags: [a, b]
        sources: {web: 0.7, code: 1}
        optim: {kind: muon, lr: 1.5e2}
        stages:
          - {until: 1.7T tokens, note: 'on'}
          - until: 50_000
        saving: {every: 90s, folder: ~/runs}
        evaluation: {}
    """)
    assert read(Recipe, path) == Recipe(
        seed=3,
        is_dry=True,
        name="first try",
        size="tiny",
        workers=4,
        limit=0.0008,
        languages=("en", "no"),
        tags=["a", "b"],
        sources={"web": 0.7, "code": 1.0},
        optim=Muon(lr=150.0),
        stages=(Stage(until=Tokens(1_700_000_000_000), note="on"), Stage(until=Tokens(50_000))),
        saving=Saving(every=Duration(90), folder=Path("~/runs"), keep=7),
        evaluation=Saving(),
    )


def test_the_types_are_exact(recipe):
    config = read(Recipe, recipe("limit: 1\nsources: {web: 2}\nsaving: {every: 2h}"))
    assert type(config.limit) is float
    assert type(config.sources["web"]) is float
    assert type(config.saving.every) is Duration


@pytest.mark.parametrize("text", ["8e-4", "8E-4", "0.8e-3", "8.e-4", ".8e-3", "0.0008", "+8e-4", "8_0e-5", "'8e-4'"])
def test_every_spelling_of_a_float_is_a_float(text, recipe):
    assert read(AdamW, recipe(f"lr: {text}")).lr == 8e-4


@pytest.mark.parametrize("text", ["2024-01-01", "1:30", "012", "1234e56", "'7'", "0o17", "=", "y"])
def test_what_yaml_would_turn_into_something_else_stays_text(text, recipe):
    assert read(Recipe, recipe(f"name: {text}")).name == text.strip("'")


def test_an_int_stays_an_int_where_both_fit():
    assert type(read(Recipe, {"either": 3}).either) is int
    assert type(read(Recipe, {"either": 3.0}).either) is float


def test_quantities_and_paths_may_come_ready_made():
    config = read(Recipe, {"saving": {"every": Duration(5), "folder": Path("x")}, "stages": ({"until": Tokens(7)},)})
    assert config.saving.every == Duration(5)
    assert config.stages[0].until == 7


def test_sources_go_from_left_to_right_and_overrides_come_last(recipe):
    low = recipe("seed: 1\noptim: {lr: 0.1, weight_decay: 0.2}\nlanguages: [a, b]\nsources: {web: 1}", "low.yaml")
    high = recipe('{"seed": 2, "optim": {"lr": 0.3}, "languages": ["c"], "sources": {"code": 2}}', "high.json")
    config = read(Recipe, low, str(high), {"seed": 3}, overrides=["seed=4", "optim.lr=4e-1"])
    assert config.seed == 4
    assert config.optim == AdamW(lr=0.4, weight_decay=0.2)
    assert config.languages == ("c",), "lists replace"
    assert config.sources == {"web": 1, "code": 2}, "mappings merge"


def test_the_sources_are_not_changed():
    source = {"optim": {"lr": 0.1}}
    read(Recipe, source, {"optim": {"lr": 0.2}}, overrides=["optim.lr=0.3"])
    assert source == {"optim": {"lr": 0.1}}


def test_a_section_completes_the_default_of_its_field_not_of_its_class():
    assert read(Recipe, {"saving": {"folder": "x"}}).saving.keep == 7
    assert read(Recipe, {"optim": {"lr": 2}}).optim == AdamW(lr=2, weight_decay=0.1)
    assert read(Recipe, {"optim": {"kind": "adamw"}}).optim == AdamW(lr=1e-3, weight_decay=0.1)


def test_another_kind_replaces_the_whole_section(recipe):
    path = recipe("optim: {kind: adamw, lr: 0.5, betas: [0.8, 0.9]}")
    assert read(Recipe, path, {"optim": {"kind": "muon", "lr": 0.1}}).optim == Muon(lr=0.1)
    for overrides in (["optim.kind=muon", "optim.lr=0.1"], ["optim.lr=0.1", "optim.kind=muon"]):
        assert read(Recipe, path, overrides=overrides).optim == Muon(lr=0.1)
    said = refusal(Recipe, path, overrides=["optim.kind=muon"])
    assert said == "--optim: 'lr' is missing and has no default; write it"


def test_a_section_can_be_switched_on_and_off():
    assert read(Recipe, {"evaluation": {"keep": 1}}, {"evaluation": None}).evaluation is None
    assert read(Recipe, {"evaluation": None}, overrides=["evaluation.keep=1"]).evaluation == Saving(keep=1)


def test_anchors_and_merge_keys_work(recipe):
    text = "a: &base {lr: 0.1, weight_decay: 0.2}\n"
    said = refusal(Recipe, recipe(text))
    assert said.startswith("recipe.a: no such key")
    path = recipe("stages:\n  - &first {until: 5, note: x}\n  - &second {<<: *first, until: 6}\n  - {<<: *second}\n")
    assert [stage.until for stage in read(Recipe, path).stages] == [5, 6, 6]


def test_an_override_is_yaml_and_may_be_kebab_case():
    overrides = ["--saving.keep=1", "is-dry=true", "languages=[a, b]", "sources.c4-en=0.5", "optim.weight-decay=1e-2"]
    config = read(Recipe, overrides=overrides)
    assert config.saving.keep == 1
    assert config.is_dry
    assert config.languages == ("a", "b")
    assert config.sources == {"c4-en": 0.5}, "keys of a dict stay as they are"
    assert config.optim == AdamW(lr=1e-3, weight_decay=0.01)


def test_an_override_may_contain_an_equals_sign():
    assert read(Recipe, overrides=["name=a=b"]).name == "a=b"


# What writing gives


def test_to_plain_is_json_and_complete():
    plain = to_plain(Recipe(stages=(Stage(until=Tokens(4_720_000)),), limit=2.5))
    assert json.loads(json.dumps(plain)) == plain
    assert plain["optim"] == {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.1, "betas": [0.9, 0.98]}
    assert plain["stages"] == [{"until": "4.72M tokens", "note": ""}]
    assert plain["saving"] == {"every": "10 min", "folder": "runs", "keep": 7}
    assert read(Recipe, plain) == Recipe(stages=(Stage(until=Tokens(4_720_000)),), limit=2.5)


def test_an_empty_dict_overrides_a_default_dict():
    @frozen
    class Mixture:
        sources: dict[str, float] = field(default_factory=lambda: {"web": 1.0})

    assert read(Mixture, to_plain(Mixture(sources={}))) == Mixture(sources={})


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_written_file_reads_back(suffix, tmp_path):
    config = Recipe(
        name="no: 'ü' #",
        languages=("no", "8e-4", "012", "", "null", "\x85", "a\n\u2028b\r\n", "\ufeff"),
        optim=Muon(lr=1e-5),
    )
    path = tmp_path / "new" / f"resolved{suffix}"
    write(config, path)
    assert read(Recipe, path) == config
    assert os.listdir(path.parent) == [path.name]


def test_yaml_is_written_for_people(tmp_path):
    write(Recipe(name="für", stages=(Stage(until=Tokens(50)),), languages=("en", "de")), tmp_path / "a.yaml")
    text = (tmp_path / "a.yaml").read_text("utf-8")
    assert text.startswith("seed: 17\nis_dry: false\nname: für\n")
    assert "languages: [en, de]\n" in text
    assert "- until: 50 tokens\n" in text


def test_a_value_no_file_can_hold_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match=r"^config\.saving\.keep: found .*object.*, expected a setting that can be"):
        to_plain(Recipe(saving=Saving(keep=object())))
    with pytest.raises(ConfigError, match=r"^config\.limit: found nan \(float\), expected a setting that can be writ"):
        write(Recipe(limit=float("nan")), tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


def test_only_yaml_and_json_are_written_and_read(tmp_path):
    expected = r"recipe\.toml: found the suffix '\.toml', expected \.yaml, \.yml or \.json$"
    with pytest.raises(ConfigError, match=expected):
        write(Recipe(), tmp_path / "recipe.toml")
    assert re.search(expected, refusal(Recipe, tmp_path / "recipe.toml"))


# What is refused: one row for each sentence

TRAP = "YAML reads an unquoted yes, no, on or off as a bool, so put it in quotes"
AMOUNT = "a whole number of tokens such as '1.7T tokens', '50B' or 3_000"
ZEROS = "take off the quotes and any leading zeros"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optim: {weigth_decay: 1}", "optim.weigth_decay: no such key; did you mean 'weight_decay'?"),
        ("optim: {weight-decay: 1}", "optim.weight-decay: no such key; did you mean 'weight_decay'?"),
        ("saving: {xyz: 1}", "saving.xyz: no such key; expected 'every', 'folder' or 'keep'"),
        ('"se\\ned": 1', "'se\\ned': no such key; did you mean 'seed'?"),
        ("optim: {lr: fast}", "optim.lr: found 'fast' (str), expected a number"),
        ("optim: {lr: true}", "optim.lr: found true (bool), expected a number"),
        (
            "optim: {lr: '0.5'}",
            "optim.lr: found '0.5' (str), expected a number; take off the quotes and any leading zeros",
        ),
        ("optim: {lr: .nan}", "optim.lr: found nan (float), expected a finite number"),
        ("optim: {lr: -.inf}", "optim.lr: found -inf (float), expected a finite number"),
        ("optim: {lr: 1e999}", "optim.lr: found '1e999' (str), expected a finite number"),
        ("optim: {lr: 1__0e3}", "optim.lr: found '1__0e3' (str), expected a finite number"),
        ("optim: {lr: }", "optim.lr: found null, expected a number"),
        ("optim: {lr: [1]}", "optim.lr: found a list, expected a number"),
        ("optim: {lr: {}}", "optim.lr: found a mapping, expected a number"),
        ("optim: {lr: -1}", "optim: found lr -1.0, expected more than zero"),
        ("optim: {betas: [0.9]}", "optim.betas: found a list of 1, expected one of 2"),
        ("optim: {betas: [0.9, x]}", "optim.betas[1]: found 'x' (str), expected a number"),
        ("optim: adamw", "optim: found 'adamw' (str), expected a mapping; its kind is 'adamw' or 'muon'"),
        ("evaluation: often", "evaluation: found 'often' (str), expected a mapping or null"),
        ("optim: {kind: moun}", "optim.kind: found 'moun' (str), expected 'adamw' or 'muon'; did you mean 'muon'?"),
        ("optim: {kind: [muon]}", "optim.kind: found a list, expected 'adamw' or 'muon'"),
        ("optim: {kind: muon}", "optim: 'lr' is missing and has no default; write it"),
        ("seed: 1.0", "seed: found 1.0 (float), expected a whole number"),
        ("seed: true", "seed: found true (bool), expected a whole number"),
        ("seed: '7'", f"seed: found '7' (str), expected a whole number; {ZEROS}"),
        ("seed: 012", f"seed: found '012' (str), expected a whole number; {ZEROS}"),
        ("seed: 1e6", "seed: found '1e6' (str), expected a whole number; write all its digits, as in 1_000_000"),
        ("is_dry: 1", "is_dry: found 1 (int), expected true or false"),
        ("is_dry: 'yes'", "is_dry: found 'yes' (str), expected true or false"),
        ("name: no", f"name: found false (bool), expected text; {TRAP}"),
        ("languages: [en, no]", f"languages[1]: found false (bool), expected text; {TRAP}"),
        ("precision: off", f"precision: found false (bool), expected 'auto' or 'off'; {TRAP}"),
        ("name: 2024", "name: found 2024 (int), expected text; put it in quotes"),
        ("name: 1.10", "name: found 1.1 (float), expected text; put it in quotes"),
        ("name: ~", "name: found null, expected text"),
        ("size: bsae", "size: found 'bsae' (str), expected 'tiny', 'base' or 'large'; did you mean 'base'?"),
        ("workers: many", "workers: found 'many' (str), expected 'auto' or a whole number"),
        ("workers: 1.5", "workers: found 1.5 (float), expected 'auto' or a whole number"),
        ("workers: []", "workers: found a list, expected 'auto' or a whole number"),
        ("limit: x", "limit: found 'x' (str), expected a number"),
        ("languages: en", "languages: found 'en' (str), expected a list; put it in [ ]"),
        ("languages: {en: 1}", "languages: found a mapping, expected a list"),
        ("tags: [1]", "tags[0]: found 1 (int), expected text; put it in quotes"),
        ("sources: [web]", "sources: found a list, expected a mapping"),
        ("sources: {web: much}", "sources.web: found 'much' (str), expected a number"),
        ("saving: {folder: 7}", "saving.folder: found 7 (int), expected a path; put it in quotes"),
        ("saving: {folder: ''}", "saving.folder: found '' (str), expected a path"),
        (
            "saving: {every: often}",
            f"saving.every: found 'often' (str), expected a duration with its unit such as '90s', '3 min', '1.5h' or '2d' or {AMOUNT}",
        ),
        ("stages: [{until: 5}, {until: soon}]", f"stages[1].until: found 'soon', expected {AMOUNT}"),
        ("stages: [{until: true}]", f"stages[0].until: found true (bool), expected {AMOUNT}"),
        ("stages: [{note: x}]", "stages[0]: 'until' is missing and has no default; write it"),
        (
            "name: " + "'" + "y" * 90 + "'\nseed: " + "'" + "x" * 90 + "'",
            f"seed: found '{'x' * 56}... (str), expected a whole number",
        ),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_is_one_sentence(text, said, recipe):
    assert refusal(Recipe, recipe(text)) == f"recipe.{said}"


def test_missing_keys_are_all_named(recipe):
    said = "'model' and 'steps' are missing and have no default; write them"
    assert refusal(Demanding) == f"config: {said}"
    assert refusal(Demanding, recipe("seed: 1")) == f"recipe: {said}"


def test_a_choice_without_a_default_needs_its_kind():
    @frozen
    class Run:
        optim: AdamW | Muon

    assert refusal(Run, {"optim": {"lr": 1}}) == "config.optim: 'kind' is missing; write kind: 'adamw' or 'muon'"


def test_a_long_list_of_keys_is_cut():
    said = refusal(Recipe, {"zzz": 1})
    assert said.startswith("config.zzz: no such key; expected 'seed', 'is_dry',")
    assert said.endswith("'sources' or 4 more")


def test_a_section_without_keys_says_so():
    @frozen
    class Nothing:
        pass

    assert refusal(Nothing, {"a": 1}) == "config.a: no such key; expected none at all"


def test_a_mapping_from_python_may_have_only_text_as_keys():
    assert refusal(Recipe, {"sources": {3: 1.0}}) == "config.sources: found 3 (int), expected text; put it in quotes"
    assert refusal(Recipe, {"limit": 10**400}).endswith("(int), expected a finite number")


def test_a_mistake_is_laid_at_the_door_of_the_one_who_made_it(recipe):
    low = recipe("optim: {lr: fast, weight_decay: 1}\nseed: 1", "low.yaml")
    high = recipe("optim: {lr: 0.1}\nseed: x", "high.yaml")
    assert refusal(Recipe, low, high) == "high.seed: found 'x' (str), expected a whole number"
    assert refusal(Recipe, low, {"seed": 2}) == "low.optim.lr: found 'fast' (str), expected a number"
    assert refusal(Recipe, low, overrides=["optim.lr=slow"]) == "--optim.lr: found 'slow' (str), expected a number"
    assert refusal(Recipe, low, high, overrides=["seed=1", "optim.lr=-1"]).startswith("--optim: found lr -1.0")
    assert refusal(Recipe, overrides=["stages=[{until: 1}, {}]"]).startswith("--stages[1]: 'until' is missing")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.lr", "--optim.lr: found 'optim.lr', expected key=value as in optim.lr=3e-4"),
        ("=3", "--: found '=3', expected key=value as in optim.lr=3e-4"),
        ("optim..lr=3", "--optim..lr: found 'optim..lr=3', expected key=value as in optim.lr=3e-4"),
        (
            "optim.lr=[1",
            "--optim.lr, line 1, column 3: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        ("optim.lr=", "--optim.lr: found null, expected a number"),
        ("optim.wieght-decay=1", "--optim.wieght-decay: no such key; did you mean 'weight_decay'?"),
        (
            "stages.0.until=5",
            "--stages.0.until: stages holds a list, expected a mapping; replace it as a whole with stages=...",
        ),
        ("seed.x=5", "--seed.x: seed holds 3 (int), expected a mapping; replace it as a whole with seed=..."),
    ],
)
def test_a_wrong_override_is_one_sentence(override, said, recipe):
    assert refusal(Recipe, recipe("seed: 3\nstages: [{until: 1}]"), overrides=[override]) == said


def test_an_override_does_not_lead_through_an_earlier_one():
    said = refusal(Recipe, overrides=["saving=5", "saving.keep=2"])
    assert said == "--saving.keep: saving holds 5 (int), expected a mapping; replace it as a whole with saving=..."


# Mistakes of ours, not of the user's


@pytest.mark.parametrize("hint", [set[int], dict[int, str], complex, list, tuple[()]])
def test_a_type_no_file_can_hold_is_our_bug(hint):
    Odd = dataclass(type("Odd", (), {"__annotations__": {"a": hint}}))
    with pytest.raises(
        TypeError, match=r"^config\.a: a setting cannot have the type .*; modernbert\.core\._fields lists"
    ):
        read(Odd, {"a": 1})


@pytest.mark.parametrize("hint", [str | Path, str | Tokens, Path | Duration])
def test_a_union_that_reads_back_as_another_type_is_our_bug(hint):
    Odd = dataclass(type("Odd", (), {"__annotations__": {"a": hint}}))
    with pytest.raises(TypeError, match=r"^config\.a: .* cannot be told apart in a file"):
        read(Odd, {"a": "x"})
