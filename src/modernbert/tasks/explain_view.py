"""Explanations to look at: coloured words in a terminal, or a page. Blue speaks for the label, red against it."""

from collections.abc import Callable, Sequence
from html import escape

from modernbert.tasks.explain import Explanation, Weighed

_STYLE = """
body { font: 16px/1.9 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733; }
h2 { font-size: 1rem; margin: 2.2rem 0 .3rem; } small { color: #5b6b7b; } p { margin: .3rem 0; }
span { border-radius: .2rem; padding: .1rem 0; }
@media (prefers-color-scheme: dark) { body { background: #12181f; color: #dfe7ee; } small { color: #93a3b3; } }
"""
_SHADES = ((0.6, 27, 160), (0.25, 75, 210), (0.08, 153, 224))
"""From a share of the largest weight on: colour of the terminal for words that speak for the label, and against it."""


def terminal(found: Explanation) -> str:
    """The text with its words in colour, for terminals of 256 colours."""

    def paint(word: Weighed, share: float) -> str:
        for least, good, bad in _SHADES:
            if abs(share) >= least:
                return f"\033[38;5;{good if share > 0 else bad}m{word.text}\033[0m"
        return word.text

    return _painted(found, paint, str)


def page(explanations: Sequence[Explanation]) -> str:
    """A page of its own, without anything from elsewhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>What drove each prediction</title><style>{_STYLE}</style><h1>What drove each prediction</h1>",
        "<p><small>Integrated gradients from the text of [MASK]s. Blue words speak for the label, red ones against it; point at "
        "a word to see by how many logits.</small></p>",
    ]
    for found in explanations:
        check = "" if found.agreement is None else f"; occlusion agrees with rank correlation {found.agreement:.2f}"
        parts.append(f"<h2>{escape(found.label)} <small>{found.score:.1%}</small></h2>")
        parts.append(f"<p>{_painted(found, _marked, escape)}</p>")
        parts.append(
            f"<p><small>logit {found.logit:+.2f}, of the masked text {found.baseline:+.2f}, error of the sum {found.gap:+.3f}"
            f"{check}</small></p>"
        )
    return "\n".join([*parts, "</html>", ""])


def _marked(word: Weighed, share: float) -> str:
    hue = "38, 110, 190" if share > 0 else "200, 60, 50"
    return f'<span style="background: rgba({hue}, {0.75 * abs(share):.2f})" title="{word.weight:+.3f}">{escape(word.text)}</span>'


def _painted(found: Explanation, paint: Callable[[Weighed, float], str], plain: Callable[[str], str]) -> str:
    largest = max((abs(word.weight) for word in found.words), default=0) or 1.0
    parts, last = [], 0
    for word in found.words:
        parts += [plain(found.text[last : word.start]), paint(word, word.weight / largest)]
        last = word.end
    return "".join([*parts, plain(found.text[last:])])
