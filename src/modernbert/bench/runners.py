"""What runs inside a process of its own: one model on one backend, lists of token ids in, hidden states out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from modernbert.bench.backends import Backend
from modernbert.bench.rivals import Rival, build, pad_id
from modernbert.core.errors import require
from modernbert.core.files import atomic_folder
from modernbert.infer.padding import padded
from modernbert.infer.runtimes import Session, open_session

if TYPE_CHECKING:
    import torch
    from torch import nn

    from modernbert.model.encoder import Encoder

Documents = Sequence[Sequence[int]]


class Runner(Protocol):
    """A model that is loaded."""

    def first(self, batch: Documents) -> np.ndarray:
        """Each document's state at its first token, [documents, width], in float32: what is kept of a timed run."""
        ...

    def states(self, batch: Documents) -> np.ndarray:
        """Every token's state, document after document, [tokens, width], in float32: for comparing."""
        ...


def warm_imports(rival: Rival, backend: Backend) -> None:
    """Import what the model and the backend need, so that memory measured afterwards is the weights and the work."""
    if backend.runtime in ("stock", "ours"):
        import modernbert.model.encoder  # noqa: F401

        getattr(require("transformers", extra="bench"), f"{rival.family}Model")
    elif backend.runtime == "onnx":
        require("onnxruntime", extra="bench")
    else:
        require("openvino", extra="bench")


def load(rival: Rival, backend: Backend, *, device: str, threads: int, exports: Path) -> Runner:
    """A runner. ONNX files are read from `exports`; see `export`.

    Raises:
        MissingExtraError: the backend is not installed.
    """
    if backend.runtime == "stock":
        return _Stock(rival, backend, device=device, threads=threads)
    if backend.runtime == "ours":
        return _Ours(rival, backend, device=device, threads=threads)
    if backend.runtime == "onnx":
        return _Padded(rival, open_session(exported(rival, exports, backend), "onnxruntime", threads=threads))
    precision = {"float32": "f32", "bfloat16": "bf16"}[backend.dtype]
    path = exported(rival, exports, backend)
    return _Padded(rival, open_session(path, "openvino", threads=threads, precision=precision))


def exported(rival: Rival, exports: Path, backend: Backend) -> Path:
    """The ONNX file that the backend reads."""
    kind = "int8" if backend.dtype == "int8" else "float32"
    return exports / f"{rival.key}-{kind}" / "model.onnx"


def export(rival: Rival, backend: Backend, exports: Path) -> None:
    """Write the ONNX file that the backend reads, from stock's model, unless it is there."""
    target = exported(rival, exports, backend)
    if target.exists():
        return
    if backend.dtype == "int8":
        plain = exports / f"{rival.key}-float32" / "model.onnx"
        if not plain.exists():
            _export_float32(rival, plain)
        _quantize(plain, target)
    else:
        _export_float32(rival, target)


class _Stock:
    """transformers' model on padded batches."""

    def __init__(self, rival: Rival, backend: Backend, *, device: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._device, self._pad_id = device, pad_id(rival)
        self._model = build(rival).to(device=device, dtype=getattr(torch, backend.dtype))

    def first(self, batch: Documents) -> np.ndarray:
        hidden, _ = self._run(batch)
        return hidden[:, 0].float().cpu().numpy()

    def states(self, batch: Documents) -> np.ndarray:
        hidden, mask = self._run(batch)
        return hidden.float().cpu().numpy()[mask.astype(bool)]

    def _run(self, batch: Documents) -> "tuple[torch.Tensor, np.ndarray]":
        import torch

        ids, mask = padded(batch, self._pad_id)
        with torch.inference_mode():
            hidden = self._model(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
            ).last_hidden_state
        return hidden, mask


class _Ours:
    """`encode` on packed batches."""

    def __init__(self, rival: Rival, backend: Backend, *, device: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._device = device
        self._model = _our_encoder(rival, backend).to(device)

    def first(self, batch: Documents) -> np.ndarray:
        import torch

        from modernbert.model.encoder import encode
        from modernbert.ops.packed import Packed

        packed = Packed.from_lists(batch, device=self._device)
        with torch.inference_mode():
            hidden = encode(self._model, packed)
        starts = np.cumsum([0, *map(len, batch[:-1])])
        return hidden[torch.from_numpy(starts).to(self._device)].float().cpu().numpy()

    def states(self, batch: Documents) -> np.ndarray:
        import torch

        from modernbert.model.encoder import encode
        from modernbert.ops.packed import Packed

        with torch.inference_mode():
            return encode(self._model, Packed.from_lists(batch, device=self._device)).float().cpu().numpy()


class _Padded:
    """Any function of padded ids and mask, in numpy."""

    def __init__(self, rival: Rival, run: Session) -> None:
        self._run, self._pad_id = run, pad_id(rival)

    def first(self, batch: Documents) -> np.ndarray:
        return self._run(*padded(batch, self._pad_id))[0][:, 0].astype(np.float32)

    def states(self, batch: Documents) -> np.ndarray:
        ids, mask = padded(batch, self._pad_id)
        return self._run(ids, mask)[0][mask.astype(bool)].astype(np.float32)


def _our_encoder(rival: Rival, backend: Backend) -> "Encoder":
    """Ours with stock's weights, which are not copied."""
    import torch

    from modernbert.model.encoder import Encoder

    weights = build(rival).state_dict()
    with torch.device("meta"):
        encoder = Encoder(rival.config)
    encoder.load_state_dict(weights, assign=True)
    if backend.dtype == "int8":
        from modernbert.model.quantize import quantize

        return quantize(encoder.eval())
    return encoder.to(getattr(torch, backend.dtype)).eval()


def _export_float32(rival: Rival, target: Path) -> None:
    import torch

    require("onnxscript", extra="bench")
    model = build(rival)
    ids = torch.randint(10, rival.vocab_size, (2, 32))
    mask = torch.ones_like(ids)
    ids[1, 20:], mask[1, 20:] = pad_id(rival), 0
    batch_and_length = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        _hidden_states(model),
        (ids, mask),
        dynamo=True,
        dynamic_shapes=(batch_and_length, batch_and_length),
        input_names=["input_ids", "attention_mask"],
        output_names=["hidden"],
        verbose=False,
    )
    assert program is not None, "dynamo=True gives a program"
    with atomic_folder(target.parent) as unfinished:
        program.save(unfinished / target.name, external_data=True)


def _quantize(plain: Path, target: Path) -> None:
    """Weights to int8 by column, activations as they come: what `quantize_dynamic` does for who follows its manual."""
    require("onnxruntime", extra="bench")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with atomic_folder(target.parent) as unfinished:
        quantize_dynamic(
            plain,
            unfinished / target.name,
            per_channel=True,
            reduce_range=not _has_int8_products(),  # without VNNI two products of 8 bits overflow 16
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
            use_external_data_format=True,
        )


def _has_int8_products() -> bool:
    import torch

    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8", "dotprod", "i8mm"))


def _hidden_states(model: "nn.Module") -> "nn.Module":
    import torch

    class HiddenStates(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    return HiddenStates().eval()


os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
