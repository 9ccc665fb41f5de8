"""Packaged models by name: found, checked against their hashes, and told from folders and Hub ids."""

import subprocess

import pytest

from modernbert.core import packaged
from modernbert.core.errors import CheckpointError, UserError
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import load
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.text.tokenizer import Tokenizer
from support.packages import package
from support.small import small_checkpoint


def test_a_model_and_its_heads_have_names(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch, "embedding", "sentiment")
    assert packaged.names() == ("wee", "wee:embedding", "wee:sentiment")
    assert packaged.folder("wee") == folder
    assert packaged.folder("wee:sentiment") == folder / "heads" / "sentiment"


@pytest.mark.parametrize("name", ["", "base", "../wee", "models/wee", ".", "wee2", ":embedding"])
def test_other_names_are_nobodys(tmp_path, monkeypatch, name):
    package(tmp_path, monkeypatch, "embedding")
    assert packaged.folder(name) is None


def test_a_head_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "embedding")
    with pytest.raises(UserError, match="'wee:entities': wee has no head of that name, expected one of embedding"):
        packaged.folder("wee:entities")


def test_a_bare_name_means_the_head_that_is_asked_for_where_there_is_one(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch, "embedding")
    assert packaged.folder("wee", head="embedding") == folder / "heads" / "embedding"
    assert packaged.folder("wee", head="entities") == folder
    assert packaged.folder("wee:embedding", head="entities") == folder / "heads" / "embedding"


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_files_that_are_not_what_was_signed_are_refused(tmp_path, monkeypatch, change):
    folder = package(tmp_path, monkeypatch)
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.unlink() if change == "gone" else path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"model\.safetensors is .*: install the package again"):
        packaged.folder("wee")


def test_the_signature_changes_with_any_file(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch)
    before = packaged.signature(folder)
    (folder / "README.md").write_text("another\n")
    packaged.sign(folder)
    assert packaged.signature(folder) != before


def test_sha256sum_reads_the_signature(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", packaged.SUMS], cwd=folder, check=True)


def test_a_folder_of_the_same_name_is_meant_by_a_path(tmp_path, monkeypatch):
    folder = package(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    own = small_checkpoint(tmp_path / "wee")
    assert folder_of("wee") == folder
    assert folder_of("./wee").resolve() == own
    assert folder_of(own) == own


def test_every_door_takes_the_name(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "embedding")
    assert load("wee").config.hidden_size == 128
    assert MaskFiller.from_pretrained("wee").fill(["import [MASK]"])[0][0]
    assert Tokenizer.load("wee").mask_id == Tokenizer.load("wee:embedding").mask_id == 439
    bare, adapted = load("wee").model, Embedder.from_pretrained("wee").encoder
    assert not bare.layers[0].attn.Wqkv.weight.equal(adapted.layers[0].attn.Wqkv.weight)
    assert tokenizer_folder(packaged.folder("wee:embedding")) == packaged.folder("wee")


def test_what_is_there_is_said_to_who_asks_for_something_else(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, "embedding")
    with pytest.raises(CheckpointError, match=r"'we' is neither a packaged model \(wee, wee:embedding\), nor a folder"):
        load("we")
