"""The tasks that the model is judged on after fine-tuning: so much of each as a laptop trains in minutes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learnt, from how much."""

    kind: str
    """class, pair (a score for two texts) or tags (one a word)."""
    score: str
    text: tuple[str, ...]
    target: str
    rows: int
    """Of the training split, the first after shuffling."""
    test_rows: int
    epochs: int
    longest: int
    """Tokens of a text; longer ones are cut."""
    counted: str = "words"
    """What TF-IDF counts runs of: words, or characters where no spaces part words."""


TASKS = {
    "sst2": Task(kind="class", score="accuracy", text=("sentence",), target="label", rows=10_000, test_rows=1821, epochs=2, longest=64),
    "imdb": Task(kind="class", score="accuracy", text=("text",), target="label", rows=2_000, test_rows=1_000, epochs=2, longest=256),
    "banking77": Task(kind="class", score="accuracy", text=("text",), target="label", rows=10_003, test_rows=3_080, epochs=6, longest=64),
    "conll2003": Task(kind="tags", score="entity F1", text=("tokens",), target="tags", rows=7_000, test_rows=3_453, epochs=3, longest=128),
    "stsb": Task(kind="pair", score="Spearman", text=("sentence1", "sentence2"), target="score", rows=5_749, test_rows=1_379, epochs=4, longest=128),
    "chnsenticorp": Task(kind="class", score="accuracy", text=("text",), target="label", rows=6_201, test_rows=768, epochs=3, longest=256, counted="characters"),
    "jsts": Task(kind="pair", score="Spearman", text=("sentence1", "sentence2"), target="score", rows=12_451, test_rows=1_589, epochs=3, longest=64, counted="characters"),
}  # fmt: skip
ZH_JA = ("chnsenticorp", "jsts")
ENGLISH = tuple(name for name in TASKS if name not in ZH_JA)
