"""What the model puts into blanks that a person can judge: facts, grammar, code. All are shown, also what it gets wrong.

    python models/nano/blanks.py --model nano --out results/blanks.json

The list was written before the model was trained, and nothing was taken out of it.
"""

import argparse
import json
from pathlib import Path

import torch

from modernbert.core.files import write_atomically
from modernbert.core.script import as_script
from modernbert.tasks.fill_mask import MaskFiller

BLANKS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "facts": (
        ("The capital of France is [MASK].", ("Paris",)),
        ("The capital of Japan is [MASK].", ("Tokyo",)),
        ("London is the capital of [MASK].", ("England", "Britain")),
        ("World War II ended in [MASK].", ("1945",)),
        ("Water is made of hydrogen and [MASK].", ("oxygen",)),
        ("The Earth orbits the [MASK].", ("Sun", "sun")),
        ("Albert Einstein was a German-born theoretical [MASK].", ("physicist",)),
        ("William Shakespeare was an English poet and [MASK].", ("playwright", "dramatist")),
        ("Barack Obama was the 44th [MASK] of the United States.", ("President", "president")),
        ("The Amazon is the largest [MASK] in South America.", ("river",)),
        ("Mount Everest is the highest [MASK] in the world.", ("mountain", "peak")),
        ("Beethoven was a German [MASK] and pianist.", ("composer",)),
    ),
    "grammar": (
        ("She put on her coat and [MASK] out into the rain.", ("went", "walked", "ran", "stepped", "rushed")),
        ("The results of both experiments [MASK] the same.", ("were", "are", "gave")),
        ("He has never [MASK] to Paris before.", ("been", "gone", "travelled", "traveled")),
        ("If it rains tomorrow, we [MASK] stay at home.", ("will", "shall", "must", "can")),
        ("The children were playing in [MASK] garden.", ("the", "a", "their", "his", "her")),
        ("Neither the king [MASK] the queen was there.", ("nor", "or")),
        ("I am looking forward [MASK] seeing you.", ("to",)),
        ("This book is much better [MASK] the other one.", ("than",)),
        ("The man [MASK] lives next door is a doctor.", ("who", "that")),
        ("They asked him [MASK] he had come.", ("why", "if", "whether", "how", "when", "where")),
        ("He opened the door [MASK] looked inside.", ("and",)),
        ("There [MASK] many people in the street.", ("were", "are")),
    ),
    "code": (
        ("import numpy as [MASK]", ("np",)),
        ("for i in [MASK](10):\n    print(i)", ("range",)),
        ("def __init__(self, name):\n    self.[MASK] = name", ("name",)),
        ("if __name__ == '[MASK]':\n    main()", ("__main__", "main")),
        ("with open(path) as [MASK]:\n    text = f.read()", ("f",)),
        ("try:\n    value = int(text)\n[MASK] ValueError:\n    value = 0", ("except",)),
        ("def add(a, b):\n    [MASK] a + b", ("return",)),
        ("while True:\n    if done:\n        [MASK]", ("break", "return")),
        ("from typing import [MASK], Dict", ("List", "Any", "Optional", "Union", "Callable")),
        ("numbers = [x * x for x [MASK] numbers]", ("in",)),
        ("class Dog(Animal):\n    def __init__(self):\n        [MASK]().__init__()", ("super",)),
        ("assert result [MASK] None", ("is",)),
    ),
    "Chinese": (
        ("中华人民共和国的首都是[MASK]。", ("北京", "北京市")),
        ("[MASK]是日本的首都。", ("东京", "東京")),
        ("他出生于1970年，是一名[MASK]。", ("演员", "歌手", "作家", "政治家", "教授", "记者")),
        ("這部電影由他[MASK]演。", ("主", "導", "飾")),
        ("我们[MASK]天去公园。", ("明", "今", "昨", "每")),
        ("她是一位美国女[MASK]。", ("演员", "演員", "歌手", "性", "作家")),
        ("第二次世界[MASK]战结束于1945年。", ("大",)),
        ("台北市位於[MASK]。", ("臺灣", "台灣", "台湾")),
    ),
    "Japanese": (
        ("吾輩は猫で[MASK]。", ("ある", "あります", "す")),
        ("彼は部屋を[MASK]て行った。", ("出", "でて", "抜け")),
        ("私は昨日、東京[MASK]行きました。", ("へ", "に", "まで")),
        ("雨が降って[MASK]た。", ("い", "き", "来")),
        ("そう思ったけれど[MASK]、何も云わなかった。", ("も",)),
        ("日本の首都は[MASK]である。", ("東京",)),
        ("母は台所[MASK]飯を炊いている。", ("で",)),
        ("彼女の顔は[MASK]くなった。", ("赤", "白", "青", "蒼", "暗")),
    ),
}
"""By kind: texts with one mask, and the words that a person would accept."""
ENGLISH = ("facts", "grammar", "code")


def main() -> None:
    """Fill all of them, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--model", default="nano")
    words.add_argument("--kinds", nargs="+", choices=BLANKS, default=ENGLISH)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    filler = MaskFiller.from_pretrained(given.model, dtype=torch.float32)
    rows = []
    for kind in given.kinds:
        blanks = BLANKS[kind]
        filled = filler.fill([text for text, _ in blanks], top_k=20)
        for (text, wanted), masks in zip(blanks, filled, strict=True):
            found = [guess.token.strip() for guess in masks[0]]
            rank = next((place for place, token in enumerate(found, start=1) if token in wanted), None)
            rows.append({"kind": kind, "text": text, "wanted": wanted, "top": found[:4], "rank": rank})
    with write_atomically(given.out, "w") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    as_script(main)
