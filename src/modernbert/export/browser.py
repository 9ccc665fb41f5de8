"""A folder that is a page, and a package for npm: the model computes in a browser's tab, and nothing leaves it.

The page is the server's playground with another door: `page/ask.js` answers from a worker where the playground's asks a server.
Runtime and tokenizer come from npm when the folder is made. Why: docs/decisions/023.

Shapes:  M blanks   V vocabulary   D width
"""

import base64
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import cast

import numpy as np
import torch

from modernbert import __version__
from modernbert.core import packaged
from modernbert.core.errors import UnsupportedError, UserError, require
from modernbert.core.files import atomic_folder, write_json
from modernbert.export.check import batches, difference
from modernbert.export.graph import Graph
from modernbert.export.network import Network, write_blanks
from modernbert.export.npm import Package, archives, read_files
from modernbert.export.source import Source, read_source
from modernbert.infer.padding import padded
from modernbert.infer.runtimes import open_session
from modernbert.model.folder import check_free
from modernbert.model.heads import MaskedLM
from modernbert.model.hub import tokenizer_folder
from modernbert.ops.packed import Packed
from modernbert.retrieval.folder import describe, whole_number
from modernbert.retrieval.prompts import Prompts
from modernbert.retrieval.similarity import similarity_named, unit
from modernbert.tasks.prediction import softmax

CLOSE = 1e-3
"""Largest difference of a unit vector's numbers, or of probabilities, between Python and the page."""

PROBE = "Grace Hopper’s naïve café, 東京 🌫️:\n    return [MASK] + 1;  the old lighthouse [MASK] over the sea."
"""What the page computes before it says that it works: words, code, white space, and what tokenizers get wrong."""

