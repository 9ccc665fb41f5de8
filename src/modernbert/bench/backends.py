"""Who computes: stock transformers, this package, ONNX Runtime, OpenVINO, each in the number formats it is good at."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from modernbert.bench.batching import Batching
from modernbert.bench.rivals import Rival
from modernbert.core.errors import UserError

Runtime = Literal["stock", "ours", "onnx", "openvino"]
Dtype = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A runtime and a number format."""

    name: str
    runtime: Runtime
    dtype: Dtype

    @property
    def bytes_per_number(self) -> int:
        """Of weights."""
        return {"float32": 4, "bfloat16": 2, "int8": 1}[self.dtype]

    def batchings(self, *, is_fixed: bool) -> tuple[Batching, ...]:
        """The ways it is tried: where all documents are equally long, sorting does nothing."""
        if self.runtime == "ours":
            return ("packed",)
        return ("sorted",) if is_fixed else ("sorted", "given")


_SHORT: dict[str, Dtype] = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}
_OFFERED: dict[Runtime, tuple[str, ...]] = {
    "stock": ("fp32", "bf16"),
    "ours": ("fp32", "bf16", "int8"),
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16"),
}

BACKENDS = {
    f"{runtime}-{short}": Backend(name=f"{runtime}-{short}", runtime=runtime, dtype=_SHORT[short])
    for runtime, formats in _OFFERED.items()
    for short in formats
}

_NEEDS: dict[Runtime, tuple[str, ...]] = {
    "stock": ("transformers",),
    "ours": ("transformers",),  # the weights are stock's
    "onnx": ("transformers", "onnx", "onnxscript", "onnxruntime"),
    "openvino": ("transformers", "onnx", "onnxscript", "openvino"),
}


def backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UserError: there is none.
    """
    if name not in BACKENDS:
        raise UserError(f"--backends: found {name!r}, expected some of {', '.join(BACKENDS)}")
    return BACKENDS[name]


def why_not(backend: Backend, rival: Rival, *, device: str, has_bfloat16: bool) -> str:
    """Why this backend does not run this model on this machine, in words for a table; empty when it does."""
    missing = [package for package in _NEEDS[backend.runtime] if find_spec(package) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (pip install 'modernbert[bench]')"
    if backend.runtime == "ours" and not rival.is_ours:
        return "this package runs ModernBERT only"
    if device != "cpu" and (backend.runtime in ("onnx", "openvino") or backend.dtype == "int8"):
        return f"compared on a CPU only, and this run is on {device}"
    if backend.dtype == "bfloat16" and not has_bfloat16:
        return "this machine has no bfloat16 arithmetic and would emulate it"
    return ""
