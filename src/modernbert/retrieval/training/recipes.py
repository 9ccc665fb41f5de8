"""Retrieval recipes: the shipped ones by name, files by path, laid over each other, then settings."""

from collections.abc import Sequence

from modernbert.core.recipes import read_words
from modernbert.retrieval.training.config import TrainRetrieval


def read_recipe(words: Sequence[str]) -> TrainRetrieval:
    """A run's settings from names, files and `key=value`.

    Raises:
        ConfigError: a recipe that is not there, or a setting that cannot be meant.
    """
    return read_words(TrainRetrieval, "retrieval", words, what="retrieval recipe", such_as="kind=dense")
