"""The pages of the ablations and of the three stages, written from runs of a second."""

import json
from pathlib import Path

import pytest

from modernbert.core.config import read, write
from modernbert.data.shard_writer import write_shards
from modernbert.text.train import train_tokenizer
from modernbert.train.config import Recipe
from modernbert.train.pretrain import pretrain
from support.runs import SMALL, settings
from support.texts import CORPUS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def _run(home, name, **changes):
    return pretrain(read(Recipe, settings(home), {"run": str(home / "runs" / name)}, changes))


def test_the_page_of_the_ablations_compares_with_the_base(benchmarks, tmp_path, capsys):
    import ablations

    one_stage = {"train": settings(tmp_path)["stages"]["short"]}
    whole = settings(tmp_path) | {"stages": one_stage}
    for name, changes in [
        ("base", {}),
        ("other-seed", {"seed": 18}),
        ("muon", {"optim": {"kind": "muon", "lr": 1e-5}}),
    ]:
        pretrain(read(Recipe, whole, {"run": str(tmp_path / "runs" / name)}, changes))
    page = tmp_path / "page.md"
    words = ["data.yaml", "--out", str(tmp_path / "runs"), "--report", "--page", str(page)]
    assert ablations.main(words) == 0
    text = page.read_text()
    base, slow = (ablations.finished(tmp_path / "runs")[i] for i in (0, 1))
    assert (base.name, slow.name) == ("base", "muon")
    assert f"| {slow.loss:.3f} | {slow.loss - base.loss:+.3f} |" in text
    assert "**muon** (worse than base)" in text
    assert page.with_suffix(".png").stat().st_size > 5_000
    with pytest.raises(SystemExit):
        ablations.main([*words, "--only", "huge"])
    assert "--only: found huge, expected some of base" in capsys.readouterr().err
    folder = ROOT / "models" / "nano" / "ablations"
    other = ablations.page(ablations.finished(tmp_path / "runs", folder), folder)
    assert other.startswith("# Choices for nano, on a small budget\n")


def test_another_vocabularys_losses_are_told_per_as_many_bytes(benchmarks, tmp_path):
    import ablations

    num_tokens = []
    for name, size in (("base", 448), ("muon", 320)):
        home = tmp_path / name
        tokenizer = train_tokenizer(CORPUS.splitlines(keepends=True), vocab_size=size, num_unused=8, longest=128)
        for folder in ("text", "held"):
            with write_shards(home / folder, tokenizer) as writer:
                for ids in tokenizer.encode(CORPUS.split("\n\n"), special=False).ids:
                    writer.append(ids)
        num_tokens.append(writer.num_tokens)
        whole = settings(home) | {"stages": {"train": settings(home)["stages"]["short"]}}
        pretrain(read(Recipe, whole, {"run": str(tmp_path / "runs" / name)}))
    base, other = ablations.finished(tmp_path / "runs")
    assert not base.has_own_vocabulary
    assert base.losses == [line["held"]["loss"] for line in base.evaluations]
    assert other.has_own_vocabulary
    longer = num_tokens[1] / num_tokens[0]  # the same text
    assert longer > 1.1
    assert other.losses == pytest.approx([line["held"]["loss"] * longer for line in other.evaluations])
    lines = ablations.page([base, other]).splitlines()
    assert f"| {other.loss:.3f} | {other.loss - base.loss:+.3f} |  |" in "\n".join(lines)
    assert any("per as many bytes" in line for line in lines)


def test_a_linear_model_reads_labels_from_what_was_trained(benchmarks, tmp_path):
    import ablations

    whole = settings(tmp_path) | {"stages": {"train": settings(tmp_path)["stages"]["short"]}}
    pretrain(read(Recipe, whole, {"run": str(tmp_path / "runs" / "base")}))
    task, page = tmp_path / "praise", tmp_path / "page.md"
    task.mkdir()
    for split, some in (("train", range(40)), ("test", range(40, 60))):
        rows = [{"text": f"a {word} film {i}", "label": word} for i in some for word in ("good", "bad")]
        (task / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["data.yaml", "--out", str(tmp_path / "runs"), "--report", "--page", str(page), "--probe", str(task)]
    assert ablations.main(words) == 0
    (run,) = ablations.finished(tmp_path / "runs")
    assert run.probe is not None
    assert run.probe > 0.9
    text = page.read_text()
    assert "| masked tokens found | praise |" in text
    assert f" {run.probe:.3f} |\n" in text
    words[-1] = str(tmp_path / "nowhere")  # what is known is not asked again
    assert ablations.main(words) == 0


def test_without_a_base_there_is_nothing_to_compare_with(benchmarks, tmp_path, capsys):
    import ablations

    assert ablations.main(["data.yaml", "--out", str(tmp_path), "--report", "--page", str(tmp_path / "page.md")]) == 2
    assert "holds no finished run of the base" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["benchmarks/ablations", "models/nano/ablations"])
def test_every_ablation_is_a_recipe_over_the_base(folder):
    folder = ROOT / folder
    base = read(Recipe, folder / "base.yaml")
    for path in folder.glob("*.yaml"):
        if path.stem != "base":
            assert read(Recipe, folder / "base.yaml", path) != base, path


def test_the_page_of_the_stages_tells_positions_and_the_tiled_start(benchmarks, tmp_path, monkeypatch):
    import stages

    runs = tmp_path / "runs"
    _run(tmp_path, "three-stages")
    small = next((runs / "three-stages" / "published").iterdir())
    wide = {"model": SMALL | {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3}}
    _run(tmp_path, "wide", **wide)
    _run(tmp_path, "wide-tiled", **wide, start={"kind": "grow", "path": str(small)})
    (tmp_path / "docs").mkdir()
    write(read(Recipe, settings(tmp_path)), tmp_path / "data.yaml")
    words = [str(tmp_path / "data.yaml"), "--out", str(runs), "--report", "--docs", str(tmp_path / "docs")]
    assert stages.main(words) == 0
    text = (tmp_path / "docs" / "stages.md").read_text()
    assert "| after short |" in text
    assert "random start | tiled start" in text
    assert {path.name for path in (tmp_path / "docs").glob("*.png")} == {
        "stages-positions.png",
        "stages-run.png",
        "stages-tiled.png",
    }
