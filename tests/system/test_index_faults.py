"""What an index survives: being killed, a full disk, damage, and two who want it at once."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.index.index import Index
from support.records import SETTINGS, answers, assert_same, query, record

# Children are forked from a process that has imported everything and opened nothing, so that twenty take seconds.
NURSERY = textwrap.dedent("""
    import os, signal, sys
    from modernbert.retrieval.index.index import Index
    import pyarrow.parquet, qdrant_edge
    from support.records import SETTINGS, record

    def live(home):
        with Index.open(home, SETTINGS) as index:
            turn = index.commit
            while True:
                turn += 1
                batch = [record(number, seed=turn) for number in range(turn % 5, turn % 5 + 4)]
                sys.stdout.write(f"begin {turn}\\n"); sys.stdout.flush()
                index.add(batch)
                if turn % 3 == 0:
                    index.delete([f"r{turn % 7}"])
                if turn % 7 == 0:
                    index.flush()
                sys.stdout.write(f"done {turn} {index.commit}\\n"); sys.stdout.flush()

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                live(line.strip())
            finally:
                os._exit(9)
        sys.stdout.write(f"pid {child}\\n"); sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("ended\\n"); sys.stdout.flush()
""")


def test_twenty_kills_lose_no_acknowledged_batch_and_leave_no_half_one(tmp_path):
    """After each kill Parquet is read by the exact store, and what was acknowledged last must be there, whole."""
    home = tmp_path / "i"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MODERNBERT_QUIET": "1"}
    nursery = subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    with nursery:
        for kill in range(20):
            done = _life(nursery, home, lines=3 + 2 * (kill % 5), pause=0.003 * (kill % 4))
            with Index.open(home, SETTINGS, read_only=True) as reader:
                assert reader.commit >= done["commit"]
                _check_whole(reader, done)
        nursery.stdin.close()
    with Index.open(home, SETTINGS) as edge:
        survived = answers(edge, query())
    with Index.open(home, SETTINGS, store="exact") as exact:
        assert_same(survived, answers(exact, query()))


def _life(nursery, home, *, lines, pause):
    """Let an owner work for a while, kill it in the middle of something, and tell what it had acknowledged."""
    nursery.stdin.write(f"{home}\n")
    nursery.stdin.flush()
    child, done = None, {"turn": 0, "commit": 0}
    while (words := nursery.stdout.readline().split()) != ["ended"]:
        if words[0] == "pid":
            child = int(words[1])
        elif words[0] == "done":
            done = {"turn": int(words[1]), "commit": int(words[2])}
        lines -= 1
        if lines == 0:
            time.sleep(pause)
            os.kill(child, signal.SIGKILL)
    assert child is not None
    return done


def _check_whole(reader, done):
    """Each batch wrote four neighbours with one seed: of the newest seed there are four, less what was deleted after."""
    turn = done["turn"]
    if not turn:
        return
    seeds = {
        one.id: int(one.metadata["path"].split("/")[2].removesuffix(".py")) for one in reader.get(list(reader.ids()))
    }
    newest = max(seeds.values())
    assert newest >= turn
    wrote = {f"r{number}" for number in range(newest % 5, newest % 5 + 4)}
    has = {id_ for id_, seed in seeds.items() if seed == newest}
    assert wrote - has <= {f"r{newest % 7}"}


def test_a_full_disk_keeps_what_was_there_and_says_so(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(number) for number in range(5)])
        before = answers(index, query())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        try:
            with pytest.raises(UserError, match=r"could not write \(File too large\), and kept nothing of this batch"):
                index.add([record(number) for number in range(5, 50)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(index) == 5
        assert answers(index, query()) == before
        index.add([record(number) for number in range(5, 50)])
    with Index.open(tmp_path / "i", store="exact") as index:
        assert len(index) == 50
        assert not [path for path in (tmp_path / "i" / "parts").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("damage", ["missing", "cut", "note", "words"])
def test_a_damaged_store_is_built_again_from_parquet(tmp_path, capsys, damage):
    with Index.open(tmp_path / "i", SETTINGS) as index:
        index.add([record(number) for number in range(9)])
        before = answers(index, query())
    home = tmp_path / "i" / "stores" / "edge"
    vectors = next(home.rglob("vector_storage-dense/vectors/chunk_0.mmap"))
    match damage:
        case "missing":
            vectors.unlink()
        case "cut":
            os.truncate(vectors, 100)
        case "note":
            (home / "applied.json").write_text("{")
        case "words":
            (home / "words.npz").write_bytes(b"no archive")
    with Index.open(tmp_path / "i", SETTINGS) as index:
        assert_same(answers(index, query()), before)
    assert capsys.readouterr().err.count("building the store again from the Parquet parts") == 1


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_part_is_one_sentence_with_the_way_out(tmp_path, damage):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(number) for number in range(9)])
    part = next((tmp_path / "i" / "parts").iterdir())
    if damage == "missing":
        part.unlink()
    else:
        os.truncate(part, 500)
    with pytest.raises(
        UserError, match=r"parquet: this part of the index is damaged \(.+\): copy it back from a backup"
    ):
        Index.open(tmp_path / "i", SETTINGS, store="exact")


def test_no_byte_of_a_part_changes_unnoticed(tmp_path):
    """Each is refused in our own sentence, or does not matter for what is read."""
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(number) for number in range(3)])
        expected = [entry.hash for entry in _entries(index)]
    part = next((tmp_path / "i" / "parts").iterdir())
    whole = part.read_bytes()
    refused = 0
    for position in range(0, len(whole), 11):
        part.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
                assert [entry.hash for entry in _entries(index)] == expected, position
        except UserError as error:
            refused += "this part of the index is damaged" in str(error)
    assert refused > len(whole) // 11 // 3


def _entries(index):
    ledger = index._ledger
    return [entry for entries in ledger.entries(list(ledger.live.values())) for entry in entries]


def test_a_second_process_is_refused_told_by_whom_and_may_wait_or_read(tmp_path):
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(1)])
        refused = _elsewhere(tmp_path / "i", "")
        assert refused.returncode == 1
        assert f"the index is still in use by process {os.getpid()} on " in refused.stderr
        assert "since 2" in refused.stderr
        waited = _elsewhere(tmp_path / "i", "wait_s=0.2")
        assert ", after 0.2 s of waiting: let it finish, wait longer" in waited.stderr
        assert _elsewhere(tmp_path / "i", "read_only=True").stdout == "1\n"
    assert _elsewhere(tmp_path / "i", "").stdout == "1\n"


def _elsewhere(home, how):
    program = (
        f"from modernbert.retrieval.index.index import Index\n"
        f"with Index.open({str(home)!r}, store='exact', {how}) as index: print(len(index))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)


def test_a_store_that_stopped_before_a_merge_is_built_again(tmp_path, capsys):
    with Index.open(tmp_path / "i", SETTINGS) as index:
        index.add([record(number) for number in range(4)])
    with Index.open(tmp_path / "i", SETTINGS, store="exact") as index:
        index.add([record(9)])
        index.delete(["r1"])
        index._ledger.compact(wholly=True)
        expected = answers(index, query())
    with Index.open(tmp_path / "i", SETTINGS) as index:
        assert_same(answers(index, query()), expected)
    assert "(it stopped at commit 1, parts up to 3 were merged)" in capsys.readouterr().err


def test_a_manifest_that_is_damaged_or_newer_is_refused(tmp_path):
    Index.open(tmp_path / "i", SETTINGS, store="exact").close()
    manifest = tmp_path / "i" / "manifest.json"
    written = json.loads(manifest.read_text())
    for content, complaint in (
        ("{", r"manifest.json: damaged \(.+\): restore it from a backup"),
        (json.dumps(written | {"format": 2}), "found format 2, this version of modernbert reads 1"),
        (json.dumps(written | {"surprise": 1}), r"damaged \(.+surprise.+\): restore it from a backup"),
    ):
        manifest.write_text(content)
        with pytest.raises(UserError, match=complaint):
            Index.open(tmp_path / "i", SETTINGS, store="exact")


def test_nothing_of_a_refused_opening_holds_the_lock(tmp_path):
    with pytest.raises(UserError, match="expected 'edge', 'exact' or a Server"):
        Index.open(tmp_path / "i", SETTINGS, store="nothing")
    with pytest.raises(UserError, match="made with chunker lines-1, now it is lines-2"):
        Index.open(tmp_path / "i", replace(SETTINGS, chunker="lines-2"))
    Index.open(tmp_path / "i", SETTINGS, store="exact").close()
