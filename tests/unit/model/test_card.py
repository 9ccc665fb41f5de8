import re

import yaml

from modernbert.model.card import card
from modernbert.model.encoder import Encoder
from modernbert.model.revisions import read_series
from modernbert.model.store import fresh, save
from support.series import RECIPE, published
from support.tiny import tiny_config


def _cards(tmp_path, **said):
    series = read_series(published(tmp_path, 0, 1500))
    branch = card(series[0], series, "team/model", is_main=False, **said)
    return branch, card(series[1], series, "team/model", is_main=True, **said)


def _front(text):
    return yaml.safe_load(text.split("---")[1])


def test_the_front_matter_is_what_the_hub_reads(tmp_path):
    branch, main = _cards(tmp_path, license_id="apache-2.0")
    wanted = {"library_name": "transformers", "pipeline_tag": "fill-mask", "tags": ["modernbert"]}
    assert _front(branch) == _front(main) == wanted | {"license": "apache-2.0"}
    assert "license" not in _front(_cards(tmp_path)[0])


def test_every_branch_opens_itself_and_main_needs_no_revision(tmp_path):
    branch, main = _cards(tmp_path)
    assert 'AutoModelForMaskedLM.from_pretrained("team/model", revision="step-0")' in branch
    assert 'AutoTokenizer.from_pretrained("team/model", revision="step-0")' in branch
    assert 'AutoModelForMaskedLM.from_pretrained("team/model")' in main
    assert "`main` is step-1500." in main
    assert "`main` is" not in branch
    for text in (branch, main):
        (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        compile(code, "card", "exec")


def test_a_card_says_how_far_training_was_and_how_good_it_is(tmp_path):
    branch, main = _cards(tmp_path)
    assert "Saved after 0 steps and 0 tokens, in stage pretrain (the initial weights)." in branch
    assert "Saved after 1,500 steps and 1.5M tokens, in stage pretrain. loss: 3.25." in main


def test_the_shape_is_counted(tmp_path):
    branch, _ = _cards(tmp_path)
    count = sum(parameter.numel() for parameter in fresh(tiny_config(hidden_size=16, num_hidden_layers=2)).parameters())
    for fact in (
        f"parameters | {count:,} ", "layers | 2 (1 global, 1 windowed)", "heads | 2 of 8", "window | 64 tokens to each",
        "rotary base | 160,000 global, 10,000 windowed",
    ):  # fmt: skip
        assert f"| {fact}" in branch


def test_every_card_lists_the_whole_series(tmp_path):
    table = "| `step-0` | 0 tokens | pretrain |  |\n| `step-1500` | 1.5M tokens | pretrain | 3.25 |"
    assert all(table in text for text in _cards(tmp_path))


def test_the_recipe_is_quoted_whole(tmp_path):
    branch, _ = _cards(tmp_path)
    (quoted,) = re.findall(r"```yaml\n(.*?)```", branch, re.DOTALL)
    assert yaml.safe_load(quoted) == yaml.safe_load(RECIPE)


def test_a_bare_folder_says_what_it_knows_and_no_more(tmp_path):
    save(fresh(tiny_config(), Encoder), tmp_path / "bare")
    series = read_series([tmp_path / "bare"])
    text = card(series[0], series, "team/model", is_main=True)
    assert _front(text)["pipeline_tag"] == "feature-extraction"
    assert 'AutoModel.from_pretrained("team/model")' in text
    for absent in ("Tokenizer", "Recipe", "Saved after", "None"):
        assert absent not in text
    assert "| `bare` |  |  |" in text
