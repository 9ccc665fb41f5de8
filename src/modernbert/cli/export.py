"""`modernbert export onnx | openvino | browser | legacy | hub`: a trained model for other runtimes and older programs, checked before it is kept."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from modernbert.core.log import say

if TYPE_CHECKING:
    from modernbert.export.graph import Precision
    from modernbert.export.write import Report
    from modernbert.infer.runtimes import Backend

Head = Literal[
    "fill-mask", "text-classification", "token-classification", "question-answering", "multiple-choice",
    "embedding", "late", "trunk",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    model: tyro.conf.Positional[str]
    """A packaged model such as nano or nano:embedding, a folder (of a LoRA adapter, too) or a Hub id."""
    out: tyro.conf.Positional[Path]
    """A new folder."""
    head: Head | None = None
    """What the graph gives; absent: what the model's files say. A reranker is a text-classification."""
    texts: tuple[Path, ...] = ()
    """Texts that a rounded export is judged on, one a line, or .jsonl. Absent: docstrings of Python's standard library."""
    most_lost: float = 0.5
    """Points of quality that rounding may cost; a graph that lost more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph(_Judged):
    calibrate: bool = False
    """With int8: find scales of activations now, on every other one of the texts, and not for each batch; a text's numbers are then
    the same in any batch."""
    task: Path | None = None
    """Labelled rows instead, as .jsonl: a text and a label (of a pair: pair), or for embedders a text, a pair and a score."""
    json: bool = False
    """Print one JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onnx(_Graph):
    """Write a model and its head as an ONNX graph, kept only if it gives what the model gives."""

    precision: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """What weights are stored in; halves are computed in float32, int8 is multiplied as such."""

    def run(self) -> None:
        """Export, check, tell."""
        _export(self, "onnxruntime", self.precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Openvino(_Graph):
    """The same in OpenVINO's own form."""

    precision: Literal["float32", "int8"] = "float32"
    """What weights are stored in."""

    def run(self) -> None:
        """Export, check, tell."""
        _export(self, "openvino", self.precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Write a page on which the model fills blanks, compares and searches in a browser's tab; a package for npm, too."""

    model: tyro.conf.Positional[str]
    """A masked language model or an embedder: nano (with nano:embedding), a folder or a Hub id."""
    out: tyro.conf.Positional[Path]
    """A new folder, for any web server."""
    embedder: str | None = None
    """A second model, for similarity and search. Absent: the embedding head of a packaged model."""
    runtime: Path | None = None
    """A folder with the archives of npm's packages that the page needs. Absent: npm fetches them."""

    def run(self) -> None:
        """Write, check, tell."""
        from modernbert.export.browser import export_browser

        made = export_browser(self.model, self.out, embedder=self.embedder, runtime=self.runtime)
        models = ", ".join(
            f"{each.name} ({each.head}, worst difference {each.worst_difference:.1e})" for each in made.parts
        )
        print(
            f"{self.out}: {models}; {made.bytes / 1e6:.1f} MB, of which a browser loads {made.without_gpu / 1e6:.1f}, with WebGPU "
            f"{made.with_gpu / 1e6:.1f}. See it: python -m http.server -d {self.out}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
    """Write a model as transformers 4.48 to 5, text-embeddings-inference, infinity and llama.cpp's converter read it."""

    model: tyro.conf.Positional[str]
    """A packaged model such as nano or nano:embedding, a folder (of a LoRA adapter, too) or a Hub id."""
    out: tyro.conf.Positional[Path]
    """A new folder."""

    def run(self) -> None:
        """Write, tell."""
        from modernbert.export.legacy import export_legacy

        export_legacy(self.model, self.out)
        print(f"{self.out}: {self.model}, in words that old and new programs read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub(_Judged):
    """Write a model as the Hub's pages and clients want it: weights, graphs for transformers.js and Optimum, a card."""

    graphs: tuple[Literal["float32", "float16", "bfloat16", "int8"], ...] = ("float32", "float16", "int8")
    """What weights of the graphs are stored in; one that rounding costs too much is left out, and told."""
    push_to: str | None = None
    """Upload the folder, as owner/name."""
    private: bool = False
    """Make the repository private when it is new."""

    def run(self) -> None:
        """Write, tell, upload."""
        from modernbert.export.hub import export_hub
        from modernbert.model.publish import check_repo, publish_folder

        if self.push_to is not None:
            check_repo(self.push_to)
        made = export_hub(
            self.model,
            self.out,
            precisions=self.graphs,
            head=self.head,
            texts=_read(self.texts),
            most_lost=self.most_lost,
        )
        for each in made.graphs:
            print(f"{self.out / each.manifest.file}: {_told(each)}")
        for refusal in made.refused:
            say(f"left out: {refusal}")
        print(f"{self.out}: ready for the Hub")
        if self.push_to is not None:
            from huggingface_hub import HfApi

            publish_folder(self.out, self.push_to, HfApi(), private=self.private)
            print(f"https://huggingface.co/{self.push_to}")


def _export(asked: _Graph, backend: "Backend", precision: "Precision") -> None:
    from modernbert.export.write import export

    judged, scaled = _texts(asked, precision)
    report = export(
        asked.model,
        asked.out,
        backend=backend,
        precision=precision,
        head=asked.head,
        texts=judged,
        task=asked.task,
        most_lost=asked.most_lost,
        calibrate_on=scaled if asked.calibrate else None,
    )
    if asked.json:
        print(json.dumps(asdict(report)))
        return
    print(f"{asked.out}: {_told(report)}")


def _texts(asked: _Graph, precision: "Precision") -> tuple[list[str], list[str]]:
    """To judge an export by, and to find scales on: never the same ones."""
    needs_texts = asked.calibrate or (precision != "float32" and asked.task is None)
    texts = _read(asked.texts) if asked.texts or needs_texts else []
    return (texts[::2], texts[1::2]) if asked.calibrate else (texts, [])


def _read(paths: tuple[Path, ...]) -> list[str]:
    if paths:
        from modernbert.cli.texts import read_texts

        return list(read_texts(paths))
    from modernbert.demo.corpus import docstrings, standard_library

    return docstrings(standard_library()[::25])


def _told(report: "Report") -> str:
    said = report.manifest
    found = (
        f"{said.head} of {said.source} in {said.precision} for {said.backend}, {report.bytes / 1e6:.1f} MB; "
        f"worst difference {said.worst_difference:.1e}"
    )
    if (lost := report.quality) is None:
        return found
    return f"{found}; {lost.measure}: {lost.source:.2f} to {lost.export:.2f} on {lost.num_cases:,} ({-lost.drop:+.2f} points)"
