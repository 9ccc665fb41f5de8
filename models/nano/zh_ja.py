"""A second small model, for Chinese and Japanese, from text to a page that says how good it is; not packaged.

    python models/nano/zh_ja.py CORPUS --task-data TASKS

CORPUS holds zh-*.jsonl.xz and ja-*.jsonl.xz, TASKS the folders chnsenticorp and jsts. It takes an hour on two cores. Run from the
root of the repository; everything lies in runs/zh-ja, which the recipe names, and what is there already is not made again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from judged_tasks import ZH_JA
from make import HERE, UNUSED, VOCABULARY, Step, carry_out

from modernbert.core.script import as_script

OUT = Path("runs/zh-ja")
SOURCES = ("zh", "ja")
HELD_OUT = 0.03
"""Of the documents."""


def main() -> None:
    """One step after the other."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("corpus", type=Path)
    words.add_argument("--task-data", type=Path, help="absent: the model is made, and not judged")
    given = words.parse_args()
    carry_out(steps(given.corpus, given.task_data))


def steps(corpus: Path, task_data: Path | None) -> Iterator[Step]:
    """All of them, in order."""
    text = {name: str(corpus / f"{name}-0*.jsonl.xz") for name in SOURCES}
    tokenizer, shards, model, judged = OUT / "tokenizer", OUT / "shards", OUT / "run" / "model", OUT / "judged"
    sizes = ("--vocab-size", VOCABULARY, "--num-unused", UNUSED)
    yield Step(made=tokenizer, words=("tokenizer", "train", *text.values(), "--out", tokenizer, *sizes))
    for name in SOURCES:
        made = shards / name
        kept = ("--hold-out", HELD_OUT, "--near-duplicates", 0.8)
        yield Step(made=made, words=("data", "tokenize", text[name], "--tokenizer", tokenizer, "--out", made, *kept))
    yield Step(made=model, words=("pretrain", HERE / "zh_ja.yaml"))
    if task_data:
        scripts: dict[str, tuple[object, ...]] = {
            "held_out": (shards, "--shards", shards, "--models", f"zh-ja={model}"),
            "blanks": ("--model", model, "--kinds", "Chinese", "Japanese"),
            "downstream": (task_data, "--model", model, "--tasks", *ZH_JA),
        }
        for name, words in scripts.items():
            made = judged / f"{name}.json"
            yield Step(made=made, words=(HERE / f"{name}.py", *words, "--out", made))
        yield Step(made=OUT / "README.md", words=(HERE / "zh_ja_card.py", judged, "--run", OUT / "run", "--out", OUT))


if __name__ == "__main__":
    as_script(main)
