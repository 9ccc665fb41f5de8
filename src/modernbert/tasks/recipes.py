"""Fine-tuning recipes: the shipped ones by name, files by path, laid over each other, then settings."""

from collections.abc import Sequence

from modernbert.core.recipes import read_words
from modernbert.tasks.config import Finetune


def read_recipe(words: Sequence[str]) -> Finetune:
    """A run's settings from names, files and `key=value`.

    Raises:
        ConfigError: a recipe that is not there, or a setting that cannot be meant.
    """
    return read_words(Finetune, "finetune", words, what="fine-tuning recipe", such_as="task=seq_cls")
