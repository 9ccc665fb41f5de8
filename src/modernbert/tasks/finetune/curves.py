"""A fine-tuning run as a picture: training loss, held-out loss and score over the steps."""

from pathlib import Path

from modernbert.core.errors import require
from modernbert.core.files import write_atomically
from modernbert.train.watch import read_metrics

_PARTS = {
    "eval_loss",
    "eval_runtime",
    "eval_samples_per_second",
    "eval_steps_per_second",
    "eval_model_preparation_time",
}


def draw(out: Path, *, dpi: int = 110) -> Path:
    """Write `curves.png` into the run's folder and return its path.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    lines = read_metrics(out)
    figure = Figure(figsize=(9, 6), layout="constrained")
    loss, score = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    trained = [line for line in lines if "loss" in line]
    held_out = [line for line in lines if "eval_loss" in line]
    loss.plot(
        [line["step"] for line in trained], [line["loss"] for line in trained], color="#1f5f99", label="training loss"
    )
    loss.plot(
        [line["step"] for line in held_out],
        [line["eval_loss"] for line in held_out],
        "o-",
        color="#c0552b",
        label="held out",
    )
    names = sorted({name for line in held_out for name in line if name.startswith("eval_")} - _PARTS)
    for name in names:
        found = [(line["step"], line[name]) for line in held_out if name in line and 0 <= line[name] <= 1]
        if found:
            score.plot(*zip(*found, strict=True), "o-", markersize=3, label=name.removeprefix("eval_"))
    loss.set_ylabel("loss")
    score.set_ylabel("held-out scores")
    score.set_xlabel("optimizer steps")
    for axis in (loss, score):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False)
    with write_atomically(out / "curves.png") as file:
        figure.savefig(file, format="png", dpi=dpi)
    return out / "curves.png"
