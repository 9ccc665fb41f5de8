"""ModernBERT's whole life in one package: tokenizer, packed pre-training, fine-tuning, retrieval, serving.

Nothing heavy is imported before it is used: `import modernbert` needs neither torch nor a hundred milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modernbert.model.config import SIZES, ModelConfig
    from modernbert.model.encoder import Encoder, encode
    from modernbert.model.heads import MaskedLM, QuestionAnswerer, SequenceClassifier, TokenClassifier
    from modernbert.model.hf import accelerate, restore
    from modernbert.model.quantize import dequantize, quantize
    from modernbert.model.store import fresh, load, save
    from modernbert.ops.packed import Packed
    from modernbert.retrieval.embedder import Embedder
    from modernbert.retrieval.late import LateInteraction
    from modernbert.retrieval.reranker import Reranker
    from modernbert.retrieval.sparse import SparseEncoder
    from modernbert.tasks.answer import Answerer
    from modernbert.tasks.choose import Chooser
    from modernbert.tasks.classify import TextClassifier
    from modernbert.tasks.fill_mask import MaskFiller
    from modernbert.tasks.tag import Tagger
    from modernbert.tasks.zero_shot import ZeroShot
    from modernbert.text.tokenizer import Tokenizer
    from modernbert.text.train import train_tokenizer

__version__ = "0.1.0"

_HOME = {
    "SIZES": "model.config",
    "ModelConfig": "model.config",
    "Encoder": "model.encoder",
    "encode": "model.encoder",
    "MaskedLM": "model.heads",
    "QuestionAnswerer": "model.heads",
    "SequenceClassifier": "model.heads",
    "TokenClassifier": "model.heads",
    "accelerate": "model.hf",
    "restore": "model.hf",
    "dequantize": "model.quantize",
    "quantize": "model.quantize",
    "fresh": "model.store",
    "load": "model.store",
    "save": "model.store",
    "Packed": "ops.packed",
    "Embedder": "retrieval.embedder",
    "LateInteraction": "retrieval.late",
    "Reranker": "retrieval.reranker",
    "SparseEncoder": "retrieval.sparse",
    "Answerer": "tasks.answer",
    "Chooser": "tasks.choose",
    "TextClassifier": "tasks.classify",
    "MaskFiller": "tasks.fill_mask",
    "Tagger": "tasks.tag",
    "ZeroShot": "tasks.zero_shot",
    "Tokenizer": "text.tokenizer",
    "train_tokenizer": "text.train",
}

__all__ = [  # noqa: RUF022 (in the order a reader meets them)
    "load", "save", "fresh", "encode", "Packed", "ModelConfig", "SIZES",
    "Encoder", "MaskedLM", "SequenceClassifier", "TokenClassifier", "QuestionAnswerer",
    "Tokenizer", "train_tokenizer", "MaskFiller",
    "Embedder", "LateInteraction", "Reranker", "SparseEncoder",
    "TextClassifier", "Tagger", "Answerer", "Chooser", "ZeroShot",
    "accelerate", "restore", "quantize", "dequantize",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'modernbert' has no attribute {name!r}")
    return getattr(import_module(f"modernbert.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
