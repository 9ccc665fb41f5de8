"""`modernbert VERB ...`: words become calls.

Results go to stdout, progress and messages to stderr. Exit code 2 is the user's mistake, 1 is ours.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import tyro

from modernbert.cli.answer import Answer
from modernbert.cli.bench import Bench
from modernbert.cli.choose import Choose
from modernbert.cli.classify import Classify
from modernbert.cli.data_peek import Peek
from modernbert.cli.data_stats import Stats
from modernbert.cli.data_tokenize import Tokenize
from modernbert.cli.demo import Demo
from modernbert.cli.design import Design
from modernbert.cli.doctor import Doctor
from modernbert.cli.embed import Embed
from modernbert.cli.evaluate import EvaluateSuite, Sweep
from modernbert.cli.evaluate_retrieval import EvaluateRetrieval
from modernbert.cli.fill_mask import FillMask
from modernbert.cli.finetune import Finetune, finetune_words
from modernbert.cli.index import Index
from modernbert.cli.mcp import Mcp
from modernbert.cli.model_average import Average
from modernbert.cli.model_check_int8 import CheckInt8
from modernbert.cli.model_copy import Copy as CopyModel
from modernbert.cli.model_grow import Grow
from modernbert.cli.model_publish import Publish
from modernbert.cli.models import Models
from modernbert.cli.pretrain import Pretrain, settings_as_words
from modernbert.cli.recipe import Check as CheckRecipe
from modernbert.cli.recipe import Copy, List, Show
from modernbert.cli.rerank import Rerank
from modernbert.cli.search import Search
from modernbert.cli.serve import Serve, serve_words
from modernbert.cli.tag import Tag
from modernbert.cli.tokenizer import Check as CheckTokenizer
from modernbert.cli.tokenizer import Train
from modernbert.cli.train_retrieval import MineNegatives, TrainRetrieval
from modernbert.core.errors import UserError


class Verb(Protocol):
    """What a command is: its fields are its flags."""

    def run(self) -> None:
        """Do it, results to stdout."""
        ...


def _named(name: str) -> object:
    return tyro.conf.subcommand(name, prefix_name=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """Learn a vocabulary, or see how well one fits a corpus."""

    verb: Annotated[Train, _named("train")] | Annotated[CheckTokenizer, _named("check")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Turn text into token shards, and look into them."""

    verb: Annotated[Tokenize, _named("tokenize")] | Annotated[Stats, _named("stats")] | Annotated[Peek, _named("peek")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """See, take away and check the settings of a pre-training run."""

    verb: (
        Annotated[List, _named("list")]
        | Annotated[Show, _named("show")]
        | Annotated[Copy, _named("copy")]
        | Annotated[CheckRecipe, _named("check")]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Take a model out of the package, make one of others, see what int8 costs one, or give one to the Hub."""

    verb: (
        Annotated[CopyModel, _named("copy")]
        | Annotated[Grow, _named("grow")]
        | Annotated[Average, _named("average")]
        | Annotated[CheckInt8, _named("check-int8")]
        | Annotated[Publish, _named("publish")]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """How good a model is: after fine-tuning on a suite of tasks or at several learning rates, or at finding documents."""

    verb: (
        Annotated[EvaluateSuite, _named("suite")]
        | Annotated[Sweep, _named("sweep")]
        | Annotated[EvaluateRetrieval, _named("retrieval")]
    )


Words = (
    Annotated[Demo, _named("demo")]
    | Annotated[Tokenizer, _named("tokenizer")]
    | Annotated[Data, _named("data")]
    | Annotated[Recipe, _named("recipe")]
    | Annotated[Pretrain, _named("pretrain")]
    | Annotated[Models, _named("models")]
    | Annotated[Model, _named("model")]
    | Annotated[FillMask, _named("fill-mask")]
    | Annotated[Embed, _named("embed")]
    | Annotated[Rerank, _named("rerank")]
    | Annotated[Index, _named("index")]
    | Annotated[Search, _named("search")]
    | Annotated[Mcp, _named("mcp")]
    | Annotated[Serve, _named("serve")]
    | Annotated[Classify, _named("classify")]
    | Annotated[Tag, _named("tag")]
    | Annotated[Answer, _named("answer")]
    | Annotated[Choose, _named("choose")]
    | Annotated[Finetune, _named("finetune")]
    | Annotated[TrainRetrieval, _named("train-retrieval")]
    | Annotated[MineNegatives, _named("mine-negatives")]
    | Annotated[Evaluate, _named("evaluate")]
    | Annotated[Bench, _named("bench")]
    | Annotated[Design, _named("design")]
    | Annotated[Doctor, _named("doctor")]
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        try:
            verb = _parse(sys.argv[1:] if words is None else words)
        except ValueError as mistake:  # what a settings class says of values that cannot be meant
            return _refuse(mistake)
        verb.run()
    except UserError as mistake:
        return _refuse(mistake)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough; nothing is wrong
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parse(words: Sequence[str]) -> Verb:
    if words[:1] == ["pretrain"] or words[:2] == ["recipe", "check"]:
        words = settings_as_words(words)
    if words[:1] == ["finetune"]:
        words = [words[0], *finetune_words(words[1:])]
    if words[:1] == ["serve"]:
        words = [words[0], *serve_words(words[1:], os.environ)]
    chosen = tyro.cli(
        Words,  # type: ignore[arg-type]
        prog="modernbert",
        description="The whole life of a ModernBERT encoder.",
        args=words,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return chosen.verb if isinstance(chosen, Tokenizer | Data | Recipe | Model | Evaluate) else chosen


def _refuse(mistake: ValueError) -> int:
    print(f"error: {mistake}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
