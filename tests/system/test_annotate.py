"""`modernbert annotate` on processes and on Ray: whoever is killed and whatever it runs on, the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modernbert.bulk.annotator import Annotator
from modernbert.bulk.output import Output
from modernbert.bulk.work import annotate_shard
from modernbert.data.corpus_files import corpus_files
from support.annotated import corpus, recipe
from support.families import descendants
from support.waiting import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in Linux's /proc")


_COMMAND = (sys.executable, "-m", "modernbert.cli.main", "annotate")
_SETTINGS = ("--model", "nano:embedding", "--dtype", "float32", "--workers", "2", "--json")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A corpus of six files, annotated in this process."""
    home = tmp_path_factory.mktemp("annotate")
    path = corpus(home / "in", files=6, rows=40)
    annotator = Annotator(recipe("nano:embedding"))
    for shard in corpus_files(str(path)):
        annotate_shard(annotator, shard, Output(str(home / "whole")))
    return home


def _start(home, out, *words):
    return subprocess.Popen(
        [*_COMMAND, str(home / "in"), str(home / out), *_SETTINGS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
    )


def _end(process):
    said, told = process.communicate(timeout=180)
    assert process.returncode == 0, told.decode()
    return json.loads(said)


def _tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def _wait(process, is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _finished(folder):
    """How many shards are; a sidecar that a killed worker was writing has a name that begins with a dot, and is none."""
    return len(list((folder / "_done").glob("[!.]*.json"))) if (folder / "_done").exists() else 0


def test_killed_workers_and_a_killed_driver_lose_and_double_nothing(home):
    out = home / "killed"
    driver = _start(home, "killed")
    _wait(driver, lambda: _finished(out) >= 1)
    workers = descendants(driver.pid, "spawn_main")
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    _wait(driver, lambda: len(set(descendants(driver.pid, "spawn_main")) - set(workers)) == 1)
    orphans = descendants(driver.pid)
    driver.kill()
    driver.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))  # none outlives its driver
    done = _finished(out)
    summary = _end(_start(home, "killed"))
    assert summary["resumed"] == done >= 1
    assert (summary["finished"], summary["rows"], summary["failed"]) == (6, 240, {})
    assert _tables(out) == _tables(home / "whole")
    assert not list(out.rglob(".unfinished-*"))


def test_ray_gives_the_same_bytes_and_replaces_a_lost_actor(home):
    pytest.importorskip("ray")
    driver = _start(home, "ray", "--engine", "ray")
    _wait(driver, lambda: _finished(home / "ray") >= 1)
    actors = descendants(driver.pid, "RayActor")
    if actors and _finished(home / "ray") < 4:
        os.kill(actors[0], signal.SIGKILL)
    summary = _end(driver)
    assert (summary["finished"], summary["rows"], summary["failed"]) == (6, 240, {})
    assert summary["lost_workers"] <= 1
    assert _tables(home / "ray") == _tables(home / "whole")


def test_datatrove_puts_the_same_into_metadata(home):
    pytest.importorskip("datatrove")
    from datatrove.data import Document

    from modernbert.bulk.datatrove_step import Annotate

    given = [Document(text=text, id=str(n)) for n, text in enumerate(["a bell in the fog", "", "two ships"])]
    found = list(Annotate(("nano:embedding",), dtype="float32").run(iter(given)))
    annotator = Annotator(recipe("nano:embedding"))
    wanted = annotator.annotate(annotator.prepare([each.text for each in given]))
    assert [each.id for each in found] == ["0", "1", "2"]
    assert [each.metadata["embedding"] for each in found] == wanted["embedding"].to_pylist()
