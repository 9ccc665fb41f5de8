"""`modernbert train-retrieval` and `mine-negatives`: trained, stopped and gone on with, opened by stock."""

import json
import shutil
import warnings

import pytest
from safetensors.torch import load_file

from modernbert.cli.main import main
from support.beir import small_collection, write_small
from support.close import assert_exact
from support.pairs import small_pairs, with_negatives, write_rows
from support.small import small_checkpoint


@pytest.fixture(autouse=True)
def quiet_stock():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _words(tmp_path, *more):
    given = (
        f"model={tmp_path / 'small'}",
        f"data={tmp_path / 'rows.jsonl'}",
        "bf16=false",
        "per_device_train_batch_size=8",
    )
    return ["train-retrieval", "kind=dense", *given, *more]


def test_a_run_that_goes_on_is_the_run_that_never_stopped(tmp_path, capsys):
    small_checkpoint(tmp_path / "small")
    write_rows(tmp_path / "rows.jsonl", with_negatives(small_pairs()))
    words = [f"held_out={write_small(tmp_path / 'stories')}", "max_steps=4", "save_steps=2", "learning_rate=1e-3"]
    assert main([*_words(tmp_path, *words, f"out={tmp_path / 'whole'}"), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["is_finished"]
    assert (
        outcome["before"].keys()
        == outcome["after"].keys()
        == {"ndcg@10", "mrr@10", "recall@10", "recall@100", "map@100"}
    )
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    for name in ("checkpoint-4", "model"):
        shutil.rmtree(tmp_path / "stopped" / name)
    (tmp_path / "stopped" / "results.json").unlink()
    assert main(_words(tmp_path, *words, f"out={tmp_path / 'stopped'}")) == 0
    assert f"going on from {tmp_path / 'stopped' / 'checkpoint-2'}" in capsys.readouterr().err
    one, other = (load_file(tmp_path / name / "checkpoint-4" / "model.safetensors") for name in ("whole", "stopped"))
    start = load_file(tmp_path / "whole" / "checkpoint-2" / "model.safetensors")
    for name in one:
        assert_exact(other[name], one[name])
    assert any((one[name] != start[name]).any() for name in one)
    lines = [json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "eval_ndcg@10" in line] == [2, 4]
    assert main(_words(tmp_path, *words, f"out={tmp_path / 'whole'}")) == 0
    assert "holds a finished run: nothing was trained" in capsys.readouterr().err
    assert main(_words(tmp_path, *words, "seed=3", f"out={tmp_path / 'whole'}")) == 2
    assert "holds a run of another recipe, which differs in seed" in capsys.readouterr().err


def test_the_best_checkpoint_is_kept_and_opens_everywhere(tmp_path, capsys):
    from sentence_transformers import SentenceTransformer

    small_checkpoint(tmp_path / "small")
    collection = small_collection()
    write_small(tmp_path / "stories")
    rows = [{"query": collection.queries[q], "positive": collection.documents[d]} for q, found in collection.relevant.items() for d in found]  # fmt: skip
    write_rows(tmp_path / "rows.jsonl", rows)
    words = [
        f"held_out={tmp_path / 'stories'}",
        "max_steps=8",
        "save_steps=4",
        "learning_rate=5e-4",
        f"out={tmp_path / 'run'}",
    ]
    assert main([*_words(tmp_path, *words), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["after"]["ndcg@10"] > outcome["before"]["ndcg@10"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = [line["eval_ndcg@10"] for line in lines if "eval_ndcg@10" in line]
    assert outcome["after"]["ndcg@10"] == max(measured)
    model = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    assert model.encode(["two"]).shape == (1, 128)
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"| ndcg@10 | {outcome['before']['ndcg@10']:.4f} | {outcome['after']['ndcg@10']:.4f} |" in card
    out = str(tmp_path / "out")
    measure = [
        "evaluate",
        "retrieval",
        str(tmp_path / "stories"),
        "--rankers",
        f"dense=st:{tmp_path / 'run' / 'model'}",
    ]
    assert main([*measure, "--out", out, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]
    assert found["nDCG@10"] == pytest.approx(outcome["after"]["ndcg@10"], abs=1e-9)


@pytest.mark.parametrize("kind", ["late", "rerank"])
def test_other_kinds_train_too(tmp_path, capsys, kind):
    small_checkpoint(tmp_path / "small")
    write_rows(tmp_path / "rows.jsonl", with_negatives(small_pairs(8)))
    words = _words(tmp_path, f"kind={kind}", "max_steps=1", f"out={tmp_path / 'run'}")
    assert main([*words, f"held_out={write_small(tmp_path / 'stories', documents=8, queries=2)}"]) == 0
    assert "ndcg@10: " in capsys.readouterr().out


def test_negatives_are_mined_into_rows_to_train_on(tmp_path, capsys):
    small_checkpoint(tmp_path / "small")
    write_rows(tmp_path / "rows.jsonl", small_pairs())
    words = ["mine-negatives", str(tmp_path / "rows.jsonl"), "--model", str(tmp_path / "small"), "--num-negatives", "2"]
    assert main([*words, "--out", str(tmp_path / "mined.jsonl"), "--cache", str(tmp_path / "cache")]) == 0
    assert "24 rows with 2 negatives each" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "mined.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["query", "positive", "negative_1", "negative_2", "scores"]
    assert main([*words, "--out", str(tmp_path / "mined.txt")]) == 2
    assert "found '.txt', expected .jsonl" in capsys.readouterr().err
    shown = ["train-retrieval", "dpr", f"data={tmp_path / 'mined.jsonl'}", "--dry-run"]
    assert main(shown) == 0
    assert "per_device_train_batch_size: 512" in capsys.readouterr().out