RUNTIME = Package(
    name="onnxruntime-web",
    version="1.30.0",
    sha512="q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
TOKENIZERS = Package(
    name="@huggingface/tokenizers",
    version="0.2.0",
    sha512="LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
)

_RUNTIMES = {
    "wasm": ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    "webgpu": ("dist/ort.webgpu.bundle.min.mjs", "dist/ort-wasm-simd-threaded.asyncify.wasm"),
}
"""What a browser loads: its code, and what is compiled. The second has both WebGPU and WASM in it, and is twice as large."""

_TOKENIZER = {"dist/tokenizers.min.mjs": "tokenizers.js", "LICENSE": "tokenizers.LICENSE"}

_WEB = Path(__file__).parent / "web"
_PLAYGROUND = Path(__file__).parents[1] / "serve" / "playground"
_SHARED = ("app.js", "dom.js", "fill.js", "alike.js", "search.js", "style.css")
"""Files, not code: the server's page and this one are one page."""

_MASKED = 31
"""The first token and every so many behind it are blanks when the graph is checked."""

_TOP = 5
_LEVEL = 6
"""Of gzip: one more saves a hundredth, and takes twice as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One model of the page."""

    name: str
    head: str
    worst_difference: float
    """From the model in torch, of `CLOSE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What was written, in bytes."""

    parts: tuple[Part, ...]
    bytes: int
    without_gpu: int
    """What a browser without WebGPU downloads."""
    with_gpu: int


def export_browser(name: str, out: Path, *, embedder: str | None = None, runtime: Path | None = None) -> Bundle:
    """Write the page, and keep it only if its graphs give what the models give.

    Args:
        name: a masked language model or an embedder: a packaged model, whose embedding head comes along, a folder or a Hub id.
        out: a new folder.
        embedder: a second model, for similarity and search.
        runtime: a folder with the archives of `RUNTIME` and `TOKENIZERS`; absent: npm fetches them.

    Raises:
        UserError: `out` is taken, npm's packages cannot be had, or a graph differs from its model; nothing is left behind.
        UnsupportedError: the model has a head that the page has no use for.
    """
    check_free(out)
    require("onnx", extra="onnx")
    require("onnxruntime", extra="onnx")
    sources = _sources(name, embedder)
    with archives((RUNTIME, TOKENIZERS), runtime) as fetched:
        code = read_files(RUNTIME, [file for pair in _RUNTIMES.values() for file in pair], fetched)
        tokenizer = read_files(TOKENIZERS, _TOKENIZER, fetched)
    with atomic_folder(out) as folder:
        runtimes = {kind: _write_runtime(folder / "runtime", code, files) for kind, files in _RUNTIMES.items()}
        for file, renamed in _TOKENIZER.items():
            (folder / "runtime" / renamed).write_bytes(tokenizer[file])
        (folder / "model").mkdir()
        described, parts = [], []
        for source in sources:
            entry, part = _write_model(folder / "model", source)
            described.append(entry)
            parts.append(part)
        manifest = {"modernbert": __version__, "close": CLOSE, "models": described, "runtimes": runtimes}
        write_json(folder / "model" / "manifest.json", manifest)
        _write_page(folder, name, parts)
        whole = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        own = {
            kind: sum((folder / "runtime" / name).stat().st_size for name in _names(files))
            for kind, files in _RUNTIMES.items()
        }
        return Bundle(parts=tuple(parts), bytes=whole, without_gpu=whole - own["webgpu"], with_gpu=whole - own["wasm"])


def _sources(name: str, embedder: str | None) -> list[Source]:
    """A page has one model that fills blanks, one that makes vectors, or both."""
    found = [read_source(name, None)]
    if found[0].head not in ("fill-mask", "embedding"):
        raise UnsupportedError(
            f"{name}: found the head {found[0].head}, expected fill-mask or embedding, which the page has panels for: export "
            "it with modernbert export onnx"
        )
    own = f"{name}:embedding"
    if embedder is None and found[0].head == "fill-mask" and own in packaged.names():
        embedder = own
    if embedder is not None:
        if found[0].head == "embedding":
            raise UserError(f"{name}: found an embedder, expected a masked language model beside --embedder {embedder}")
        found.append(read_source(embedder, "embedding"))
    if found[-1].head == "embedding":
        _expect_cosine(found[-1])
    return found


def _expect_cosine(source: Source) -> None:
    found = similarity_named(describe(source.folder).settings.get("similarity_fn_name"), source.folder)
    if found != "cosine":
        raise UnsupportedError(
            f"{source.name}: found vectors to be compared by {found}, expected cosine, which is what the page computes: "
            "export it with modernbert export onnx"
        )


def _write_model(folder: Path, source: Source) -> tuple[dict[str, object], Part]:
    """The graph in float16, the tokenizer, and what has to come out of them; checked here before the page checks it again."""
    onnx = require("onnx", extra="onnx")
    graph = Graph("float16")
    is_filler = source.head == "fill-mask"
    if is_filler:
        model = cast("MaskedLM", source.model)
        shapes = write_blanks(Network(graph, model.model, prefix="model."), model, source.tokenizer.mask_id)
    else:
        shapes = source.write(graph)
    whole = folder / f"{source.head}.onnx"
    output = "logits" if is_filler else "sentence_embedding"
    onnx.save_model(graph.finish(shapes, {"head": source.head, "source": source.name}), whole)
    worst = _worst_difference(source, whole, output)
    if not worst <= CLOSE:
        raise UserError(
            f"{source.name}: computes something else in float16, by {worst:.1e}, expected {CLOSE:g} at most: nothing was written; "
            "train it in float32 or bfloat16 with smaller weights, or use modernbert export onnx"
        )
    content = whole.read_bytes()
    whole.unlink()
    packed = gzip.compress(content, _LEVEL, mtime=0)
    (folder / f"{whole.name}.gz").write_bytes(packed)
    entry: dict[str, object] = {
        "head": source.head,
        "name": source.name,
        "file": f"{whole.name}.gz",
        "bytes": len(packed),
        "unpacked": len(content),
        "output": output,
        "longest": source.longest,
        "tokenizer": _write_tokenizer(folder, source),
        **(_said_of_filler(source) if is_filler else _said_of_embedder(source)),
    }
    return entry, Part(name=source.name, head=source.head, worst_difference=worst)


def _worst_difference(source: Source, path: Path, output: str) -> float:
    """Of probabilities or unit vectors; infinite where something is no number."""
    run = open_session(path, "onnxruntime", outputs=(output,))
    worst = 0.0
    for batch in batches(source):
        if source.head == "fill-mask":
            documents = [_with_blanks(each, source.tokenizer.mask_id) for each in batch]
            truth = _at_blanks(source, documents)
            found = softmax(run(*padded(documents, source.tokenizer.pad_id))[0])
        else:
            truth = unit(np.stack(list(source.rows(batch))))
            found = unit(run(*padded(batch, source.tokenizer.pad_id))[0])
        worst = max(worst, difference(found, truth))
    return worst


def _with_blanks(ids: list[int], mask_id: int) -> list[int]:
    return [mask_id if place % _MASKED == 0 else each for place, each in enumerate(ids)]


@torch.inference_mode()
def _at_blanks(source: Source, documents: Sequence[Sequence[int]]) -> np.ndarray:
    """Probabilities [M, V], as the model gives them."""
    packed = Packed.from_lists([list(each) for each in documents])
    at_M = (packed.ids == source.tokenizer.mask_id).nonzero().squeeze(1)
    return softmax(source.model(packed, at_M).float().numpy())


def _write_tokenizer(folder: Path, source: Source) -> dict[str, object]:
    """Its file, shared by models that have the same; and the special tokens around a text."""
    content = (tokenizer_folder(source.folder) / "tokenizer.json").read_bytes()
    path = folder / "tokenizer.json"
    if path.is_file() and path.read_bytes() != content:
        path = folder / f"tokenizer-{source.head}.json"
    path.write_bytes(content)
    marker = -1
    framed = source.tokenizer.enclose([marker])
    start = framed.index(marker)
    return {
        "file": path.name,
        "bytes": len(content),
        "before": framed[:start],
        "after": framed[start + 1 :],
        "mask": source.tokenizer.token(source.tokenizer.mask_id),
        "mask_id": source.tokenizer.mask_id,
    }


def _said_of_filler(source: Source) -> dict[str, object]:
    text = PROBE.replace("[MASK]", source.tokenizer.token(source.tokenizer.mask_id))
    ids = source.tokenizer.encode([text]).ids[0]
    shares_MV = _at_blanks(source, [ids])
    best = np.argsort(-shares_MV, axis=1, kind="stable")[:, :_TOP]
    values = _rounded(np.take_along_axis(shares_MV, best, 1).ravel())
    return {"probe": {"text": text, "ids": ids, "best": best.tolist(), "values": values}}


def _said_of_embedder(source: Source) -> dict[str, object]:
    said = describe(source.folder)
    prompts = Prompts.of(said.settings, source.folder)
    dimensions = whole_number(said.settings, "truncate_dim", source.folder) or source.width
    ids = source.tokenizer.encode([PROBE]).ids[0]
    vector_D = next(source.rows([ids]))[:dimensions]
    return {
        "dimensions": dimensions,
        "prompts": {
            "text": prompts.choose(None, None),
            "query": prompts.choose(prompts.for_queries, None),
            "document": prompts.choose(prompts.for_documents, None),
        },
        "probe": {"text": PROBE, "ids": ids, "values": _rounded(unit(vector_D[None])[0])},
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(each), 7) for each in values]


