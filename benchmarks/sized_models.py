"""A model by the word that a benchmark takes: a size, a packaged model or a folder."""

from pathlib import Path

from modernbert.core.packaged import DEFAULT
from modernbert.data.vocabulary import Vocabulary
from modernbert.model.config import SIZES
from modernbert.model.hub import folder_of
from modernbert.model.store import fresh, save
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.start import with_vocabulary


def model_folder(source: str, home: Path, *, head: str | None = None) -> Path:
    """Its folder; of a size, fresh weights with the packaged model's tokenizer, written below `home`.

    Args:
        head: of a packaged model, the head that is taken when it has it.
    """
    if source not in SIZES:
        return folder_of(source, head=head)
    tokenizer = Tokenizer.load(DEFAULT)
    folder = home / source
    save(fresh(with_vocabulary(SIZES[source], Vocabulary.of(tokenizer))), folder)
    tokenizer.save(folder)
    return folder
