"""An ONNX graph, written operator by operator: names, constants, and weights as few bits as asked for.

Not a place for what a ModernBERT is (`network.py`). Why graphs are written and not traced: docs/decisions/020.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from modernbert import __version__
from modernbert.core.errors import require

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Precision = Literal["float32", "float16", "bfloat16", "int8"]
"""What weights are stored in. Halves are widened to float32 when a runtime loads them, so every runtime computes with them;
int8 matrices are multiplied as such, with activations that are rounded by a scale that was found before (`calibrate.py`), or when
they are known: one scale a batch."""


ACTIVATION_STEPS = 255
"""From one end of an activation's 8 bits to the other."""


class Span(NamedTuple):
    """What 8 bits of an activation can say: from here to there; 0 is one of the steps."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """Of a step."""
        return (self.high - self.low) / ACTIVATION_STEPS

    @property
    def zero(self) -> int:
        """The step that means 0."""
        return round(-self.low / self.scale)


OPSET = 20
"""Of the standard operators: the first with Gelu. onnxruntime from 1.17 on (native and web) and OpenVINO read it."""

_STEPS = 127
"""Of int8, to each side."""

_SAFE_STEPS = 63
"""Of matrices that are multiplied in int8: on a processor without 8-bit dot products two products share 16 bits, which 127
steps would overflow. A file is made on one machine and run on many."""


class Graph:
    """Grows node by node; every method gives the name of what it adds."""

    def __init__(self, precision: Precision, spans: Mapping[str, Span] | None = None) -> None:
        """Begin.

        Args:
            spans: in int8, of what enters the matrices of these names; absent: found for each batch.
        """
        self.precision = precision
        self.spans = spans
        self.entering: dict[str, str] = {}
        """What is multiplied with the matrices of these names."""
        self._onnx = require("onnx", extra="onnx")
        self._nodes: list[NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._made: dict[tuple[object, ...], str] = {}
        self._rounded: dict[str, tuple[str, str, str]] = {}

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        """One operator with one output."""
        return self.several(kind, *inputs, outputs=1, **attributes)[0]

    def several(self, kind: str, *inputs: str, outputs: int, **attributes: object) -> list[str]:
        """One operator with several outputs."""
        number = len(self._nodes)
        names = [f"{kind.lower()}_{number}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, names, name=f"{kind}_{number}", **attributes))
        return names

    def rename(self, name: str, output: str) -> None:
        """Give a result the name that it has outside."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [name], [output], name=output))

    def constant(self, value: Sequence[int] | int | float | np.ndarray) -> str:
        """A small tensor: whole numbers in int64, others in float32. Equal ones are one."""
        found = np.asarray(value)
        found = found.astype(np.int64 if found.dtype.kind in "iu" else np.float32)
        key = (found.dtype.str, found.shape, found.tobytes())
        if key not in self._made:
            self._made[key] = f"constant_{len(self._made)}"
            self._tensors[self._made[key]] = self._onnx.numpy_helper.from_array(found, self._made[key])
        return self._made[key]

    def vector(self, name: str, weight: Tensor) -> str:
        """A bias or a norm's scale: few numbers, never rounded to int8."""
        return self._stored(name, weight)

    def rows(self, ids: str, name: str, weight: Tensor) -> str:
        """Rows of a table [V, D]; in int8 with a scale each."""
        if self.precision != "int8":
            return self.op("Gather", self._stored(name, weight), ids)
        table, scales = self._int8(name, weight, steps=_STEPS)
        widened = self.op("Cast", self.op("Gather", table, ids), to=self._onnx.TensorProto.FLOAT)
        return self.op("Mul", widened, self.op("Unsqueeze", self.op("Gather", scales, ids), self.constant([-1])))

    def linear(self, x: str, name: str, weight: Tensor, bias: Tensor | None = None) -> str:
        """x W' + b, with W [out, in] as checkpoints store it."""
        self.entering[name] = x
        if self.precision == "int8":
            product = self._int8_product(x, name, weight)
        else:
            product = self.op("MatMul", x, self._turned(self._stored(name, weight)))
        bias_name = f"{name.removesuffix('.weight')}.bias"
        return product if bias is None else self.op("Add", product, self.vector(bias_name, bias))

    def scores(self, x: str, name: str, table: Tensor) -> str:
        """x T' against a table [V, D] that `rows` may have read as well: stored once, and multiplied in float32."""
        if self.precision == "int8":
            whole, scales = self._int8(name, table, steps=_STEPS)
            widened = self._once("Cast", whole, to=self._onnx.TensorProto.FLOAT)
            return self.op("Mul", self.op("MatMul", x, self._turned(widened)), scales)
        return self.op("MatMul", x, self._turned(self._stored(name, table)))

    def finish(self, outputs: Mapping[str, tuple[str | int, ...] | None], metadata: dict[str, str]) -> "ModelProto":
        """The model.

        Args:
            outputs: names and shapes; a word in a shape is any number, and no shape is any shape.
        """
        helper, kind = self._onnx.helper, self._onnx.TensorProto
        inputs = [
            helper.make_tensor_value_info(name, kind.INT64, ["batch_size", "sequence_length"])
            for name in ("input_ids", "attention_mask")
        ]
        found = [helper.make_tensor_value_info(name, kind.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self._nodes, "modernbert", inputs, found, list(self._tensors.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=9,  # the one that came with the opset: older runtimes refuse newer ones
            producer_name="modernbert",
            producer_version=__version__,
        )
        helper.set_model_props(model, metadata)
        return model

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(len(tensor.raw_data) for tensor in self._tensors.values())

    def _stored(self, name: str, weight: Tensor) -> str:
        """The weight, stored in its precision, as float32."""
        wanted = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(self.precision, torch.float32)
        self._add(name, weight.to(wanted))
        return name if wanted is torch.float32 else self._once("Cast", name, to=self._onnx.TensorProto.FLOAT)

    def _turned(self, stored: str) -> str:
        return self._once("Transpose", stored, perm=[1, 0])

    def _int8(self, name: str, weight: Tensor, *, steps: int) -> tuple[str, str]:
        """Whole numbers [out, in], and a scale for each row."""
        exact = weight.float()
        scales = exact.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / steps
        self._add(f"{name}_int8", (exact / scales[:, None]).round().to(torch.int8))
        self._add(f"{name}_scales", scales)
        return f"{name}_int8", f"{name}_scales"

    def _int8_product(self, x: str, name: str, weight: Tensor) -> str:
        """As onnxruntime's own quantiser writes it, so that every runtime knows it and makes it one kernel."""
        table, scales = self._int8(name, weight, steps=_SAFE_STEPS)
        if x not in self._rounded:
            self._rounded[x] = self._round(x, name)
        whole, step, zero = self._rounded[x]
        sums = self.op("MatMulInteger", whole, self._turned(table), zero)
        return self.op("Mul", self.op("Cast", sums, to=self._onnx.TensorProto.FLOAT), self.op("Mul", step, scales))

    def _round(self, x: str, name: str) -> tuple[str, str, str]:
        """Whole numbers, the size of a step, and the number that means 0."""
        if self.spans is None:
            whole, step, zero = self.several("DynamicQuantizeLinear", x, outputs=3)
            return whole, step, zero
        span = self.spans[name]
        step, zero = self.constant(span.scale), f"{name}_zero"
        self._add(zero, torch.tensor(span.zero, dtype=torch.uint8))
        return self.op("QuantizeLinear", x, step, zero), step, zero

    def _once(self, kind: str, name: str, **attributes: object) -> str:
        key = (kind, name)
        if key not in self._made:
            self._made[key] = self.op(kind, name, **attributes)
        return self._made[key]

    def _add(self, name: str, weight: Tensor) -> None:
        if name in self._tensors:
            return
        weight = weight.detach().cpu().contiguous()
        kinds = {
            torch.float32: "FLOAT",
            torch.float16: "FLOAT16",
            torch.bfloat16: "BFLOAT16",
            torch.int8: "INT8",
            torch.uint8: "UINT8",
        }
        self._tensors[name] = self._onnx.TensorProto(
            name=name,
            dims=list(weight.shape),
            data_type=getattr(self._onnx.TensorProto, kinds[weight.dtype]),
            raw_data=weight.reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
