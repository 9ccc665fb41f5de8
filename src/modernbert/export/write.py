"""Exported folders, whole or not at all: a graph, what reads it, and what was measured of it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modernbert import __version__
from modernbert.core.errors import UserError, require
from modernbert.core.files import atomic_folder, write_json
from modernbert.export.calibrate import Calibration, calibrate
from modernbert.export.check import CLOSE, MOST_LOST, Quality, quality, worst_difference
from modernbert.export.graph import OPSET, Graph, Precision
from modernbert.export.source import Source, read_source
from modernbert.infer.exported import FILE, Exported, Manifest
from modernbert.infer.light import Head
from modernbert.infer.runtimes import Backend
from modernbert.model.folder import check_free, copy_tokenizer
from modernbert.model.heads import ARCHITECTURES
from modernbert.model.hf_config import to_mapping
from modernbert.model.hub import tokenizer_folder
from modernbert.tasks.prediction import FILE as PREDICTION

GRAPHS: dict[Precision, str] = {
    "float32": "onnx/model.onnx",
    "float16": "onnx/model_fp16.onnx",
    "bfloat16": "onnx/model_bf16.onnx",
    "int8": "onnx/model_quantized.onnx",
}
"""The names that transformers.js and Optimum look for; bfloat16 has none there."""

OPENVINO = "openvino/openvino_model.xml"

_BESIDE = ("config_sentence_transformers.json", "sentence_bert_config.json", PREDICTION)
"""Small files that say how a model is used."""

_LARGEST = 1_800_000_000
"""Bytes of one protobuf file; larger models keep their weights beside it."""


class LostTooMuchError(UserError):
    """Rounding took more from the model than was allowed."""

    def __init__(self, reason: str) -> None:
        """Say it.

        Args:
            reason: what it cost, and what was allowed.
        """
        super().__init__(f"{reason}: nothing was written; take another --precision, or say --most-lost")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written, and how far it is from its source."""

    manifest: Manifest
    quality: Quality | None
    bytes: int
    """Of the graph and its weights."""


def export(
    name: str,
    out: Path,
    *,
    backend: Backend,
    precision: Precision,
    head: Head | None,
    texts: Sequence[str],
    task: Path | None = None,
    most_lost: float = MOST_LOST,
    calibrate_on: Sequence[str] | None = None,
) -> Report:
    """Write a model as a folder for a runtime, and keep it only if it still is that model.

    Args:
        name: a packaged model, a folder or a Hub id.
        out: a new folder.
        head: absent: what the model's files say.
        texts: what a rounded export is judged on, where there is no `task`.
        most_lost: points of quality that rounding may cost.
        calibrate_on: in int8, texts on which scales of activations are found; absent: they are found for each batch.

    Raises:
        UserError: `out` is taken, the model has no such head, or the export differs from it; nothing is left behind.
    """
    check_free(out)
    if backend == "openvino" and precision in ("float16", "bfloat16"):
        raise UserError(
            f"found {precision} for OpenVINO, expected float32 or int8: its converter leaves the model further than an export may be; "
            "it reads exported ONNX files as well, whose halves are kept"
        )
    if calibrate_on is not None and precision != "int8":
        raise UserError(f"found {precision} to calibrate, expected int8, where activations are rounded: leave it out")
    source = read_source(name, head)
    found = None if calibrate_on is None else calibrate(source, calibrate_on)
    with atomic_folder(out) as folder:
        manifest = _write(source, folder, backend, precision, found)
        exported = Exported(folder)
        worst = worst_difference(source, exported)
        is_exact = precision == "float32" or (precision == "bfloat16" and source.is_half)
        if worst == float("inf") or (is_exact and worst > CLOSE):
            raise UserError(
                f"{name}: its export differs from it by {worst:.1e}, expected {CLOSE:g} at most: nothing was written; this "
                "is a bug, please report it"
            )
        lost = None if is_exact else quality(source, exported, texts, task)
        if lost is not None and not lost.drop <= most_lost:
            raise LostTooMuchError(
                f"{name}: {precision} costs {lost.drop:.2f} points ({lost.measure}: {lost.source:.2f} to {lost.export:.2f} on "
                f"{lost.num_cases:,}), expected {most_lost:g} at most"
            )
        manifest = replace(manifest, worst_difference=worst, drop=None if lost is None else lost.drop)
        write_json(folder / FILE, asdict(manifest))
        size = sum(path.stat().st_size for path in (folder / manifest.file).parent.iterdir())
    return Report(manifest=manifest, quality=lost, bytes=size)


def _write(
    source: Source, folder: Path, backend: Backend, precision: Precision, calibration: Calibration | None
) -> Manifest:
    graph = Graph(precision, None if calibration is None else calibration.spans)
    shapes = source.write(graph)
    file = GRAPHS[precision]
    _save_graph(graph, shapes, {"head": source.head, "precision": precision, "source": source.name}, folder / file)
    if backend == "openvino":
        _convert(folder / file, folder / OPENVINO)
        shutil.rmtree((folder / file).parent)
        file = OPENVINO
    architecture = next(name for name, kind in ARCHITECTURES.items() if kind is type(source.model))
    write_json(folder / "config.json", to_mapping(source.model.config, architecture=architecture, dtype="float32"))
    copy_tokenizer(tokenizer_folder(source.folder), folder)
    for name in _BESIDE:
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    outputs = tuple(shapes)
    manifest = Manifest(
        head=source.head,
        precision=precision,
        backend=backend,
        file=file,
        outputs=("sentence_embedding",) if source.head == "embedding" else outputs,
        longest=source.longest,
        width=source.width,
        source=source.name,
        source_hash=source.hash,
        worst_difference=float("nan"),
        calibrated_on=None if calibration is None else calibration.num_tokens,
        versions=_versions(backend),
    )
    write_json(folder / FILE, asdict(manifest))
    return manifest


def _save_graph(graph: Graph, shapes: dict, metadata: dict[str, str], path: Path) -> None:
    onnx = require("onnx", extra="onnx")
    path.parent.mkdir(parents=True)
    model = graph.finish(shapes, metadata)
    is_large = graph.bytes > _LARGEST
    onnx.save_model(model, path, save_as_external_data=is_large, location=f"{path.name}_data" if is_large else None)
    onnx.checker.check_model(str(path))


def _convert(onnx_file: Path, target: Path) -> None:
    openvino = require("openvino", extra="openvino")
    target.parent.mkdir(parents=True)
    openvino.save_model(openvino.convert_model(str(onnx_file)), str(target), compress_to_fp16=False)


def _versions(backend: Backend) -> dict[str, str]:
    found = {"modernbert": __version__, "opset": str(OPSET)}
    for package in ("onnx", backend):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
