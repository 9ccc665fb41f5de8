"""The card of a trained retrieval model: data, settings, scores, environment; every number is read from the run."""

from collections.abc import Mapping
from typing import Any

from modernbert.core.config import to_plain
from modernbert.retrieval.training.config import TrainRetrieval

_PIPELINE = {"dense": "sentence-similarity", "late": "sentence-similarity", "rerank": "text-ranking"}


def card(settings: TrainRetrieval, facts: Mapping[str, Any]) -> str:
    """Markdown with the Hub's front matter."""
    import yaml

    told = yaml.safe_dump(to_plain(settings), sort_keys=False, allow_unicode=True).rstrip()
    lines = [
        "---", "library_name: sentence-transformers", f"pipeline_tag: {_PIPELINE[settings.kind]}", "tags:", "- modernbert", "---", "",
        f"# {settings.model} trained on {settings.data}", "",
        f"Kind: {settings.kind}, loss: {settings.trains_by}, {facts['num_rows']:,} rows.",
        *_scores(settings, facts),
        "", "## Use", "",
        f"The folder is a stock one of sentence-transformers; `modernbert evaluate retrieval --rankers {settings.kind}=FOLDER` "
        "measures it.",
        "", "## How it was made", "",
        f"{facts['seconds']:,.0f} s on {facts['machine']}; "
        + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()) + ".",
        "", "```yaml", told, "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _scores(settings: TrainRetrieval, facts: Mapping[str, Any]) -> list[str]:
    if not facts["after"]:
        return ["", "No held-out collection was given: this is the last checkpoint, and nothing is known of how well it finds."]  # fmt: skip
    rows = [f"| {name} | {facts['before'][name]:.4f} | {value:.4f} |" for name, value in facts["after"].items()]
    told = f"`{settings.held_out}`, {settings.held_out_split}; the checkpoint with the best nDCG@10 on it."
    return ["", "## Scores", "", told, "", "| | before | after |", "|---|---|---|", *rows]
