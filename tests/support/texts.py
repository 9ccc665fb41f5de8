"""Strings that break tokenizers, a text to learn from, and the small tokenizer that learnt from it."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import AddedToken

from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import SPECIAL, train_tokenizer

NASTY = {
    "empty": "",
    "one space": " ",
    "spaces": "   ",
    "leading and trailing": "  two words   ",
    "runs of spaces": "a  b   c    d" + " " * 25 + "e",
    "other white space": "a\tb\u00a0c\u3000d\u2028e\u200bf\ufeffg\x85h\x1ci",
    "white space of all kinds in a row": "x \t \u00a0\u2003\n\n \x1f \u180e\u202f y",
    "CRLF": "first\r\nsecond\r\n\r\nthird\rfourth\n",
    "NUL": "before\x00after \x00\x00 end",
    "controls": "".join(map(chr, range(32))) + "\x7f",
    "emoji with joiners": "family 👨‍👩‍👧‍👦 flag 🇨🇭 skin 👍🏽 heart ❤️ end",
    "half an emoji's bytes": "😀😁",
    "composed later": "cafe\u0301 A\u030angstro\u0308m a\u0323\u0302 \u212b \u1e0b\u0323",
    "composed before": "café Ångström ậ",
    "marks on nothing": "\u0301 \u0301a \u0301\u0323",
    "many marks": "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324a\u0309\u030d\u0305lgo",
    "Hangul in pieces": "\u1112\u1161\u11ab\u1100\u1173\u11af 한글",
    "right to left": "مرحبا بالعالم, שלום עולם \u200fmark\u200e",
    "Devanagari": "नमस्ते दुनिया क़",
    "CJK": "我能吞下玻璃而不伤身体。日本語のテキスト、カタカナ。",
    "digits": "0123456789" * 12 + " 3.14159 1,000,000 ٣٤٥ ⅷ ½ 二十",
    "code": "def f(x):\n    if x > 0:\n\t\treturn {'a': [1, 2]}  # why\n\n\n    else:\n        pass\n",
    "contractions": "I'll we've don't he's I'M 'tis '' ' s 'sand ’s it's",
    "underscores and signs": "__init__ a_b --flag=1 <html>&amp;</html> https://x.org/?q=a%20b#c",
    "special look-alikes": "[MASK] and [CLS] inside [SEP], [mask], [ MASK ], [UNK][PAD][unused0][unused1]",
    "masks and spaces": "a [MASK]  [MASK]\n\t[MASK]b[MASK] [CLS] [MASK]\u3000[MASK]",
    "mask first": "   [MASK] first",
    "nearly special": "[[MASK]] [MASK [CLS]] [unused [unused9999]",
    "private and noncharacters": "\ue000 \uffff \U0010ffff \ufffd",
    "mathematics": "𝒜𝓁𝓅𝒽𝒶 ∑∞ x² x₂ ﬁ ﷺ",
    "long word": "ab" * 700,
}
"""By name. All are valid Unicode; a lone surrogate is not text, and refused."""

LONG_WORD = "a" * 100_000
"""One word, in the eyes of the pre-tokenizer."""

CORPUS = """\
The lighthouse keeper's daughter learnt to read from the labels of tinned fruit. When the supply ship was late, which
happened in most winters, she read the same seven labels again, and when it wasn't late she read the ship's papers.
By the time she was ten she could tell from the harbour master's handwriting whether he'd slept, and from the
captain's whether he'd been paid. "Reading," her father said, "is looking at one thing and seeing another thing."
She thought about this for a week; then she told him that it's the other way round: you look at two things, the marks
and the meaning, and you see one.

In the spring of 1987 the keeper counted 1,204 ships, of which 31 didn't answer. He wrote all of them into the book:
the name, the hour, the weather, the colour of the light. The book is there today. Its 365 pages are thin and brittle,
and they smell of paraffin; the words are the words of somebody who has nobody to talk to, and they're very clear.
"Fog from the north. The bell for nine hours. Nothing else." The next page says: "The same." And the next: "The same."

def count_ships(book, year=1987):
    \"\"\"Count the ships that answered, and the ones that did not.\"\"\"
    answered = 0
    for page in book.pages:
        for ship in page.ships:
            if ship.year == year and ship.answered:
                answered += 1
    return answered, len(book.ships) - answered

class Lighthouse:
    def __init__(self, name, height, light="white"):
        self.name = name
        self.height = height
        self.light = light

    def __repr__(self):
        return f"Lighthouse({self.name!r}, {self.height} m, {self.light})"

Der Leuchtturm steht noch, und die Straße führt über die Dünen zum Hafen. Où est le café près de la mer ? Là-bas,
à côté de l'église. El faro está allí; mañana volverá el señor. 灯台はまだそこにある。灯台の光は白い。
"""
"""Some English, some Python, and a little of other languages: enough for 448 tokens."""


@functools.cache
def small_tokenizer() -> Tokenizer:
    """448 tokens, learnt from `CORPUS` in a blink, the same in every run; 8 of them unused."""
    return train_tokenizer(CORPUS.splitlines(keepends=True), vocab_size=448, num_unused=8, longest=128)


@functools.cache
def small_tokenizer_folder() -> Path:
    """Where `small_tokenizer` is saved. To be read only: all tests of a run share it."""
    folder = Path(tempfile.mkdtemp(prefix="modernbert-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    small_tokenizer().save(folder)
    return folder


def hub_like_tokenizer() -> Tokenizer:
    """`small_tokenizer` with what else the Hub's ModernBERT adds: runs of 24 to 2 spaces, which are no special tokens."""
    fast = tokenizers.Tokenizer.from_file(str(small_tokenizer_folder() / "tokenizer.json"))
    fast.add_tokens([AddedToken(" " * n, normalized=True, special=False) for n in range(24, 1, -1)])
    return Tokenizer(fast, SPECIAL, longest=8192)
