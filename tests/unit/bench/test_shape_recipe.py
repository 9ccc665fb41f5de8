from dataclasses import replace

import pytest

from modernbert.bench.shape_recipe import nearest_recipe, recipe_text, write_recipe
from modernbert.bench.shapes import same_shape, shape
from modernbert.core.errors import UserError
from modernbert.model.config import SIZES
from modernbert.train.config import Fresh
from modernbert.train.plan import plan
from modernbert.train.recipes import read_recipe

SHAPES = {
    "tiny": shape(layers=4, hidden=128, gate=256, vocab_size=2048),
    "17m": shape(layers=7, hidden=256, gate=512, vocab_size=16_384),
    "68m": shape(layers=13, hidden=512, gate=1024),
    "base": shape(layers=16, hidden=768, gate=1920),
    "large": shape(layers=34, hidden=1024, gate=2112),
}


@pytest.mark.parametrize(("name", "chosen"), SHAPES.items(), ids=SHAPES)
def test_the_recipe_is_the_nearest_one_with_another_shape(name, chosen, tmp_path):
    path = tmp_path / "mine.yaml"
    assert write_recipe(chosen, path, made_for=["T4", "L4"]) == name
    written, template = read_recipe([path]), read_recipe([name])
    assert written == replace(template, model=written.model, run=written.run, start=Fresh())
    assert same_shape(written.model, chosen)
    assert written.model.vocab_size == chosen.vocab_size
    assert str(written.run) == f"runs/{chosen.num_hidden_layers}x{chosen.hidden_size}x{chosen.intermediate_size}"
    assert plan(written).tokens == plan(template).tokens


def test_the_comment_says_what_it_is_and_how_to_start_it(tmp_path):
    path = tmp_path / "mine.yaml"
    write_recipe(SHAPES["base"], path, made_for=["T4", "L4"])
    head = path.read_text().splitlines()[:3]
    assert head[0] == "# 16 layers of 768, 147.9M parameters, designed for T4, L4."
    assert "from the recipe base" in head[1]
    assert head[2].startswith("# modernbert pretrain mine.yaml --data.sources.")


def test_comments_inside_the_template_stay():
    text = recipe_text(SHAPES["base"], nearest_recipe(SHAPES["base"]), "mine.yaml", ["T4"])
    assert "# 4,608 documents of 1,024 tokens." in text
    assert "as published" not in text


def test_a_pattern_of_its_own_is_written_down(tmp_path):
    often = shape(layers=5, hidden=256, gate=512, global_every=2)
    write_recipe(often, tmp_path / "often.yaml", made_for=["T4"])
    assert read_recipe([tmp_path / "often.yaml"]).model.layer_kinds == often.layer_kinds


@pytest.mark.parametrize("name", SIZES)
def test_a_published_size_is_nearest_to_its_own_recipe(name):
    expected = {"tiny": "tiny", "1b": "large"}.get(name, name)
    assert nearest_recipe(SIZES[name]).name == expected


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 3\n")
    with pytest.raises(UserError, match=r"mine\.yaml is there already: choose another name, or move it away"):
        write_recipe(SHAPES["base"], path, made_for=["T4"])
    assert path.read_text() == "seed: 3\n"


def test_a_recipe_s_name_ends_in_yaml(tmp_path):
    with pytest.raises(UserError, match=r"mine\.txt: found '\.txt', expected a name that ends in \.yaml"):
        write_recipe(SHAPES["base"], tmp_path / "mine.txt", made_for=["T4"])