def _write_runtime(folder: Path, code: dict[str, bytes], files: tuple[str, str]) -> dict[str, object]:
    """Compiled code is packed: many static servers send it as it lies."""
    folder.mkdir(exist_ok=True)
    script, compiled = _names(files)
    (folder / script).write_bytes(code[files[0]])
    packed = gzip.compress(code[files[1]], _LEVEL, mtime=0)
    (folder / compiled).write_bytes(packed)
    return {"script": script, "file": compiled, "bytes": len(packed), "unpacked": len(code[files[1]])}


def _names(files: tuple[str, str]) -> tuple[str, str]:
    """As they are called in the folder: some servers do not know what .mjs is."""
    script, compiled = map(Path, files)
    return script.with_suffix(".js").name, f"{compiled.name}.gz"


def _write_page(folder: Path, name: str, parts: Sequence[Part]) -> None:
    for path in sorted(path for path in _WEB.rglob("*") if path.is_file() and path.parent != _WEB):
        _copy(path, folder / path.relative_to(_WEB))
    for file in ("modernbert.js", "modernbert.d.ts"):
        _copy(_WEB / file, folder / file)
    for file in _SHARED:
        _copy(_PLAYGROUND / file, folder / "page" / file)
    icon = base64.b64encode((_PLAYGROUND / "icon.svg").read_bytes()).decode()
    # inside the page: a browser asks for a tab's icon again and again, and there is no network any more
    _fill(_WEB / "index.html", folder / "index.html", {"icon": f"data:image/svg+xml;base64,{icon}"})
    package = "modernbert-" + (re.sub(r"[^a-z0-9]+", "-", Path(name).name.lower()).strip("-") or "model")
    models = " and ".join(f"{part.name} ({part.head})" for part in parts)
    said = {
        "package": package,
        "models": models,
        "version": __version__,
        "runtime": RUNTIME.spec,
        "tokenizers": TOKENIZERS.spec,
    }
    _fill(_WEB / "README.md", folder / "README.md", said)
    described = {
        "name": package,
        "version": __version__,
        "description": f"{models} in a browser's tab: fill-mask, vectors, similarity and search, offline.",
        **({"license": "Apache-2.0 AND MIT"} if name in packaged.names() else {}),
        "type": "module",
        "main": "modernbert.js",
        "types": "modernbert.d.ts",
        "exports": {".": {"types": "./modernbert.d.ts", "default": "./modernbert.js"}, "./*": "./*"},
        "files": ["index.html", "modernbert.js", "modernbert.d.ts", "model", "page", "runtime", "worker"],
        "keywords": ["modernbert", "fill-mask", "embeddings", "onnx", "browser", "offline"],
        "sideEffects": False,
    }
    write_json(folder / "package.json", described)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(source.read_bytes())


def _fill(source: Path, target: Path, said: dict[str, str]) -> None:
    target.write_text(Template(source.read_text(encoding="utf-8")).substitute(said), encoding="utf-8")
