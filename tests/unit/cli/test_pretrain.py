"""`modernbert pretrain` as it is typed: what it prints, and one sentence with exit code 2 for each mistake."""

import json
import subprocess
import sys

import pytest
import torch
import yaml

from modernbert.cli.main import main
from modernbert.cli.pretrain import settings_as_words
from modernbert.data.shard_writer import write_shards
from modernbert.model.config import ModelConfig
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, save
from modernbert.text.train import train_tokenizer
from support.runs import SMALL, settings
from support.texts import CORPUS


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A recipe that was run, other shards and another model."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("pretrain")
    (home / "small.yaml").write_text(yaml.safe_dump(settings(home, steps=(2, 2)), sort_keys=False))
    other = train_tokenizer(CORPUS.splitlines(keepends=True)[:12], vocab_size=448, num_unused=8)
    with write_shards(home / "other", other) as writer:
        writer.append([5, 6, 7] * 50)
    save(fresh(ModelConfig(**SMALL, vocab_size=50_368), MaskedLM), home / "other-model")
    return home


@pytest.fixture(scope="module")
def said(home):
    """What the command said of the run, as JSON and on stderr."""
    words = ["-m", "modernbert.cli.main", "pretrain", str(home / "small.yaml"), "--json"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def refused(capsys, home, *words):
    """The sentence."""
    assert main(["pretrain", str(home / "small.yaml"), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in captured.err
    return last


def test_the_outcome_is_one_json_object(said, home):
    facts, err = said
    assert facts["is_finished"]
    assert (facts["run"], facts["model"]) == (str(home / "run"), str(home / "run" / "model"))
    assert (facts["stage"], facts["skipped"]) == ("long", 0)
    assert facts["tokens"] >= 1024
    assert facts["held_out"]["held"]["num_predicted"] > 0
    assert "curves:  " in err


def test_the_outcome_in_words(said, home, capsys):
    assert main(["pretrain", str(home / "small.yaml")]) == 0
    first, second, metrics, model = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{said[0]['tokens']:,} tokens in {said[0]['step']} steps, ")
    assert second.startswith("held-out held: loss ")
    assert metrics == f"metrics: {home / 'run' / 'metrics.jsonl'}"
    assert model == f"model:   {home / 'run' / 'model'}"


def test_only_the_first_process_speaks(said, home, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert main(["pretrain", str(home / "small.yaml")]) == 0
    assert capsys.readouterr().out == ""


def test_a_dry_run_shows_plan_and_text_and_makes_nothing(home, capsys):
    assert main(["pretrain", str(home / "small.yaml"), "--dry-run", "--run", str(home / "dry")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("33.41K parameters; ")  # with the vocabulary of the shards
    assert "short reads text, 60 documents of " in out
    assert not (home / "dry").exists()


def test_a_dry_run_as_json(home, capsys):
    assert main(["pretrain", str(home / "small.yaml"), "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tokens"] == 1024
    assert [stage["name"] for stage in facts["stages"]] == ["short", "long"]
    assert facts["model"]["vocab_size"] == 448


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--optim.weigth_decay=1"], "--optim.weigth_decay: no such key; did you mean 'weight_decay'?"),
        (
            ["--stages.short.sources={}"],
            "stages.short: there is no text to read: give token shards with --data.sources.NAME",
        ),
        (["--data.held_out.held=HOME/other"], "were made with different tokenizers: make one of them anew with"),
        (["--data.sources.text.path=HOME/nowhere"], "nowhere holds no index.json: expected a folder that"),
        (["--data.most_epochs=0.01"], "more than data.most_epochs (0.01): lower its weight, shorten the stage"),
        (["--start.kind=continue", "--start.path=HOME/nowhere"], "nor a folder here, nor a Hub id"),
        (
            ["--start.kind=continue", "--start.path=HOME/other-model"],
            "has a vocabulary of 50,368, the shards one of 448",
        ),
        (["--start.kind=grow", "--start.path=HOME/nowhere"], "nor a folder here, nor a Hub id"),
        (["--loggers=[wandb]"], "'wandb' is not installed and this needs it: run  pip install wandb"),
        (["--run=HOME/small.yaml"], "small.yaml cannot be written ("),
        (["--stages.short.batch.size=0"], "a batch grows from start to size: found None to 0"),
    ],
    ids=lambda value: value[-1].partition("=")[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_may_be_mended(home, capsys, monkeypatch, words, sentence):
    monkeypatch.setitem(sys.modules, "wandb", None)
    words = [word.replace("HOME", str(home)) for word in words]
    run = [] if words[0].startswith("--run") else ["--run", str(home / "mistaken")]
    assert sentence in refused(capsys, home, *run, *words)
    assert not (home / "mistaken" / "checkpoints").exists()
    assert not (home / "mistaken" / "model").exists()


def test_another_recipe_in_the_folder_names_what_differs(said, home, capsys):
    sentence = refused(capsys, home, "--optim.lr=1", "--seed=3")
    assert "differs in optim.lr (0.004 there, 1.0 here), seed (17 there, 3 here): go on with" in sentence


def test_damaged_shards_and_checkpoints_are_named(said, home, capsys, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    (again / "small.yaml").write_text(yaml.safe_dump(settings(again, steps=(2, 2)), sort_keys=False))
    path = again / "text" / "00000.tokens"
    path.write_bytes(path.read_bytes()[:-2])
    assert "the shards are incomplete; copy the folder again" in refused(capsys, again)
    newest = sorted((home / "run" / "checkpoints").iterdir())[-1]
    kept = (newest / "state.json").read_text()
    (newest / "state.json").write_text(kept[:20])
    assert f"remove {newest.name} to go on without it" in refused(capsys, home)
    (newest / "state.json").write_text(kept)


def test_help_loads_no_torch():
    code = (
        "import sys\n"
        "from modernbert.cli.main import main\n"
        "try:\n    main(['pretrain', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "print({name.split('.')[0] for name in sys.modules} & {'torch', 'numpy', 'transformers', 'pyarrow', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--dry-run" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_settings_become_words_that_recipes_read():
    typed = [
        "base",
        "mine.yaml",
        "--optim.lr",
        "3e-4",
        "--data.num-workers=2",
        "--seed=3",
        "--json",
        "--run",
        "runs/x=y",
    ]
    assert settings_as_words(typed) == [
        *("base", "mine.yaml", "optim.lr=3e-4", "data.num-workers=2", "seed=3", "run=runs/x=y", "--json")
    ]
    assert settings_as_words(["--z-loss", "1e-4"]) == ["z-loss=1e-4"]
    assert settings_as_words(["--optim.lr"]) == ["optim.lr="]
