"""From a word to a collection: a folder here, a set of the Hub, a task of mteb."""

from pathlib import Path

from modernbert.retrieval.evaluation.collection import Collection, read_collection
from modernbert.retrieval.evaluation.hub import of_hub, of_mteb

SHORT = {
    "mldr": "mteb:MultiLongDocRetrieval/en",
    "codesearchnet": "mteb:COIRCodeSearchNetRetrieval/python",
    "stackoverflow-qa": "mteb:StackOverflowQA",
}
"""The paper's collections beside BEIR. CodeSearchNet has a subset a language, and the paper's figure is the mean of six."""


def open_collection(word: str, *, split: str = "test") -> Collection:
    """A folder in BEIR's layout, `hub:OWNER/NAME` in the same layout, `mteb:TASK` or `mteb:TASK/SUBSET`, or a short name.

    Raises:
        UserError: there is none, it cannot be read or had, or nothing in it fits together.
    """
    word = SHORT.get(word, word)
    if word.startswith("mteb:"):
        return of_mteb(word.removeprefix("mteb:"), split=split)
    if word.startswith("hub:"):
        return of_hub(word.removeprefix("hub:"), split=split)
    return read_collection(Path(word), split=split)
