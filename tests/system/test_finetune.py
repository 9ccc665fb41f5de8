"""`modernbert finetune` and the verbs that read its models: a newcomer's way, stops, and everything that goes wrong."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from modernbert.cli.main import main
from support.labelled import ROWS, classified, write_rows, write_set
from support.small import small_checkpoint
from support.warm import warm_python


def _words(home: Path, task: str, *more: str) -> list[str]:
    if not (home / "checkpoint").exists():
        small_checkpoint(home / "checkpoint")
    write_set(home / "set", ROWS[task])
    return [
        "finetune", "--task", task, "--model", str(home / "checkpoint"), "--dataset", str(home / "set"), "--out",
        str(home / "run"), "--learning-rate", "1e-3", "--per-device-train-batch-size", "8", "--max-length", "96",
        "--doc-stride=16", "--num-train-epochs", "2", *more,
    ]  # fmt: skip


def test_from_a_csv_to_served_predictions(tmp_path, capsys):
    chance = random.Random(0)
    rows = [classified(chance) for _ in range(60)]
    lines = "".join(f'"{row["text"]}",{row["label"]}\n' for row in rows)
    (tmp_path / "reviews.csv").write_text("review,sentiment\n" + lines)
    model = small_checkpoint(tmp_path / "checkpoint")
    words = [
        "finetune",
        "--task",
        "seq_cls",
        "--model",
        str(model),
        "--dataset",
        str(tmp_path / "reviews.csv"),
        "--out",
    ]
    assert main([*words, str(tmp_path / "run"), "--num-train-epochs=15", "--learning-rate=1e-3", "--json"]) == 0
    said = capsys.readouterr()
    assert "columns: text from 'review', label from 'sentiment'" in said.err
    outcome = json.loads(said.out)
    assert outcome["labels"] == ["day", "other"]
    assert outcome["test"]["accuracy"] > 0.8
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"{outcome['test']['accuracy']:.4f}" in card
    assert "learning_rate: 0.001" in card
    assert main(["classify", "--model", outcome["model"], "Nobody painted the fog before noon.", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "day"
    assert main([*words, str(tmp_path / "run"), "--num-train-epochs=15", "--learning-rate=1e-3", "--json"]) == 0
    again = capsys.readouterr()
    assert "holds a finished run: nothing was trained" in again.err
    assert json.loads(again.out)["test"] == outcome["test"]
    out = tmp_path / "found.parquet"
    (tmp_path / "texts.txt").write_text("A sailor heard the bell in winter.\nEvery gull at noon.\n")
    assert (
        main(["classify", "--model", outcome["model"], "--file", str(tmp_path / "texts.txt"), "--out", str(out)]) == 0
    )
    import pyarrow.parquet as pq

    assert pq.read_table(out).num_rows == 2


def test_the_other_verbs_read_their_models(tmp_path, capsys):
    for task in ("token_cls", "qa", "multiple_choice", "multi_label", "regression"):
        (tmp_path / task).mkdir()
        assert main(_words(tmp_path / task, task)) == 0
    capsys.readouterr()
    model = {task: str(tmp_path / task / "run" / "model") for task in ROWS}
    assert main(["tag", "--model", model["token_cls"], "The captain counted the ships .", "--words"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.split("\n")[:3]] == ["The", "captain", "counted"]
    question = ["answer", "--model", model["qa"], "When?", "--context", "He came before noon.", "--must-answer"]
    assert main([*question, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert "He came before noon."[answer["start"] : answer["end"]] == answer["text"] != ""
    assert main(["choose", "--model", model["multiple_choice"], "He came", "before noon", "the bell"]) == 0
    assert "before noon" in capsys.readouterr().out
    assert main(["classify", "--model", model["multi_label"], "The bell.", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scores"]) == {"bell", "fog", "ships"}
    assert main(["classify", "--model", model["regression"], "--pairs", "One sentence.", "How long?"]) == 0
    float(capsys.readouterr().out.split()[0])


def test_an_explanation_adds_up_and_is_shown(tmp_path, capsys):
    assert main(_words(tmp_path, "seq_cls")) == 0
    model, page = str(tmp_path / "run" / "model"), tmp_path / "why.html"
    capsys.readouterr()
    text = "The captain counted <the> ships & lamps before noon."
    assert main(["classify", "--model", model, text, "--explain", "--html", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "".join(word["word"] for word in found["words"]) == text.replace(" ", "")
    assert all(text[word["start"] : word["end"]] == word["word"] for word in found["words"])
    assert "&lt;</span>" in page.read_text()


def test_a_run_that_was_stopped_comes_to_the_same_end(tmp_path):
    words = _words(tmp_path, "seq_cls", "--tuner", "lora", "--num-train-epochs", "10")
    whole = [*words[: words.index("--out")], "--out", str(tmp_path / "whole"), *words[words.index("--out") + 2 :]]
    assert main(whole) == 0
    python = warm_python("transformers.trainer", "peft")
    process = subprocess.Popen([python, "-m", "modernbert.cli.main", *words], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoint-*")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert "the same command goes on" in said
    assert not (tmp_path / "run" / "results.json").exists()
    assert main(words) == 0
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "run")]
    assert results[0]["test"] == results[1]["test"]
    assert results[0]["validation"] == pytest.approx(results[1]["validation"], abs=1e-6)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([], [], "found no train row"),
        ([{"text": "a", "label": "x"}] * 20, [], "expected different ones"),
        ([{"text": f"a{i}", "label": "x"} for i in range(20)], [], "have the label 'x', expected two labels or more"),
        ([{"text": f"a{i}", "kind": i % 2} for i in range(20)], [], "seq_cls needs a column for label"),
        (
            [{"text": f"a{i}", "label": i % 2} for i in range(20)],
            ["--num-labels", "3"],
            "num_labels is 3, found 2 labels",
        ),
        ([{"text": f"a{i}", "label": i % 2} for i in range(20)], ["--lr", "1"], "lr: no such key"),
        (
            [{"text": f"a{i}", "label": i % 2} for i in range(20)],
            ["--learning-rate", "1e30"],
            "the (loss|gradient)|no numbers any more",
        ),
        ([{"text": f"a{i}", "label": i % 2} for i in range(20)], ["--model", "nowhere/else"], "nowhere/else"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(rows, more, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = _words(tmp_path, "seq_cls", *more)
    (tmp_path / "set" / "validation.jsonl").unlink()
    write_rows(tmp_path / "set" / "train.jsonl", rows)
    assert main(words) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    import re

    assert re.search(message, error[0]), error[0]


def test_a_checkpoint_of_another_kind_is_refused(tmp_path, capsys):
    model = str(small_checkpoint(tmp_path / "checkpoint"))
    assert main(["classify", "--model", model, "a text"]) == 2
    assert "found ModernBertForMaskedLM, expected ModernBertForSequenceClassification" in capsys.readouterr().err
    assert main(["tag", "--model", model, "a text"]) == 2
    config = tmp_path / "checkpoint" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "bert"}))
    assert main(_words(tmp_path, "seq_cls")) == 2
    assert "model_type: found 'bert', expected 'modernbert'" in capsys.readouterr().err


def test_settings_are_explained_without_torch(capsys):
    assert main(["finetune", "--settings"]) == 0
    said = capsys.readouterr().out
    assert "--learning-rate: float | None = None" in said
    assert "Absent: 8e-5, and 1e-3 for LoRA." in said
