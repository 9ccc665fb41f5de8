"""Which documents of a corpus are worth training on: rules, duplicates and overlaps with test sets, as they stream by.

The order of documents never changes, and whether one stays depends only on it and on those before it. Rules are asked
from cheap to dear, and a document that one of them drops is not seen by the next: it is nobody's first copy.

The rules on letters, lines and words are in the spirit of C4 (arXiv 1910.10683) and Gopher (arXiv 2112.11446).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from hashlib import blake2b

from modernbert.data.config import Filters
from modernbert.data.decontamination import TestSets
from modernbert.data.languages import identifier
from modernbert.data.near_duplicates import NearDuplicates
from modernbert.data.scripts import WITHOUT_SPACES, count_scripts
from modernbert.data.shingles import words
from modernbert.data.sources import Document, read_documents
from modernbert.text.clean import without_layout


def keep(
    documents: Iterable[Document], filters: Filters, *, dropped: Callable[[Document, str], None]
) -> Iterator[Document]:
    """Stream the documents that pass all filters, in their order.

    Args:
        documents: Read once, one at a time.
        filters: The rules. Test sets are read before the first document.
        dropped: Told of each document that does not pass, and why: `"near duplicate: of news-17"`. What comes before the
            colon is one of `length`, `letters`, `repeated lines`, `word length`, `script`, `exact duplicate`, `test set`,
            `language` and `near duplicate`.

    Raises:
        UserError: a test set cannot be read.
    """
    rules = _rules(filters)
    return _passing(documents, rules, dropped)


class _Text:
    """A document and what several rules want to know of it, found out once."""

    def __init__(self, document: Document) -> None:
        self.id = document.id
        self.text = document.text

    @cached_property
    def characters(self) -> Counter[str]:
        return Counter(self.text)

    @cached_property
    def num_visible(self) -> int:
        return sum(count for character, count in self.characters.items() if not character.isspace())

    @cached_property
    def letters(self) -> tuple[int, dict[str, int]]:
        return count_scripts(self.characters)

    @cached_property
    def words(self):  # noqa: ANN202 (numpy's)
        return words(self.text)


Rule = Callable[[_Text], str | None]


def _passing(
    documents: Iterable[Document], rules: list[Rule], dropped: Callable[[Document, str], None]
) -> Iterator[Document]:
    for document in documents:
        text = _Text(document)
        for rule in rules:
            if reason := rule(text):
                dropped(document, reason)
                break
        else:
            yield document


def _rules(filters: Filters) -> list[Rule]:
    """What was asked for, from cheap to dear."""
    rules = [_length(filters.at_least, filters.at_most)]
    if filters.least_letters > 0:
        rules.append(_letters(filters.least_letters))
    if filters.most_repeated < 1:
        rules.append(_repeated_lines(filters.most_repeated))
    if filters.word_length:
        rules.append(_word_length(*filters.word_length))
    if filters.scripts:
        rules.append(_script(filters.scripts, filters.script_share))
    if filters.exact_duplicates:
        rules.append(_exact_duplicate())
    if filters.test_sets:
        rules.append(_test_set(filters))
    if filters.languages:
        rules.append(_language(filters.languages))
    if filters.near_duplicates is not None:
        rules.append(_near_duplicate(filters.near_duplicates, filters.seed))
    return rules


def _length(at_least: int, at_most: int | None) -> Rule:
    def rule(text: _Text) -> str | None:
        size = len(text.text.strip())
        if size < at_least:
            return f"length: {size} characters, expected {at_least} or more"
        if at_most is not None and size > at_most:
            return f"length: {size} characters, expected {at_most} or fewer"
        return None

    return rule


def _letters(least: float) -> Rule:
    def rule(text: _Text) -> str | None:
        share = text.letters[0] / max(1, text.num_visible)
        return f"letters: a share of {share:.2f}, expected {least} or more" if share < least else None

    return rule


def _repeated_lines(most: float) -> Rule:
    def rule(text: _Text) -> str | None:
        lines = [stripped for line in text.text.splitlines() if (stripped := line.strip())]
        share = 1 - len(set(lines)) / max(1, len(lines))
        return f"repeated lines: a share of {share:.2f}, expected {most} or less" if lines and share > most else None

    return rule


def _word_length(least: float, most: float) -> Rule:
    def rule(text: _Text) -> str | None:
        num_letters, by_script = text.letters
        if 2 * sum(count for script, count in by_script.items() if script in WITHOUT_SPACES) > num_letters:
            return None
        mean = text.num_visible / max(1, len(text.text.split()))
        return None if least <= mean <= most else f"word length: {mean:.1f} on average, expected {least} to {most}"

    return rule


def _script(scripts: tuple[str, ...], least: float) -> Rule:
    def rule(text: _Text) -> str | None:
        num_letters, by_script = text.letters
        share = sum(by_script.get(script, 0) for script in scripts) / max(1, num_letters)
        if share >= least:
            return None
        return f"script: a share of {share:.2f} of the letters is {' or '.join(scripts)}, expected {least} or more"

    return rule


def _exact_duplicate() -> Rule:
    seen: set[bytes] = set()

    def rule(text: _Text) -> str | None:
        # 16 bytes: among a thousand billion documents, two that differ collide with a chance of 1e-15.
        digest = blake2b(without_layout(text.text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in seen:
            return "exact duplicate: of one before"
        seen.add(digest)
        return None

    return rule


def _language(languages: tuple[str, ...]) -> Rule:
    told = identifier(languages)

    def rule(text: _Text) -> str | None:
        found = told(text.text)
        return None if found in languages else f"language: {found}, expected {' or '.join(languages)}"

    return rule


def _test_set(filters: Filters) -> Rule:
    tests = read_documents(filters.test_sets, text_field=filters.test_field)
    known = TestSets(((document.id, document.text) for document in tests), overlap=filters.overlap)

    def rule(text: _Text) -> str | None:
        found = known.find(text.words)
        return f"test set: {filters.overlap} words in a row, or a whole text, of {found}" if found is not None else None

    return rule


def _near_duplicate(threshold: float, seed: int) -> Rule:
    stayed = NearDuplicates(threshold, seed=seed)

    def rule(text: _Text) -> str | None:
        found = stayed.find(text.id, text.words)
        return f"near duplicate: of {found}" if found is not None else None

    return rule
