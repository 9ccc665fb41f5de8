"""The card of a fine-tuned model: data, settings, scores, environment; every number is read from the run."""

from collections.abc import Mapping
from typing import Any

from modernbert.core.config import to_plain
from modernbert.tasks.config import Finetune, Task

_PIPELINE: Mapping[Task, str] = {
    "seq_cls": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "token_cls": "token-classification",
    "qa": "question-answering",
    "multiple_choice": "multiple-choice",
}
_VERB: Mapping[Task, str] = {
    "seq_cls": 'modernbert classify --model {model} "a text"',
    "multi_label": 'modernbert classify --model {model} "a text"',
    "regression": 'modernbert classify --model {model} "a text"',
    "token_cls": 'modernbert tag --model {model} "a text"',
    "qa": 'modernbert answer --model {model} "a question?" --context-file text.txt',
    "multiple_choice": 'modernbert choose --model {model} "a beginning" "one end" "another end"',
}


def card(settings: Finetune, facts: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Markdown with the Hub's front matter."""
    pipeline = _PIPELINE[settings.task]
    labels = facts["labels"]
    rows = "test" if facts["has_test"] else "validation"
    scores = {name: (facts["validation"].get(name), facts["test"][name]) for name in facts["test"]}
    fit = {name: value for name, value in facts["validation"].items() if name not in facts["test"]}
    lines = [
        "---", "library_name: transformers", f"pipeline_tag: {pipeline}", "tags:", "- modernbert", "---", "",
        f"# {settings.model} fine-tuned on {settings.dataset}", "",
        f"Task: {settings.task}. "
        + (f"Labels: {', '.join(f'`{label}`' for label in labels[:30])}{' and more' if len(labels) > 30 else ''}. " if settings.task not in ("qa", "multiple_choice", "regression") else "")
        + f"Trained on {facts['num_train']:,} rows ({facts['tokens']:,} tokens) of `{settings.dataset}`, columns "
        + ", ".join(f"{role} = `{column}`" for role, column in columns.items()) + ".",
        "", "## Scores", "",
        f"The checkpoint with the best `{settings.best_by}` on the validation rows"
        + ("; the set has no test rows, so both columns are of the same." if not facts["has_test"] else "."),
        "", *_table(scores, rows, facts.get("baseline") or {}),
    ]  # fmt: skip
    if fit:
        lines += [
            "", f"Probabilities are divided by a temperature of {facts['temperature']:.3f}, fitted on the validation rows: "
            + ", ".join(f"{name} {value:.4f}" for name, value in fit.items()) + ".",
        ]  # fmt: skip
    lines += [
        "", "## Use", "", "```sh", _VERB[settings.task].format(model="FOLDER"), "```", "",
        "The folder is a stock one: transformers' `pipeline` opens it, too.",
        "", "## How it was made", "",
        f"{facts['seconds']:,.0f} s on {facts['machine']}; "
        + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
        + ". Energy was not measured.",
        "", "```yaml", *_yaml(settings), "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _table(scores: Mapping[str, tuple], rows: str, baseline: Mapping[str, float]) -> list[str]:
    heads = ["", "validation", rows, *([f"TF-IDF and a linear model, {rows}"] if baseline else [])]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, (before, after) in scores.items():
        if before is not None:
            cells = [name, f"{before:.4f}", f"{after:.4f}", *([f"{baseline[name]:.4f}"] if baseline else [])]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _yaml(settings: Finetune) -> list[str]:
    import yaml

    return yaml.safe_dump(to_plain(settings), sort_keys=False, allow_unicode=True).rstrip().splitlines()
