"""Exported folders that something happened to."""

import shutil

import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.export.write import export
from modernbert.infer.exported import Exported, open_exported, refuse_exported
from support.small import small_checkpoint

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("exported")
    small_checkpoint(home / "model")
    export(str(home / "model"), home / "onnx", backend="onnxruntime", precision="float32", head="trunk", texts=[])
    return home / "onnx"


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def test_a_cut_off_graph_is_named(folder):
    graph = folder / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1000])
    with pytest.raises(
        CheckpointError, match=r"model.onnx cannot be opened by onnxruntime .*damaged.*export the model again"
    ):
        Exported(folder)
    graph.unlink()
    with pytest.raises(CheckpointError, match=r"model.onnx is missing"):
        Exported(folder)


def test_a_graph_of_a_later_time_is_named(folder):
    path = folder / "onnx" / "model.onnx"
    graph = onnx.load(path)
    graph.opset_import[0].version = 99
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(CheckpointError, match="of a later time than the runtime: update the runtime"):
        Exported(folder)


def test_other_files_are_missed(folder):
    with pytest.raises(UserError, match="found dtype int8, expected none for an exported folder"):
        open_exported(folder, "trunk", dtype="int8")
    with pytest.raises(UserError, match="found device cuda"):
        open_exported(folder, "trunk", device="cuda")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer.json is missing"):
        Exported(folder)
    (folder / "export.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"export.json cannot be read"):
        Exported(folder)
    (folder / "export.json").unlink()
    assert open_exported(folder, "trunk") is None


def test_a_token_of_another_vocabulary_is_refused(whole):
    with pytest.raises(UserError, match="token id 99999 is outside the vocabulary"):
        Exported(whole).rows([[1, 99_999]])
    assert Exported(whole).rows([]) == []


def test_what_needs_weights_names_the_model_that_has_them(whole):
    for given in (whole, str(whole), Exported(whole)):
        with pytest.raises(UserError, match=r"found an exported graph, expected a model for serving: name .*model'"):
            refuse_exported(given, "serving")
    refuse_exported("nano", "serving")
    refuse_exported(None, "serving")
