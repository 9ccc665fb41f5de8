"""Which module has which verb: only the one that is asked for is imported, so its help and its start stay instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any, Protocol, cast

import tyro


class Verb(Protocol):
    """What a command is: its fields are its flags."""

    def run(self) -> None:
        """Do it, results to stdout."""
        ...


@dataclass(frozen=True, slots=True)
class Group:
    """Verbs of two words that share the first; their help says what they are for."""

    help: str
    verbs: Mapping[str, str]


VERBS: dict[str, str | Group] = {
    "demo": "demo.Demo",
    "tokenizer": Group(
        "Learn a vocabulary, or see how well one fits a corpus.",
        {"train": "tokenizer.Train", "check": "tokenizer.Check"},
    ),
    "data": Group(
        "Turn text into token shards, and look into them.",
        {
            "tokenize": "data_tokenize.Tokenize",
            "keep": "data_keep.Keep",
            "stats": "data_stats.Stats",
            "peek": "data_peek.Peek",
        },
    ),
    "recipe": Group(
        "See, take away and check the settings of a pre-training run.",
        {"list": "recipe.List", "show": "recipe.Show", "copy": "recipe.Copy", "check": "recipe.Check"},
    ),
    "pretrain": "pretrain.Pretrain",
    "models": "models.Models",
    "model": Group(
        "Take a model out of the package, make one of others, see what int8 costs one, or give one to the Hub.",
        {
            "copy": "model_copy.Copy",
            "grow": "model_grow.Grow",
            "average": "model_average.Average",
            "check-int8": "model_check_int8.CheckInt8",
            "publish": "model_publish.Publish",
        },
    ),
    "annotate": "annotate.Annotate",
    "cost": "cost.Cost",
    "fill-mask": "fill_mask.FillMask",
    "embed": "embed.Embed",
    "rerank": "rerank.Rerank",
    "index": "index.Index",
    "search": "search.Search",
    "mcp": "mcp.Mcp",
    "serve": "serve.Serve",
    "classify": "classify.Classify",
    "tag": "tag.Tag",
    "answer": "answer.Answer",
    "choose": "choose.Choose",
    "finetune": "finetune.Finetune",
    "train-retrieval": "train_retrieval.TrainRetrieval",
    "mine-negatives": "train_retrieval.MineNegatives",
    "evaluate": Group(
        "How good a model is: after fine-tuning on a suite of tasks or at several learning rates, or at finding documents.",
        {
            "suite": "evaluate.EvaluateSuite",
            "sweep": "evaluate.Sweep",
            "retrieval": "evaluate_retrieval.EvaluateRetrieval",
        },
    ),
    "export": Group(
        "Give a model to other runtimes, a browser's tab, and programs of before transformers 5; what is written is checked.",
        {
            "onnx": "export.Onnx",
            "openvino": "export.Openvino",
            "browser": "export.Browser",
            "legacy": "export.Legacy",
            "hub": "export.Hub",
        },
    ),
    "bench": "bench.Bench",
    "design": "design.Design",
    "doctor": "doctor.Doctor",
}
"""Each verb, in the order of the help, and where under `modernbert.cli` its class is."""


def parse(words: Sequence[str]) -> Verb:
    """Return the verb that words ask for, its fields set by its flags; exits with help or with what cannot be read."""
    first = VERBS.get(words[0]) if words else None
    if isinstance(first, str):
        return _read(_class_of(first), words, named=1)
    if first is None:
        return _read(_any_of(VERBS), words, named=0, description="The whole life of a ModernBERT encoder.")
    if len(words) > 1 and words[1] in first.verbs:
        return _read(_class_of(first.verbs[words[1]]), words, named=2)
    return _read(_any_of(first.verbs), words, named=1, description=first.help)


def _read(kind: Any, words: Sequence[str], *, named: int, description: str | None = None) -> Verb:
    return tyro.cli(
        kind,
        prog=" ".join(["modernbert", *words[:named]]),
        description=description,
        args=words[named:],
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def _class_of(place: str) -> type[Verb]:
    module, name = place.split(".")
    return getattr(import_module(f"modernbert.cli.{module}"), name)


def _any_of(verbs: Mapping[str, str | Group]) -> Any:
    """Return a choice among verbs, to be told of in help: a group says what it is for, and not its flags."""
    kinds = (
        Annotated[
            _class_of(place) if isinstance(place, str) else make_dataclass(name, [], namespace={"__doc__": place.help}),
            tyro.conf.subcommand(name, prefix_name=False),
        ]
        for name, place in verbs.items()
    )
    return reduce(or_, cast("Any", kinds))
