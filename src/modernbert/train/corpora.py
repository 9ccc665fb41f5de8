"""The text of a run: every source and held-out set of a recipe, opened and checked before anything is computed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modernbert.core.errors import ConfigError
from modernbert.core.seeds import Seeds
from modernbert.data.config import Source
from modernbert.data.loader import Loader, MaskedBatch, held_out_rows
from modernbert.data.mixture import Mixture
from modernbert.data.shards import Shards, check_one_tokenizer
from modernbert.data.vocabulary import Vocabulary
from modernbert.data.words import words_of
from modernbert.text.tokenizer import Tokenizer
from modernbert.train.config import Recipe, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpora:
    """Open shards, all of one tokenizer."""

    recipe: Recipe
    shards: Mapping[Path, Shards]
    """By folder: two stages may read one source."""
    epochs: Mapping[str, Mapping[str, float]]
    """By stage and source: how often it is read."""

    @classmethod
    def open(cls, recipe: Recipe) -> Self:
        """Open them all, and refuse what could not be trained on.

        Raises:
            ConfigError: a stage has no source, two sources were made with different tokenizers, or a stage would read a
                source more often than `data.most_epochs`.
            UserError: a folder is not one of shards, or it is damaged.
        """
        for name, stage in recipe.stages.items():
            if not _sources(recipe, stage):
                raise ConfigError(
                    f"stages.{name}: there is no text to read: give token shards with --data.sources.NAME.path=FOLDER "
                    "(`modernbert data tokenize` writes them)"
                )
        paths = [source.path for stage in recipe.stages.values() for source in _sources(recipe, stage).values()]
        shards = {path: Shards.open(path) for path in dict.fromkeys([*paths, *recipe.data.held_out.values()])}
        check_one_tokenizer(shards.values())
        epochs = {name: _epochs(recipe, stage, shards) for name, stage in recipe.stages.items()}
        _refuse_too_many(epochs, recipe.data.most_epochs)
        return cls(recipe=recipe, shards=shards, epochs=epochs)

    @property
    def vocabulary(self) -> Vocabulary:
        """Of all of them."""
        return next(iter(self.shards.values())).vocabulary

    @property
    def tokenizer(self) -> Tokenizer:
        """The one that made all of them."""
        return next(iter(self.shards.values())).tokenizer()

    @property
    def fingerprints(self) -> dict[str, str]:
        """What each folder holds: a resumed run must find the same."""
        return {str(path): shards.fingerprint for path, shards in self.shards.items()}

    def sources(self, stage: Stage) -> dict[str, tuple[Source, Shards]]:
        """What a stage reads, by name."""
        return {key: (source, self.shards[source.path]) for key, source in _sources(self.recipe, stage).items()}

    def loader(self, name: str, stage: Stage, *, rank: int = 0, world: int = 1, num_workers: int = 0) -> Loader:
        """The rows of a stage, from its first."""
        return Loader(
            self.sources(stage),
            stage.rows,
            stage.masking,
            seeds=Seeds(Seeds(self.recipe.seed).for_("data", name)),
            tokens=stage.tokens,
            rank=rank,
            world=world,
            num_workers=num_workers,
            words=words_of(self.tokenizer) if stage.masking.whole_words else None,
        )

    def held_out(self, stage: Stage) -> Iterator[tuple[str, list[MaskedBatch]]]:
        """The rows to be judged by in this stage, source by source: the same documents and masks at every call."""
        evaluation = self.recipe.evaluation
        for name, path in self.recipe.data.held_out.items():
            rows = held_out_rows(
                self.shards[path],
                stage.rows,
                rate=evaluation.rate,
                seeds=Seeds(Seeds(0).for_("held out", name)),  # not the recipe's: runs of other seeds are compared, too
                tokens=evaluation.tokens,
            )
            yield name, list(rows)

    def lines(self) -> list[str]:
        """For people: what each stage would read, and how often."""
        lines = []
        for name, stage in self.recipe.stages.items():
            for source, epochs in self.epochs[name].items():
                shards = self.shards[_sources(self.recipe, stage)[source].path]
                lines.append(
                    f"{name} reads {source}, {len(shards):,} documents of {shards.num_tokens:,} tokens, {epochs:.2f} times"
                )
        return lines


def _epochs(recipe: Recipe, stage: Stage, shards: Mapping[Path, Shards]) -> dict[str, float]:
    sources = {key: (source, shards[source.path]) for key, source in _sources(recipe, stage).items()}
    return Mixture(sources, stage.rows, seeds=Seeds(recipe.seed)).epochs(stage.tokens)


def _refuse_too_many(epochs: Mapping[str, Mapping[str, float]], limit: float) -> None:
    for name, sources in epochs.items():
        for source, times in sources.items():
            if times > limit:
                raise ConfigError(
                    f"stages.{name}: source {source} would be read {times:.1f} times, more than data.most_epochs "
                    f"({limit:g}): lower its weight, shorten the stage, add text, or raise the limit"
                )


def _sources(recipe: Recipe, stage: Stage) -> dict[str, Source]:
    return recipe.data.sources if stage.sources is None else stage.sources
