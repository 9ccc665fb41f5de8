"""A small checkpoint with a real tokenizer: random weights, made in memory in milliseconds."""

from pathlib import Path

from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, save
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.start import with_vocabulary
from support.texts import small_tokenizer


def small_model(*, seed: int = 0) -> tuple[MaskedLM, Tokenizer]:
    tokenizer = small_tokenizer()
    return fresh(with_vocabulary(SIZES["tiny"], Vocabulary.of(tokenizer)), MaskedLM, seed=seed).eval(), tokenizer


def small_checkpoint(folder: Path) -> Path:
    model, tokenizer = small_model()
    save(model, folder)
    tokenizer.save(folder)
    return folder
