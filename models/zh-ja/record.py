"""Write down in README.md what the run of zh-ja did: stages, speed, and hidden tokens found in held-out text.

    python models/zh-ja/record.py runs/zh-ja

The table between the marks is replaced; the rest of the page is left alone.
"""

import argparse
import json
import re
from pathlib import Path

from modernbert.core.config import read
from modernbert.core.files import write_atomically
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.train.config import Recipe
from modernbert.train.journal import read_metrics

PAGE = Path(__file__).with_name("README.md")

BLANKS = (
    "北京是中华人民共和国的首[MASK]。",
    "臺灣位於太平[MASK]西岸。",
    "他於1990年出[MASK]於上海。",
    "吾輩は[MASK]である。",
    "私は昨日東京へ行っ[MASK]。",
    "彼女は静かに笑っ[MASK]いた。",
)
"""Written before the model was trained."""


def main() -> None:
    """Read the runs, fill the blanks, replace the tables."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("runs", type=Path)
    words.add_argument("--page", type=Path, default=PAGE)
    given = words.parse_args()
    told = "\n\n".join([stages(given.runs), blanks(given.runs / "zh-ja" / "model")])
    page = given.page.read_text(encoding="utf-8")
    page = re.sub(r"(<!-- record -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{told}\n\n{m[2]}", page, flags=re.DOTALL)
    with write_atomically(given.page, "w") as file:
        file.write(page)


def stages(runs: Path) -> str:
    """One row a stage of each run."""
    rows = []
    for run in ("seed", "zh-ja"):
        recipe = read(Recipe, runs / run / "resolved.json")
        steps, scores = read_metrics(runs / run, "step"), read_metrics(runs / run, "evaluation")
        env = json.loads((runs / run / "env.json").read_text())
        for name in recipe.stages:
            own = [step for step in steps if step["stage"] == name]
            tokens = sum(step["batch_tokens"] for step in own)
            seconds = sum(step["batch_tokens"] / step["tokens_per_second"] for step in own)
            last = [score for score in scores if score["stage"] == name][-1]
            found = " | ".join(f"{last[source]['accuracy']:.1%}, {last[source]['loss']:.2f}" for source in ("zh", "ja"))
            rows.append(
                f"| {run}, {name} | {tokens / 1e6:.1f}M | {tokens / seconds:,.0f} | {seconds / 60:.0f} | {found} |"
            )
    head = "| stage | tokens | a second | minutes | zh: hidden tokens found, loss | ja |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows, "", f"{env['threads']} threads, torch {env['packages']['torch']}."])


def blanks(model: Path) -> str:
    """What the model puts where a person would know what to put."""
    filled = MaskFiller.from_pretrained(model).fill(BLANKS, top_k=4)
    lines = [f"| {text} | {' '.join(g.token for g in masks[0])} |" for text, masks in zip(BLANKS, filled, strict=True)]
    return "\n".join(["| blank | likeliest |", "|---|---|", *lines])


if __name__ == "__main__":
    main()
