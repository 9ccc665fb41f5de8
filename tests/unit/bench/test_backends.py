import pytest

from modernbert.bench import backends
from modernbert.bench.backends import BACKENDS, backend, why_not
from modernbert.bench.rivals import rival
from modernbert.core.errors import UserError


def test_an_unknown_backend_is_refused():
    with pytest.raises(
        UserError, match="--backends: found 'tensorrt', expected some of stock-fp32, stock-bf16, ours-fp32"
    ):
        backend("tensorrt")


def test_what_cannot_run_says_why(monkeypatch):
    ours, bert = rival("modernbert", "tiny"), rival("bert", "tiny")
    assert why_not(backend("ours-fp32"), ours, device="cpu", has_bfloat16=False) == ""
    assert why_not(backend("ours-fp32"), bert, device="cpu", has_bfloat16=True) == "this package runs ModernBERT only"
    assert "would emulate" in why_not(backend("stock-bf16"), ours, device="cpu", has_bfloat16=False)
    assert why_not(backend("stock-bf16"), ours, device="cpu", has_bfloat16=True) == ""
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "openvino" else object())
    assert "on a CPU only" in why_not(backend("onnx-fp32"), ours, device="cuda", has_bfloat16=True)
    missing = why_not(backend("openvino-fp32"), ours, device="cpu", has_bfloat16=True)
    assert missing == "not installed: openvino (pip install 'modernbert[bench]')"


def test_padding_backends_are_tried_sorted_and_as_given_where_lengths_differ():
    assert backend("stock-fp32").batchings(is_fixed=False) == ("sorted", "given")
    assert backend("stock-fp32").batchings(is_fixed=True) == ("sorted",)
    assert backend("ours-bf16").batchings(is_fixed=False) == ("packed",)


def test_weights_take_their_formats_bytes():
    assert {name: one.bytes_per_number for name, one in BACKENDS.items() if name.startswith("ours")} == {
        "ours-fp32": 4,
        "ours-bf16": 2,
        "ours-int8": 1,
    }
