"""ONNX Runtime and OpenVINO behind one function: padded ids and mask in, outputs by name out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from modernbert.core.errors import CheckpointError, first_line, require

Backend = Literal["onnxruntime", "openvino"]

Session = Callable[[np.ndarray, np.ndarray], list[np.ndarray]]
"""Ids and mask, [B, L] in int64; the arrays that were asked for."""

_ERRORS_ONLY = 3


def open_session(
    path: Path, backend: Backend, *, outputs: Sequence[str] = (), threads: int | None = None, precision: str = "f32"
) -> Session:
    """Load a graph; OpenVINO reads ONNX files as well as its own.

    Args:
        outputs: their names; none: all.
        threads: absent: as many as the runtime thinks right.
        precision: that OpenVINO computes in: f32 or bf16. ONNX Runtime computes in what the file says.

    Raises:
        MissingExtraError: the runtime is not installed.
        CheckpointError: the file is not there, is cut off, or needs operators that this version does not know.
    """
    run = _onnxruntime if backend == "onnxruntime" else _openvino
    require(backend, extra=_EXTRAS[backend])
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: export the model again")
    try:
        return run(path, list(outputs), threads, precision)
    except Exception as error:  # noqa: BLE001 (each runtime has its own; none of them is worth a backtrace)
        said = first_line(error).split("error: ")[-1][:240]
        raise CheckpointError(f"{path} cannot be opened by {backend} ({said}): {_way_out(str(error))}") from None


def _way_out(said: str) -> str:
    if "opset" in said.lower() or "ir_version" in said.lower() or "ir version" in said.lower():
        return "it is of a later time than the runtime: update the runtime, or export the model again"
    return "the file is damaged or not a model: export the model again"


def _onnxruntime(path: Path, outputs: list[str], threads: int | None, _: str) -> Session:
    runtime = require("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(
        "session.force_spinning_stop", "1"
    )  # threads sleep between batches: a server has other work
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = outputs or None

    def run(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        return session.run(wanted, {"input_ids": ids, "attention_mask": mask})

    return run


def _openvino(path: Path, outputs: list[str], threads: int | None, precision: str) -> Session:
    openvino = require("openvino", extra="openvino")
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    wanted = outputs or list(range(len(model.outputs)))

    def run(ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        found = model({"input_ids": ids, "attention_mask": mask})
        return [np.array(found[each]) for each in wanted]  # copies: the runtime writes the next batch over them

    return run


_EXTRAS: dict[Backend, str] = {"onnxruntime": "onnx", "openvino": "openvino"}
