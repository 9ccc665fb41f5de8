"""sentence-transformers' models, trainers and losses for each kind of retrieval."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modernbert.core.errors import UserError
from modernbert.retrieval.training.config import Kind, TrainRetrieval


@dataclass(frozen=True, slots=True)
class Family:
    """Names in sentence-transformers."""

    model: str
    trainer: str
    arguments: str


FAMILIES: Mapping[Kind, Family] = {
    "dense": Family("SentenceTransformer", "SentenceTransformerTrainer", "SentenceTransformerTrainingArguments"),
    "late": Family("MultiVectorEncoder", "MultiVectorEncoderTrainer", "MultiVectorEncoderTrainingArguments"),
    "rerank": Family("CrossEncoder", "CrossEncoderTrainer", "CrossEncoderTrainingArguments"),
}


def stock_model(settings: TrainRetrieval, folder: Path) -> Any:
    """The model that is trained: its own folder's, or a fresh head (mean pooling, projection, one label) on an encoder.

    Fresh heads are drawn by the run's seed. Weights are float32, in whatever they were stored.

    Raises:
        UserError: it cannot be opened.
    """
    import sentence_transformers
    import torch
    from transformers import set_seed

    set_seed(settings.seed)
    # Stored in bfloat16, it would learn nothing of small steps.
    own: dict[str, Any] = {"model_kwargs": {"dtype": torch.float32}}
    if settings.kind == "rerank":
        own["num_labels"] = 1
    try:
        model = getattr(sentence_transformers, FAMILIES[settings.kind].model)(str(folder), **own)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f"{settings.model!r} cannot be opened as a {FAMILIES[settings.kind].model} ({reason}): check the folder"
        ) from error
    model.float()  # heads, too
    if settings.max_length is not None:
        model.max_seq_length = settings.max_length
    if settings.kind != "rerank":
        given = {"query": settings.query_prompt, "document": settings.document_prompt}
        model.prompts.update({name: prompt for name, prompt in given.items() if prompt})
    if settings.matryoshka_dims:
        width = model.get_embedding_dimension()
        if wrong := [dim for dim in settings.matryoshka_dims if not 1 <= dim <= width]:
            raise UserError(f"matryoshka_dims: found {wrong[0]}, expected 1 to the model's width, {width}")
    return model


def stock_loss(settings: TrainRetrieval, model: Any) -> Any:
    """The loss that the settings mean."""
    if settings.kind == "rerank":
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

        return BinaryCrossEntropyLoss(model)
    if settings.kind == "late":
        from sentence_transformers.multi_vector_encoder import losses as late

        if settings.trains_by == "distil":
            return late.MultiVectorDistillKLDivLoss(
                model, temperature=settings.temperature, mini_batch_size=settings.mini_batch_size
            )
        return late.CachedMultiVectorMultipleNegativesRankingLoss(model, mini_batch_size=settings.mini_batch_size)
    from sentence_transformers.sentence_transformer import losses as dense

    if settings.trains_by == "distil":
        loss: Any = dense.DistillKLDivLoss(model, temperature=settings.temperature)
    else:
        loss = dense.CachedMultipleNegativesRankingLoss(
            model, scale=1 / settings.temperature, mini_batch_size=settings.mini_batch_size
        )
    return dense.MatryoshkaLoss(model, loss, list(settings.matryoshka_dims)) if settings.matryoshka_dims else loss
