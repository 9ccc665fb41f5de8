"""The page of the model for Chinese and Japanese, from what its run and its judges have written down.

    python models/nano/zh_ja_card.py runs/zh-ja/judged --run runs/zh-ja/run --out runs/zh-ja

Run from the root of the repository, where the recipe's paths lead to the shards.
"""

import argparse
import json
from pathlib import Path

from card_parts import after_fine_tuning, blanks, curve, hidden_tokens, stages, text_read

from modernbert.core.config import read
from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.model.counts import num_parameters
from modernbert.model.hf_config import from_file
from modernbert.train.config import Recipe
from modernbert.train.journal import read_metrics


def main() -> None:
    """Write OUT/README.md."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("judged", type=Path)
    words.add_argument("--run", type=Path, required=True)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    judged = {path.stem: json.loads(path.read_text()) for path in given.judged.glob("*.json")}
    recipe, steps = read(Recipe, given.run / "resolved.json"), read_metrics(given.run, "step")
    config, _ = from_file(given.run / "model" / "config.json")
    env = json.loads((given.run / "env.json").read_text())
    told = {
        "Text": text_read(recipe),
        "Training": stages({"zh-ja": recipe}, {"zh-ja": steps}, env),
        "As it went": curve(read_metrics(given.run, "evaluation"), list(recipe.data.held_out)),
        "Hidden tokens found in held-out text": hidden_tokens(judged["held_out"]),
        "After fine-tuning": after_fine_tuning(judged["downstream"], "zh-ja"),
        "Blanks": blanks(judged["blanks"]),
    }
    with write_atomically(given.out / "README.md", "w") as file:
        file.write(
            f"# A small model for Chinese and Japanese\n\nA ModernBERT of {num_parameters(config) / 1e6:.1f}M parameters, "
            f"{config.num_hidden_layers} layers of {config.hidden_size}, {config.vocab_size:,} tokens of its own, texts of up to "
            f"{config.max_position_embeddings:,}. It read {steps[-1]['tokens'] / 1e6:.1f}M tokens on {env['threads']} cores. `python models/nano/zh_ja.py CORPUS --task-data TASKS` makes it again.\n"
        )
        for title, text in told.items():
            file.write(f"\n## {title}\n\n{text}\n")


if __name__ == "__main__":
    as_script(main)
