import json

from support.demonstration import modernbert


def test_a_recipe_is_checked_with_settings_as_pretrain_takes_them(tmp_path):
    done = modernbert("recipe", "check", "base", "z-loss", "--optim.lr", "6e-4", "--seed=3", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [stage["name"] for stage in found["stages"]] == ["pretrain", "context", "decay"]
    assert found["stages"][0]["lr"] == 6e-4


def test_a_mistake_in_a_recipe_is_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "mine.yaml").write_text("stages: {pretrain: {masking: {rat: 0.2}}}\n")
    done = modernbert("recipe", "check", "base", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.decode() == "error: mine.stages.pretrain.masking.rat: no such key; did you mean 'rate'?\n"
    assert done.stdout == b""
