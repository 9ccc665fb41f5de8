"""Write the tables of docs/pretraining.md that are computed: what a run costs, and which rates the recipes have.

python docs/make_tables.py
"""

from pathlib import Path

from tables import fill, rewrite, table

from modernbert.model.config import SIZES
from modernbert.train.cost import Reading, cost
from modernbert.train.plan import Plan, plan
from modernbert.train.recipes import read_recipe

PAGE = Path(__file__).with_name("pretraining.md")
NAMES = ("17m", "32m", "68m", "base", "large")


def filled(page: str) -> str:
    """The page with its tables computed anew."""
    tables = {"cost": _cost(), "budget": _budget(), "rates": _rates()}
    return fill(page, tables)


def _cost() -> str:
    """H100-hours a stage."""
    rows = [["recipe", "parameters", "first stage", "context", "decay", "H100-hours", "on 8 H100", "speed"]]
    for name, planned in _plans().items():
        *first, context, decay = (stage.cost.h100_hours for stage in planned.stages)
        sources = {stage.cost.source.split(",")[0] for stage in planned.stages}
        hours = [f"{found:,.0f}" for found in (sum(first), context, decay, planned.h100_hours)]
        days = f"{planned.h100_hours / 8 / 24:.1f} days"
        rows.append([f"`{name}`", f"{planned.num_parameters / 1e6:.0f}M", *hours, days, " and ".join(sorted(sources))])
    return table(rows)


def _budget() -> str:
    """H100-hours for 10 billion tokens, which is what a first serious run of one's own may have."""
    rows = [["size", "10B tokens of 1,024", "10B tokens of 8,192", "tokens/s of one H100"]]
    for name in (*NAMES, "1b"):
        short, long = (cost(SIZES[name], Reading(tokens=10e9, length=length)) for length in (1024, 8192))
        speeds = f"{short.tokens_per_second / 1e3:,.0f}k and {long.tokens_per_second / 1e3:,.0f}k"
        rows.append([f"`{name}`", f"{short.h100_hours:.1f}", f"{long.h100_hours:.1f}", speeds])
    return table(rows)


def _rates() -> str:
    """Peak rates and warm-ups of the first stage."""
    rows = [["recipe", "learning rate", "weight decay", "warm-up", "batch", "growing over"]]
    for name in NAMES:
        recipe = read_recipe([name])
        first = next(iter(recipe.stages.values()))
        batch = f"{first.batch.start / 1e6:.2f}M to {first.batch.size / 1e6:.2f}M" if first.batch.start else ""
        rates = [f"{recipe.optim.lr:g}", f"{recipe.optim.weight_decay:g}"]
        rows.append([f"`{name}`", *rates, f"{first.schedule.warmup / 1e9:g}B", batch, f"{first.batch.over / 1e9:g}B"])
    return table(rows)


def _plans() -> dict[str, Plan]:
    return {name: plan(read_recipe([name])) for name in NAMES}


if __name__ == "__main__":
    rewrite(PAGE, filled)
