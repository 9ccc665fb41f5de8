"""Jobs: what is finished is never done again, and what does not belong together is told before anything is lost."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from modernbert.bulk.annotate import annotate
from modernbert.bulk.config import Model, Recipe, models_named
from modernbert.bulk.pool import Lost, Ready
from modernbert.bulk.worker import Worker
from modernbert.core.errors import UserError
from modernbert.core.lock import Lock
from support.annotated import corpus, models, write_jsonl


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return models(tmp_path_factory.mktemp("models"))


class Inside:
    """Workers in this process, for the driver to drive: each loses itself `num_lost` times before it works."""

    def __init__(self, recipe, root, num_workers=2, num_lost=0):
        self.num_workers, self.num_lost, self.given = num_workers, num_lost, []
        self._recipe, self._root, self._events = recipe, root, []

    def __enter__(self):
        self._workers = [Worker(n, self._recipe, self._root) for n in range(self.num_workers)]
        for n in range(self.num_workers):
            self.restart(n)
        return self

    def __exit__(self, *_):
        pass

    def give(self, worker, shard):
        self.given.append(shard.name)
        if self.num_lost:
            self.num_lost -= 1
            self._events.append(Lost(worker, "a worker is gone"))
        else:
            self._workers[worker].run(shard, self._events.append)

    def restart(self, worker):
        self._events.append(Ready(worker))

    def wait(self, seconds):
        found, self._events = self._events, []
        return found


def _run(path, out, *sources, num_lost=0, pools=None, **changes):
    pools = [] if pools is None else pools

    def open_pool(recipe, root, _):
        pools.append(Inside(recipe, root, num_lost=num_lost))
        return pools[-1]

    recipe = Recipe(models=models_named(sources), dtype="float32", **changes)
    return annotate(str(path), str(out), recipe, open_pool)


def _tables(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.parquet")}


def test_only_what_is_not_finished_is_done_and_the_result_is_the_same(made, tmp_path, capsys):
    path = corpus(tmp_path / "in")
    whole = _run(path, tmp_path / "whole", made["topic"])
    assert (whole.shards, whole.finished, whole.rows, whole.failed) == (3, 3, 60, {})
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half/_done/1.jsonl.json").unlink()  # killed between the table and its sidecar
    (tmp_path / "half/2.jsonl.parquet").unlink()
    (tmp_path / "half/.unfinished-1234-2.jsonl.parquet").write_bytes(b"killed")
    pools = []
    again = _run(path, tmp_path / "half", made["topic"], pools=pools)
    assert sorted(pools[0].given) == ["1.jsonl", "2.jsonl"]
    assert (again.resumed, again.finished, again.tokens) == (1, 3, whole.tokens)
    assert _tables(tmp_path / "half") == _tables(tmp_path / "whole")
    assert not list((tmp_path / "half").glob(".unfinished-*"))
    nothing = _run(path, tmp_path / "half", made["topic"], pools=pools)
    assert (nothing.tokens_now, nothing.finished, len(pools)) == (0, 3, 1)


def test_a_lost_worker_is_replaced_and_a_shard_that_loses_five_is_given_up(made, tmp_path):
    path = corpus(tmp_path / "in")
    whole, lost = _run(path, tmp_path / "a", made["topic"]), _run(path, tmp_path / "b", made["topic"], num_lost=3)
    assert (lost.lost_workers, lost.finished, lost.rows) == (3, 3, whole.rows)
    assert _tables(tmp_path / "a") == _tables(tmp_path / "b")
    one = write_jsonl(tmp_path / "one.jsonl", [{"text": "a bell"}])
    poison = _run(one, tmp_path / "c", made["topic"], num_lost=5)
    assert poison.finished == 0
    assert "a worker is gone, 5 times with this shard" in poison.failed["one.jsonl"]


def test_a_bad_shard_does_not_stop_the_others(made, tmp_path):
    path = corpus(tmp_path / "in")
    (path / "1.jsonl").rename(path / "1.parquet")
    done = _run(path, tmp_path / "out", made["topic"])
    assert (done.finished, list(done.failed)) == (2, ["1.parquet"])
    assert "cannot be read as parquet" in done.failed["1.parquet"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"long": "head"}, "long"), ({"batch_tokens": 64}, "batch_tokens"), ({"threads": 2}, "threads")],
    ids=["long", "batch", "threads"],
)
def test_a_folder_belongs_to_one_recipe(made, tmp_path, changes, told):
    path = corpus(tmp_path / "in", files=1, rows=2)
    _run(path, tmp_path / "out", made["topic"])
    with pytest.raises(UserError, match=rf"another recipe, which differs in {told} \(.*annotate into another folder"):
        _run(path, tmp_path / "out", made["topic"], **changes)


def test_a_replaced_model_is_refused_before_and_during_a_job(made, tmp_path):
    path = corpus(tmp_path / "in", files=1, rows=2)
    model = tmp_path / "model"
    shutil.copytree(made["topic"], model)
    _run(path, tmp_path / "out", str(model))
    said = json.loads((tmp_path / "out/_job.json").read_text())
    began = Recipe(**said | {"models": tuple(Model(**each) for each in said["models"])})
    Worker(0, began, str(tmp_path / "out"))
    tensors = load_file(model / "model.safetensors")
    save_file({name: tensor + 0.5 for name, tensor in tensors.items()}, model / "model.safetensors")
    with pytest.raises(UserError, match="differs in models"):
        _run(path, tmp_path / "out", str(model))
    with pytest.raises(UserError, match=r"not the model that this job began with .* what is finished is kept"):
        Worker(0, began, str(tmp_path / "out"))


def test_another_input_of_the_same_name_is_refused(made, tmp_path):
    path = corpus(tmp_path / "in", files=2, rows=2)
    _run(path, tmp_path / "out", made["topic"])
    with (path / "1.jsonl").open("a") as file:
        file.write('{"text": "more"}\n')
    with pytest.raises(UserError, match=r"1.jsonl has .* bytes, and had .* remove .*_done/1.jsonl.json"):
        _run(path, tmp_path / "out", made["topic"])
    (tmp_path / "out/_done/1.jsonl.json").unlink()
    assert _run(path, tmp_path / "out", made["topic"]).rows == 5
    assert pq.read_table(tmp_path / "out/1.jsonl.parquet").num_rows == 3


def test_what_cannot_be_meant_is_one_sentence(made, tmp_path):
    corpus(tmp_path / "in", files=1, rows=2)
    (tmp_path / "in/0.jsonl.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"would both be written to 0.jsonl.parquet"):
        _run(tmp_path / "in", tmp_path / "out", made["topic"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("mine")
    (tmp_path / "in/0.jsonl.parquet").unlink()
    with pytest.raises(UserError, match=r"holds thesis.txt and no job"):
        _run(tmp_path / "in", tmp_path / "mine", made["topic"])
    with pytest.raises(UserError, match="there is no such file"):
        _run(tmp_path / "nowhere.jsonl", tmp_path / "out", made["topic"])


def test_two_drivers_do_not_share_a_folder(made, tmp_path):
    path = corpus(tmp_path / "in", files=1, rows=2)
    with (
        Lock(tmp_path / "out/_lock"),
        pytest.raises(UserError, match=r"it is still in use by process .*: let that annotate finish"),
    ):
        _run(path, tmp_path / "out", made["topic"])
