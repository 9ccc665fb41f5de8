"""The folder of a page: what is refused before and behind npm, and what its manifest says. The page itself: tests/browser."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile

import numpy as np
import pytest

from modernbert.core.errors import UnsupportedError, UserError
from modernbert.export import browser, npm
from modernbert.export.browser import export_browser
from modernbert.export.npm import Package, archives, read_files
from modernbert.retrieval.embedder import Embedder
from support.small import small_checkpoint

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def _pack(folder, name, version, files):
    """An archive as npm packs it, and what is known of it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for path, text in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))
    found = Package(
        name=name, version=version, sha512=base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
    )
    (folder / found.archive).write_bytes(content.getvalue())
    return found


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A folder with small packages in the place of npm's."""
    folder = tmp_path / "npm"
    folder.mkdir()
    compiled = {path: f"// {path}".encode() for pair in browser._RUNTIMES.values() for path in pair}
    monkeypatch.setattr(browser, "RUNTIME", _pack(folder, "onnxruntime-web", "1.0.0", compiled))
    others = {path: path.encode() for path in browser._TOKENIZER}
    monkeypatch.setattr(browser, "TOKENIZERS", _pack(folder, "@huggingface/tokenizers", "1.0.0", others))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return folder


def test_the_names_of_archives_are_npms():
    assert browser.RUNTIME.archive == f"onnxruntime-web-{browser.RUNTIME.version}.tgz"
    assert browser.TOKENIZERS.archive == f"huggingface-tokenizers-{browser.TOKENIZERS.version}.tgz"


def test_a_folder_says_what_has_to_come_out_of_it(tmp_path, runtime):
    made = export_browser("nano:embedding", tmp_path / "page", runtime=runtime)
    assert made.parts[0].worst_difference < browser.CLOSE / 100
    assert made.without_gpu < made.bytes
    manifest = json.loads((tmp_path / "page" / "model" / "manifest.json").read_text(encoding="utf-8"))
    (said,) = manifest["models"]
    vector = Embedder.from_pretrained("nano", dtype="float32").encode([browser.PROBE], normalize_embeddings=True)[0]
    np.testing.assert_allclose(said["probe"]["values"], vector, atol=1e-6)
    packed = (tmp_path / "page" / "model" / said["file"]).read_bytes()
    assert (len(packed), len(gzip.decompress(packed))) == (said["bytes"], said["unpacked"])
    assert gzip.decompress((tmp_path / "page/runtime/ort-wasm-simd-threaded.wasm.gz").read_bytes()).startswith(
        b"// dist"
    )
    package = json.loads((tmp_path / "page" / "package.json").read_text(encoding="utf-8"))
    assert package["name"] == "modernbert-nano-embedding"
    assert all((tmp_path / "page" / name).exists() for name in package["files"])
    assert "$" not in (tmp_path / "page" / "README.md").read_text(encoding="utf-8")


def test_two_models_may_have_two_tokenizers(tmp_path, runtime):
    small_checkpoint(tmp_path / "words")
    export_browser(str(tmp_path / "words"), tmp_path / "page", embedder="nano", runtime=runtime)
    manifest = json.loads((tmp_path / "page" / "model" / "manifest.json").read_text(encoding="utf-8"))
    assert [each["head"] for each in manifest["models"]] == ["fill-mask", "embedding"]
    files = [each["tokenizer"]["file"] for each in manifest["models"]]
    assert files == ["tokenizer.json", "tokenizer-embedding.json"]
    assert all((tmp_path / "page" / "model" / file).is_file() for file in files)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("nano:sentiment", {}, "found the head text-classification, expected fill-mask or embedding"),
        ("nano:entities", {}, "found the head token-classification, expected fill-mask or embedding"),
        (
            "nano:embedding",
            {"embedder": "nano"},
            "found an embedder, expected a masked language model beside --embedder",
        ),
    ],
)
def test_a_head_without_a_panel_is_refused(tmp_path, runtime, name, settings, said):
    with pytest.raises(UserError, match=said):
        export_browser(name, tmp_path / "page", runtime=runtime, **settings)
    assert not (tmp_path / "page").exists()


def test_vectors_that_are_not_compared_by_cosine_are_refused(tmp_path, runtime):
    Embedder.from_pretrained("nano").save_pretrained(tmp_path / "dot")
    path = tmp_path / "dot" / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"similarity_fn_name": "dot"}))
    with pytest.raises(UnsupportedError, match="found vectors to be compared by dot, expected cosine"):
        export_browser(str(tmp_path / "dot"), tmp_path / "page", runtime=runtime)
    assert not (tmp_path / "page").exists()


def test_a_graph_that_computes_something_else_is_refused(tmp_path, runtime, monkeypatch):
    monkeypatch.setattr(browser, "CLOSE", 1e-12)
    with pytest.raises(UserError, match="computes something else in float16"):
        export_browser("nano:embedding", tmp_path / "page", runtime=runtime)
    assert not (tmp_path / "page").exists()


def test_a_taken_folder_is_refused_before_anything_is_fetched(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        export_browser("nano", tmp_path / "page")


def test_without_npm_the_way_out_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with (
        pytest.raises(UserError, match=r"found no npm.*install Node\.js.*--runtime"),
        archives([browser.RUNTIME], None),
    ):
        pass


def test_what_npm_says_is_told(tmp_path, monkeypatch):
    failing = tmp_path / "npm"
    failing.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\necho 'npm error request failed' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(npm.shutil, "which", lambda _: str(failing))
    with pytest.raises(UserError, match=r"npm cannot fetch .* \(request failed\)"), archives([browser.RUNTIME], None):
        pass


def test_a_missing_or_another_archive_is_refused(tmp_path):
    known = _pack(tmp_path, "some", "1.0.0", {"a.js": b"1"})
    assert read_files(known, ["a.js"], tmp_path) == {"a.js": b"1"}
    _pack(tmp_path, "some", "1.0.0", {"a.js": b"2"})
    with pytest.raises(UserError, match=r"found another file than some@1\.0\.0"):
        read_files(known, ["a.js"], tmp_path)
    (tmp_path / known.archive).unlink()
    with pytest.raises(UserError, match=r"some-1\.0\.0\.tgz is missing"):
        read_files(known, ["a.js"], tmp_path)
