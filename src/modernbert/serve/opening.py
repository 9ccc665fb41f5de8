"""What a folder can do, and the predictors that do it; those of one kind of weights share them."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from modernbert.core import packaged
from modernbert.core.errors import CheckpointError, MissingExtraError, UnsupportedError
from modernbert.infer.engine import Engine
from modernbert.infer.exported import is_exported, read_manifest
from modernbert.infer.light import Head, Light
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of
from modernbert.model.store import Dtype
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.folder import Described, describe
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.late_folder import is_late
from modernbert.retrieval.reranker import Reranker
from modernbert.retrieval.sparse import SparseEncoder
from modernbert.serve.errors import ApiError
from modernbert.tasks.answer import Answerer
from modernbert.tasks.choose import Chooser
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.explain import explain
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.tasks.prediction import Prediction
from modernbert.tasks.tag import Tagger
from modernbert.tasks.zero_shot import ZeroShot

Ability = Literal["embed", "late", "rerank", "sparse", "classify", "tag", "answer", "fill-mask", "choose", "zero-shot"]

Predictor = (
    Embedder | LateInteraction | Reranker | SparseEncoder | TextClassifier | Tagger | Answerer | MaskFiller | Chooser
    | ZeroShot
)  # fmt: skip

Predictors = dict[Ability, Predictor]

_GIVES: Mapping[Head, tuple[Ability, type[Predictor]]] = {
    "fill-mask": ("fill-mask", MaskFiller),
    "embedding": ("embed", Embedder),
    "text-classification": ("classify", TextClassifier),
    "token-classification": ("tag", Tagger),
    "question-answering": ("answer", Answerer),
    "multiple-choice": ("choose", Chooser),
}
"""What a head is for, where it is for one thing."""

_HEADS: Mapping[str | None, Head] = {
    "ModernBertForTokenClassification": "token-classification",
    "ModernBertForQuestionAnswering": "question-answering",
    "ModernBertForMultipleChoice": "multiple-choice",
}
"""Of architectures that do nothing besides."""


def open_predictors(source: str, *, dtype: Dtype = "auto", device: str = "cpu") -> Predictors:
    """Everything that this source can do.

    Args:
        source: a folder, a Hub id, or a packaged model's name; its bare name stands for all its heads, too.

    Raises:
        CheckpointError: it is no model, or of a kind that no route serves.
    """
    found = _of_folder(source, dtype, device)
    for head in packaged.names():
        if head.startswith(f"{source}:"):
            found |= _of_folder(head, dtype, device)
    return found


def engines_of(predictor: Predictor) -> list[Engine]:
    """Those that it computes with."""
    return [each for each in vars(predictor).values() if isinstance(each, Engine)]


def is_graph(predictor: Predictor) -> bool:
    """Whether it was exported."""
    return any(isinstance(engine.model, Light) for engine in engines_of(predictor))


def expect_weights(predictor: Predictor, what: str) -> None:
    """Refuse what an exported graph cannot do.

    Raises:
        ApiError: 422, it is one.
    """
    if is_graph(predictor):
        raise ApiError(
            422,
            f"model: found an exported graph, expected a model with its weights for {what}: ask one that was not exported",
            param="model",
        )


def warm_up(predictor: Predictor) -> None:
    """Run it once on words without meaning."""
    text = "warm up " * 40
    match predictor:
        case Embedder() | SparseEncoder():
            predictor.encode([text])
        case LateInteraction():
            predictor.encode_query([text])
            predictor.encode_document([text])
        case Reranker() | Answerer():
            predictor.predict([("warm", text)])
        case MaskFiller():
            predictor.fill([f"warm {predictor.tokenizer.token(predictor.tokenizer.mask_id)}"])
        case Chooser():
            predictor.predict([("warm", ["up", "down"])])
        case ZeroShot():
            predictor.predict([text], ["warm", "cold"])
        case TextClassifier():
            predictor.predict([text])
            if not is_graph(predictor):
                with suppress(MissingExtraError):
                    explain(predictor, text, steps=1)  # captum takes seconds to import
        case Tagger():
            predictor.predict([text])


def _of_folder(source: str, dtype: Dtype, device: str) -> Predictors:
    if is_exported(source):
        return _of_export(Path(source), dtype, device)
    folder = folder_of(source)
    if is_late(folder):
        return {"late": LateInteraction.from_pretrained(folder, dtype=dtype, device=device)}
    said = describe(folder)
    if any(step.kind == "SpladePooling" for step in said.steps):
        return {"sparse": SparseEncoder.from_pretrained(folder, dtype=dtype, device=device)}
    _, architecture = from_file(said.model_folder / "config.json")
    if said.steps or architecture == "ModernBertModel":
        if said.settings.get("model_type") == "CrossEncoder":
            return {"rerank": Reranker.from_pretrained(folder, dtype=dtype, device=device)}
        return {"embed": Embedder.from_pretrained(folder, dtype=dtype, device=device)}
    return _of_architecture(said, architecture, dtype, device)


def _of_export(folder: Path, dtype: Dtype, device: str) -> Predictors:
    """A graph, which gives one thing."""
    head = read_manifest(folder).head
    if head not in _GIVES:
        raise UnsupportedError(
            f"{folder}: found an export with the head {head!r}, which no route serves: serve the model that it was made of"
        )
    if head == "text-classification" and _is_reranker(describe(folder)):
        return {"rerank": Reranker.from_pretrained(folder, dtype=dtype, device=device)}
    return _of_head(head, folder, dtype, device)


def _of_head(head: Head, folder: Path, dtype: Dtype, device: str) -> Predictors:
    ability, kind = _GIVES[head]
    return {ability: kind.from_pretrained(folder, dtype=dtype, device=device)}


def _is_reranker(said: Described) -> bool:
    """Whether a sequence classifier gives a score of two texts."""
    config, _ = from_file(said.folder / "config.json")
    is_score = len(config.labels) == 1 and Prediction.load(said.folder).task != "regression"
    return is_score or said.settings.get("model_type") == "CrossEncoder"


def _of_architecture(said: Described, architecture: str | None, dtype: Dtype, device: str) -> Predictors:
    """A folder of plain transformers."""
    folder = said.folder
    match architecture:
        case "ModernBertForMaskedLM":
            filler = MaskFiller.from_pretrained(folder, dtype=dtype, device=device)
            encoder, tokenizer = filler.model.model, filler.tokenizer
            embedder = Embedder(encoder, tokenizer, pooling=encoder.config.classifier_pooling)
            return {"fill-mask": filler, "embed": embedder, "zero-shot": ZeroShot(filler.model, tokenizer)}
        case "ModernBertForSequenceClassification":
            if _is_reranker(said):
                return {"rerank": Reranker.from_pretrained(folder, dtype=dtype, device=device)}
            classifier = TextClassifier.from_pretrained(folder, dtype=dtype, device=device)
            found: Predictors = {"classify": classifier}
            if any(label.lower().startswith("entail") for label in classifier.model.config.labels):
                found["zero-shot"] = ZeroShot(classifier.model, classifier.tokenizer)
            return found
        case _ if architecture in _HEADS:
            return _of_head(_HEADS[architecture], folder, dtype, device)
    raise CheckpointError(
        f"{folder}: found {architecture or 'no architecture'}, expected a ModernBERT encoder, one with a task's head, or a "
        "sentence-transformers folder of one"
    )
