import re
from pathlib import Path

import pytest

from modernbert.core.config import read, to_plain
from modernbert.core.errors import ConfigError
from modernbert.train.config import Recipe, StableAdamW
from modernbert.train.plan import plan
from modernbert.train.recipes import find, is_setting, read_recipe, shipped

RECIPES = [recipe for recipe in shipped() if not recipe.is_overlay]
FROM_THE_START = [recipe for recipe in RECIPES if recipe.name != "continue"]
OVERLAYS = [recipe for recipe in shipped() if recipe.is_overlay]


def _names(recipes):
    return [recipe.name for recipe in recipes]


def test_these_are_shipped():
    assert _names(RECIPES) == ["17m", "32m", "68m", "base", "continue", "large", "tiny"]
    assert _names(OVERLAYS) == ["ettin-decay", "mask-decay", "mmbert", "muon", "z-loss"]


@pytest.mark.parametrize("recipe", shipped(), ids=_names(shipped()))
def test_a_recipe_opens_with_what_it_is_what_it_takes_and_its_command(recipe):
    purpose, cost, command, rest = recipe.path.read_text().split("\n", 3)
    assert all(line.startswith("# ") for line in (purpose, cost, command))
    assert not rest.startswith("#")
    assert recipe.purpose == purpose.removeprefix("# ")
    words = command.removeprefix("# modernbert pretrain ").split()
    files = [word for word in words if word in (*_names(RECIPES), *_names(OVERLAYS))]
    settings = [word for word in words if word.startswith("--")]
    assert files[-1] == recipe.name
    assert read_recipe(files, [word for word in settings if "=" in word]).data.sources


@pytest.mark.parametrize("recipe", FROM_THE_START, ids=_names(FROM_THE_START))
def test_a_recipe_goes_through_the_three_stages(recipe):
    read = read_recipe([recipe.name])
    assert [name for name in read.stages if name != "rollback"] == ["pretrain", "context", "decay"]
    assert (read.stages["pretrain"].global_rope_theta, read.stages["context"].global_rope_theta) == (10_000, 160_000)
    assert read.stages["decay"].schedule.decay == "all"


@pytest.mark.parametrize("overlay", OVERLAYS, ids=_names(OVERLAYS))
@pytest.mark.parametrize("recipe", FROM_THE_START, ids=_names(FROM_THE_START))
def test_every_overlay_changes_every_recipe_and_not_its_budget(recipe, overlay):
    alone, laid = read_recipe([recipe.name]), read_recipe([recipe.name, overlay.name])
    assert list(laid.stages) == list(alone.stages)
    assert [stage.tokens for stage in laid.stages.values()] == [stage.tokens for stage in alone.stages.values()]
    if overlay.name != "ettin-decay" or recipe.name not in ("17m", "32m", "68m"):
        assert laid != alone


@pytest.mark.parametrize("name", ["17m", "32m", "68m", "base", "continue", "large"])
def test_the_hours_in_the_header_are_those_of_the_formula(name):
    hours = plan(read_recipe([name])).h100_hours
    num_gpus = {"four": 4, "eight": 8}
    header = find(name).read_text().split("\n")[1]
    assert header.startswith(f"# Takes {hours:,.0f} H100-hours ")
    for days, their in re.findall(r"([\d.]+) days on their (\w+)", header):
        assert days == f"{hours / num_gpus[their] / 24:.1f}"


def test_base_is_the_paper_s():
    """arXiv 2412.13663, table 3, with batches in documents."""
    recipe = read_recipe(["base"])
    pretrain, context, decay = recipe.stages.values()
    assert recipe.optim == StableAdamW(lr=8e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=1e-5)
    assert (pretrain.tokens, context.tokens, decay.tokens) == (1_719e9, 250e9, 50e9)
    assert (pretrain.batch.start, pretrain.batch.size, pretrain.batch.over) == (768 * 1024, 4608 * 1024, 50e9)
    assert context.batch.size == decay.batch.size == 576 * 8192
    assert (pretrain.schedule.warmup, pretrain.lr, context.lr, decay.lr) == (3e9, None, 3e-4, 3e-4)
    assert (decay.schedule.shape, decay.schedule.floor, decay.rows.length) == ("1-sqrt", 0.001, 8192)
    assert {stage.masking.rate for stage in recipe.stages.values()} == {0.3}
    assert (recipe.seed, recipe.dropout) == (17, 0.1)


def test_large_is_the_paper_s_with_its_rollback():
    recipe = read_recipe(["large"])
    pretrain, rollback, context, decay = recipe.stages.values()
    assert recipe.start.kind == "grow"
    assert pretrain.tokens + rollback.tokens == 1_719e9
    assert (recipe.optim.lr, rollback.lr, context.lr, decay.lr) == (5e-4, 5e-5, 5e-5, 5e-5)
    assert (recipe.optim.weight_decay, rollback.weight_decay, decay.weight_decay) == (1e-5, 1e-6, 1e-6)
    assert (pretrain.batch.start, pretrain.batch.size, pretrain.batch.over) == (448 * 1024, 4928 * 1024, 10e9)
    assert (context.batch.size, decay.batch.size) == (616 * 8192, 624 * 8192)
    assert (pretrain.schedule.warmup, recipe.seed) == (2e9, 314)


@pytest.mark.parametrize("recipe", RECIPES, ids=_names(RECIPES))
def test_batches_are_whole_rows(recipe):
    for stage in read_recipe([recipe.name]).stages.values():
        assert stage.batch.size % stage.rows.room == 0
        assert (stage.batch.start or 0) % stage.rows.room == 0


def test_an_overlay_of_another_optimizer_replaces_all_of_it():
    optim = read_recipe(["17m", "muon"]).optim
    assert (optim.kind, optim.lr, optim.weight_decay) == ("muon", 8e-4, 8e-5)


def test_a_file_wins_over_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    assert find("base").parent.name == "recipes", "a folder is no recipe"
    Path("large").write_text("model: tiny\n")
    assert find("large") == Path("large")


def test_an_unknown_name_is_told_what_was_perhaps_meant():
    with pytest.raises(ConfigError, match=r"recipe 'bass': found no such file and .*; did you mean 'base'\?"):
        find("bass")
    with pytest.raises(ConfigError, match=r"recipe 'nothing-like-it\.yaml': .*there are 17m, .*, tiny, .*z-loss"):
        find("nothing-like-it.yaml")


def test_overlays_alone_are_refused_with_the_right_order():
    with pytest.raises(ConfigError, match=r"only overlays \(muon z-loss\).*such as base first: base muon z-loss$"):
        read_recipe(["muon", "z-loss"])
    with pytest.raises(ConfigError, match=r"^found no recipe; expected one such as base first: base$"):
        read_recipe(["seed=3"])


def test_settings_among_the_words_lie_on_top():
    recipe = read_recipe(["optim.lr=1e-3", "tiny", "--seed=3"], overrides=["run=elsewhere"])
    assert (recipe.optim.lr, recipe.seed, recipe.run) == (1e-3, 3, Path("elsewhere"))


def test_a_file_with_an_equals_sign_is_a_file(tmp_path):
    path = tmp_path / "lr=3.yaml"
    path.write_text("seed: 5\n")
    assert not is_setting(str(path))
    assert is_setting("a=3")
    assert read_recipe(["base", str(path)]).seed == 5


def test_a_resolved_recipe_reads_back():
    recipe = read_recipe(["large", "mmbert"])
    assert read(Recipe, to_plain(recipe)) == recipe
