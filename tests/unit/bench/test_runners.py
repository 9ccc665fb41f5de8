import warnings
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from modernbert.bench.backends import backend
from modernbert.bench.rivals import rival
from modernbert.bench.runners import export, exported, load
from modernbert.bench.workloads import token_ids
from modernbert.core import errors

ONE = rival("modernbert", "tiny")
DOCUMENTS = token_ids([5, 130, 66, 20], ONE.vocab_size)


@cache
def _exports():
    return Path(mkdtemp())


@cache
def _runner(name):
    if name.startswith(("onnx", "openvino")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            export(ONE, backend(name), _exports())
    return load(ONE, backend(name), device="cpu", threads=1, exports=_exports())


def _needs(name):
    if name.startswith(("onnx", "openvino")):
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime" if name.startswith("onnx") else "openvino")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("ours-fp32", 1e-4),
        ("stock-bf16", 0.1),
        ("ours-bf16", 0.1),
        ("onnx-fp32", 1e-4),
        ("openvino-fp32", 1e-4),
        ("onnx-int8", 0.5),
        ("ours-int8", 0.5),
    ],
)
def test_every_backend_computes_what_stock_does(name, most):
    _needs(name)
    truth = _runner("stock-fp32").states(DOCUMENTS)
    assert truth.shape == (221, 128)
    error = np.abs(_runner(name).states(DOCUMENTS) - truth).max()
    assert error < most
    if most > 1e-4:
        assert error > 1e-4, "the narrower numbers were not used"


@pytest.mark.parametrize("name", ["stock-fp32", "ours-fp32", "onnx-fp32"])
def test_what_is_kept_of_a_timed_run_is_each_documents_first_token(name):
    _needs(name)
    states = _runner(name).states(DOCUMENTS)
    np.testing.assert_array_equal(_runner(name).first(DOCUMENTS), states[[0, 5, 135, 201]])


def test_an_exported_model_is_kept():
    _needs("onnx-fp32")
    _runner("onnx-fp32")
    path = exported(ONE, _exports(), backend("onnx-fp32"))
    before = path.stat().st_mtime_ns
    export(ONE, backend("openvino-fp32"), _exports())
    assert path.stat().st_mtime_ns == before


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(monkeypatch, tmp_path):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(errors.MissingExtraError, match=r"'openvino' is not installed .*'modernbert\[openvino\]'"):
        load(ONE, backend("openvino-fp32"), device="cpu", threads=1, exports=tmp_path)
