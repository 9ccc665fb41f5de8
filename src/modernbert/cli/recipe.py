"""`modernbert recipe`: see the recipes that come with the package, take one away, and check one before it costs anything."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from modernbert.train.config import Recipe
    from modernbert.train.plan import Plan, StagePlan
    from modernbert.train.recipes import Shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """Show the recipes that come with the package, and the overlays to lay over them."""

    json: bool = False
    """Print one JSON array."""

    def run(self) -> None:
        """Print the table."""
        from modernbert.train.plan import plan
        from modernbert.train.recipes import read_recipe, shipped

        overlays = [recipe for recipe in shipped() if recipe.is_overlay]
        recipes = [(recipe, plan(read_recipe([recipe.path]))) for recipe in shipped() if not recipe.is_overlay]
        recipes.sort(key=lambda pair: pair[1].num_parameters)
        if self.json:
            print(json.dumps([_facts(*pair) for pair in recipes] + [_facts(overlay) for overlay in overlays]))
            return
        rows = [["recipe", "parameters", "tokens", "H100-hours", "stages"]]
        for recipe, planned in recipes:
            figures = [_short(planned.num_parameters), _short(planned.tokens), _hours(planned.h100_hours)]
            rows.append([recipe.name, *figures, " > ".join(stage.name for stage in planned.stages)])
        lines = _columns(rows, left=(0, 4))
        lines += ["", *_columns([[recipe.name, recipe.purpose] for recipe, _ in recipes], left=(0, 1))]
        lines += ["", "overlays, laid over a recipe as in  modernbert pretrain base z-loss"]
        lines += _columns([[overlay.name, overlay.purpose] for overlay in overlays], left=(0, 1))
        print("\n".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Print a recipe's YAML."""

    name: tyro.conf.Positional[str]
    """As `modernbert recipe list` shows it, or a file."""

    def run(self) -> None:
        """Print the file."""
        from modernbert.train.recipes import find

        print(find(self.name).read_text(encoding="utf-8"), end="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Take a recipe away, to change it. A file that is there stays as it is."""

    name: tyro.conf.Positional[str]
    """As `modernbert recipe list` shows it."""
    file: tyro.conf.Positional[Path | None] = None
    """Where to; absent: NAME.yaml here."""

    def run(self) -> None:
        """Write the file and say its name."""
        from modernbert.core.errors import UserError
        from modernbert.core.files import write_atomically
        from modernbert.train.recipes import find

        source = find(self.name)
        target = self.file or Path(source.name)
        if target.suffix not in (".yaml", ".yml"):
            raise UserError(f"{target}: found {target.suffix or 'no ending'!r}, expected a name that ends in .yaml")
        if target.exists():
            raise UserError(f"{target} is there already: choose another name, or move it away")
        with write_atomically(target, "w") as file:
            file.write(source.read_text(encoding="utf-8"))
        print(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Read recipes as `pretrain` would, and print what they amount to: steps, batches, rates, cost, warnings.

    Where the shards are there already, also the vocabulary and how often each source would be read.
    """

    recipes: tyro.conf.Positional[tuple[str, ...]]
    """Names or files, laid over each other from left to right, then settings such as optim.lr=3e-4."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Read, plan, print; nothing is trained."""
        from modernbert.train.plan import has_data, plan
        from modernbert.train.recipes import read_recipe

        recipe = read_recipe(self.recipes)
        vocab_size, reads = _look_into(recipe) if has_data(recipe) else (None, [])
        planned = plan(recipe, vocab_size=vocab_size)
        if self.json:
            totals = {"tokens": planned.tokens, "steps": planned.steps, "h100_hours": planned.h100_hours}
            print(json.dumps(asdict(planned) | totals | {"reads": reads}))
            return
        for line in [*describe(planned), *reads]:
            print(line)


def _look_into(recipe: "Recipe") -> tuple[int, list[str]]:
    """The size of the shards' vocabulary, and what each stage would read; refused as `pretrain` would refuse it."""
    from modernbert.train.corpora import Corpora

    corpora = Corpora.open(recipe)
    return corpora.vocabulary.size, corpora.lines()


def describe(planned: "Plan") -> list[str]:
    """The plan as lines for a person."""
    rows = [["stage", "tokens", "steps", "batch", "document", "row", "lr", "decay", "masked", "theta", "H100-hours"]]
    rows += [_stage_row(stage) for stage in planned.stages]
    rows.append(["all", _short(planned.tokens), f"{planned.steps:,}", *[""] * 7, _hours(planned.h100_hours)])
    lines = [
        f"{_short(planned.num_parameters)} parameters; {planned.state_bytes / 1e9:,.2f} GB of weights, gradients and optimizer",
        *_columns(rows, left=(0,)),
    ]
    for source in dict.fromkeys(stage.cost.source for stage in planned.stages):
        named = [stage for stage in planned.stages if stage.cost.source == source]
        speeds = ", ".join(f"{stage.name} {stage.cost.tokens_per_second:,.0f}" for stage in named)
        lines.append(f"tokens/s of one H100, {source}: {speeds}")
    return [*lines, *(f"warning: {warning}" for warning in planned.warnings)]


def _facts(recipe: "Shipped", planned: "Plan | None" = None) -> dict[str, object]:
    facts: dict[str, object] = {"name": recipe.name, "overlay": recipe.is_overlay, "purpose": recipe.purpose}
    if planned is not None:
        facts |= {"parameters": planned.num_parameters, "tokens": planned.tokens, "h100_hours": planned.h100_hours}
        facts["stages"] = [stage.name for stage in planned.stages]
    return facts


def _stage_row(stage: "StagePlan") -> list[str]:
    return [
        stage.name,
        _short(stage.tokens),
        f"{stage.steps:,}",
        _range(f"{stage.first_batch:,}", f"{stage.last_batch:,}"),
        f"{stage.length:,}",
        f"{stage.room:,}",
        _range(f"{stage.lr:.3g}", f"{stage.last_lr:.3g}"),
        f"{stage.weight_decay:.3g}",
        _range(f"{stage.mask_rate:.0%}", f"{stage.last_mask_rate:.0%}"),
        f"{stage.global_rope_theta:,.0f}/{stage.local_rope_theta:,.0f}",
        _hours(stage.cost.h100_hours),
    ]


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} > {last}"


def _short(number: float) -> str:
    """149_655_232 -> 149.7M"""
    for letter, size in [("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)]:
        if number >= size:
            return f"{number / size:.4g}{letter}"
    return f"{number:g}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.1 else "<0.1"


def _columns(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> list[str]:
    """Rows with their columns aligned, those in `left` to the left and the others, which are figures, to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
