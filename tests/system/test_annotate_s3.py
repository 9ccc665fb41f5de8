"""`modernbert annotate` from and to S3, spoken over HTTP to moto's server: pip install 'moto[server]' s3fs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

moto = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]' s3fs")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")

WORDS = ("--model", "nano:embedding", "--workers", "2", "--long", "head")
ROWS = 400


@pytest.fixture(scope="module")
def endpoint():
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def keyed(endpoint, tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    return os.environ | keys | {"AWS_ENDPOINT_URL": endpoint, "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}


@pytest.fixture
def bucket(endpoint, tmp_path):
    """With a corpus in it; the same lies in a folder."""
    store = s3fs.S3FileSystem(key="me", secret="secret", endpoint_url=endpoint, use_listings_cache=False)
    name = f"bucket-{uuid4().hex}"
    store.mkdir(name)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number in range(8):
        rows = [{"id": f"{number}-{row}", "text": f"page {number} says {row} things " * 9} for row in range(ROWS)]
        path = tmp_path / "in" / "deep" / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    store.put(str(tmp_path / "in" / "deep"), f"{name}/corpus/deep", recursive=True)
    return store, name


def annotate(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modernbert.cli.main", "annotate", *words, *WORDS]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files(store, root: str) -> dict[str, bytes]:
    return {
        path.removeprefix(root): store.cat_file(path)
        for path in map(str, store.find(root))
        if path.endswith(".parquet")
    }


def test_a_bucket_holds_what_a_folder_would_though_the_driver_was_killed(keyed, bucket, tmp_path):
    store, name = bucket
    assert annotate(keyed, str(tmp_path / "in"), str(tmp_path / "out")).wait(300) == 0
    job = annotate(keyed, f"s3://{name}/corpus", f"s3://{name}/scored")
    while job.poll() is None and not files(store, f"{name}/scored"):
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    _, said = job.communicate()
    assert 1 <= len(files(store, f"{name}/scored")) < 8, said
    again = annotate(keyed, f"s3://{name}/corpus", f"s3://{name}/scored")
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    expected = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in Path(tmp_path / "out").rglob("*.parquet")
    }
    assert len(expected) == 8
    assert {path.lstrip("/"): content for path, content in files(store, f"{name}/scored").items()} == expected


@pytest.mark.parametrize("missing", ["source", "target"])
def test_a_bucket_that_is_not_there_is_one_sentence(keyed, bucket, missing):
    _, name = bucket
    nowhere = "s3://nobody-has-it/corpus"
    source, target = (nowhere, f"s3://{name}/scored") if missing == "source" else (f"s3://{name}/corpus", nowhere)
    job = annotate(keyed, source, target)
    _, said = job.communicate(timeout=300)
    assert job.returncode == 2, said
    (sentence,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "nobody-has-it" in sentence
    assert "Traceback" not in said
