"""From text to models by command, at the smallest size: all three stages, a larger model tiled from it, an average."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from modernbert.cli.main import main
from modernbert.model.heads import MaskedLM
from modernbert.model.store import load
from modernbert.ops.packed import Packed
from modernbert.train.journal import read_metrics
from support.close import error
from support.sentences import write_corpus

MINE = """\
model: {hidden_size: 32, intermediate_size: 48, num_hidden_layers: 3, num_attention_heads: 2, local_attention: 32,
        initializer_range: 0.06, max_position_embeddings: 64}
run: runs/small
data:
  sources: {text: {path: shards}}
  held_out: {text: shards/held-out}
devices: {precision: float32}
stages:
  pretrain: {tokens: 12K, batch: {size: 512}, rows: {length: 64, room: 256, look_ahead: 64}, schedule: {warmup: 512}}
  context: {tokens: 2K, batch: {size: 512}, rows: {length: 256, room: 512, look_ahead: 64}}
  decay: {tokens: 2K, batch: {size: 512}, rows: {length: 256, room: 512, look_ahead: 64}}
saving: {every: 4K, keep_every: 4K}
evaluation: {every: 4K, tokens: 2K}
"""

WIDER = ("--model.hidden-size=64", "--model.num-attention-heads=4", "--model.num-hidden-layers=4")

TEXT = "The keeper counted the [MASK] at night. Her daughter described the fog without a word."


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which every command has run, and what those said that print JSON, by verb."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("pretrain")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        write_corpus(Path("text.jsonl"), 400)
        Path("mine.yaml").write_text(MINE)
        did("tokenizer train text.jsonl --out tokenizer --vocab-size 448 --num-unused 8")
        did("data tokenize text.jsonl --tokenizer tokenizer --out shards --hold-out 0.15 --num-workers 0")
        did("pretrain tiny mine.yaml --optim.lr 8e-3")
        published = " ".join(sorted(str(path) for path in Path("runs/small/published").iterdir())[-3:])
        did(f"model average {published} --out averaged")
        Path("wider.yaml").write_text("hidden_size: 64\nnum_attention_heads: 4\nnum_hidden_layers: 4\n")
        did("model grow runs/small/model grown --config wider.yaml")
        grow = "--start.kind grow --start.path runs/small/model --run runs/large --stages.pretrain.tokens 2K"
        did(f"pretrain tiny mine.yaml {grow} {' '.join(WIDER)}")
    return home


def did(command):
    assert main(command.split()) == 0, command


def test_three_stages_are_run_and_something_is_learnt(home):
    steps = read_metrics(home / "runs" / "small", "step")
    assert list(dict.fromkeys(step["stage"] for step in steps)) == ["pretrain", "context", "decay"]
    assert steps[-1]["tokens"] >= 16_000
    assert steps[-1]["lr"] < 1e-4 < steps[0]["lr"]
    losses = [line["text"]["loss"] for line in read_metrics(home / "runs" / "small", "evaluation")]
    assert len(losses) >= 5
    assert losses[-1] < losses[0] < steps[0]["loss"] - 1


def test_the_model_has_what_the_last_stage_gave_it(home):
    config = json.loads((home / "runs" / "small" / "model" / "config.json").read_text())
    assert (config["vocab_size"], config["max_position_embeddings"]) == (448, 256)
    steps = json.loads((home / "runs" / "small" / "model" / "training.json").read_text())
    assert steps["stage"] == "decay"
    model = load(home / "runs" / "small" / "model", MaskedLM)
    assert (model.config.global_rope_theta, model.config.local_rope_theta) == (160_000, 10_000)


def test_the_larger_model_begins_better_than_by_chance(home):
    begun = read_metrics(home / "runs" / "large", "step")[0]["loss"]
    fresh = read_metrics(home / "runs" / "small", "step")[0]["loss"]
    assert begun < fresh - 0.5
    assert load(home / "runs" / "large" / "model", MaskedLM).config.num_hidden_layers == 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", ["runs/small/model", "averaged", "grown", "runs/large/model"])
def test_transformers_opens_every_result_and_computes_the_same(home, folder):
    path = home / folder
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    stock = transformers.AutoModelForMaskedLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    ours = load(path, MaskedLM, dtype=torch.float32).eval()
    ids = tokenizer(TEXT)["input_ids"]
    assert tokenizer.mask_token_id in ids
    with torch.no_grad():
        expected = stock.eval()(torch.tensor([ids])).logits[0]
        found = ours.decoder(ours.head(ours.model(Packed.from_lists([ids]))))
    assert error(found, expected.double()) < 1e-4


def test_a_run_leaves_what_is_needed_to_understand_and_repeat_it(home):
    names = {path.name for path in (home / "runs" / "small").iterdir()}
    expected = {
        "recipe.yaml",
        "resolved.json",
        "env.json",
        "data.json",
        "metrics.jsonl",
        "checkpoints",
        "published",
        "model",
    }
    assert names >= expected
    assert not list(home.rglob(".unfinished-*"))
