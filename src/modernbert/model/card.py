"""A model card that states facts read from files; nothing in it is typed by hand."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from modernbert.core.quantities import Tokens
from modernbert.model.revisions import AUTO, Revision

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def card(
    revision: Revision, series: Sequence[Revision], repo: str, *, is_main: bool, license_id: str | None = None
) -> str:
    """The README.md of one revision, in Markdown with the Hub's front matter.

    Args:
        series: all revisions that are published together, in order.
        is_main: whether this is for the branch that opens without `revision=`.
        license_id: the Hub's word for the licence, such as apache-2.0; absent: the card names none.
    """
    parts = [
        _front(revision, license_id),
        f"# {repo.split('/')[-1]}" if is_main else f"# {repo.split('/')[-1]}, {revision.name}",
        _what(revision, is_main=is_main),
        _shape(revision),
        _use(revision, repo, is_main=is_main),
        _table(series),
    ]
    if revision.recipe is not None:
        parts.append(f"## Recipe\n\nEverything that decided the run:\n\n```yaml\n{revision.recipe.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def parted(text: str) -> tuple[dict[str, Any], str]:
    """A card's front matter, and what is behind it; of a card without one, nothing and all."""
    found = _FRONT.match(text)
    return (yaml.safe_load(found[1]) or {}, text[found.end() :]) if found else ({}, text)


def _front(revision: Revision, license_id: str | None) -> str:
    lines = ["---", "library_name: transformers", f"pipeline_tag: {AUTO[revision.architecture][1]}"]
    lines += [f"license: {license_id}"] if license_id else []
    return "\n".join([*lines, "tags:", "- modernbert", "---"])


def _what(revision: Revision, *, is_main: bool) -> str:
    told = [f"`main` is {revision.name}."] if is_main else []
    if (training := revision.training) is not None:
        where = f", in stage {training.stage}" if training.stage else ""
        read = f" and {Tokens(training.tokens)}" if training.tokens is not None else ""
        began = " (the initial weights)" if training.step == 0 else ""
        told.append(f"Saved after {training.step:,} steps{read}{where}{began}.")
        told += [f"{name}: {value:.4g}." for name, value in training.metrics.items()]
    return f"A ModernBERT model, `{revision.architecture}`. " + " ".join(told)


def _shape(revision: Revision) -> str:
    config = revision.config
    num_global = config.layer_kinds.count("full_attention")
    facts = {
        "parameters": f"{revision.num_parameters:,}",
        "layers": f"{config.num_hidden_layers} ({num_global} global, {config.num_hidden_layers - num_global} windowed)",
        "width": f"{config.hidden_size}, gate {config.intermediate_size}",
        "heads": f"{config.num_attention_heads} of {config.head_dim}",
        "window": f"{config.window_reach} tokens to each side",
        "longest text": f"{config.max_position_embeddings:,} tokens",
        "vocabulary": f"{config.vocab_size:,}",
        "rotary base": f"{config.global_rope_theta:,.0f} global, {config.local_rope_theta:,.0f} windowed",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())])


def _use(revision: Revision, repo: str, *, is_main: bool) -> str:
    auto = AUTO[revision.architecture][0]
    which = f'"{repo}"' if is_main else f'"{repo}", revision="{revision.name}"'
    lines = [f"from transformers import {auto}, AutoTokenizer", "", f"model = {auto}.from_pretrained({which})"]
    lines += [f"tokenizer = AutoTokenizer.from_pretrained({which})"] if revision.has_tokenizer else []
    if not revision.has_tokenizer:
        lines[0] = f"from transformers import {auto}"
    return "\n".join(["## Use", "", "```python", *lines, "```"])


def _table(series: Sequence[Revision]) -> str:
    names = sorted({name for one in series if one.training for name in one.training.metrics})
    rows = [["revision", "tokens", "stage", *names]]
    for one in series:
        training = one.training
        tokens = str(Tokens(training.tokens)) if training and training.tokens is not None else ""
        metrics = [f"{training.metrics[name]:.4g}" if training and name in training.metrics else "" for name in names]
        rows.append([f"`{one.name}`", tokens, (training.stage or "") if training else "", *metrics])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(["## Revisions", "", *(f"| {' | '.join(row)} |" for row in rows)])
