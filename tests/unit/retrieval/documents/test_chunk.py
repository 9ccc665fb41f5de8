from dataclasses import replace

import pytest

from modernbert.core.errors import ConfigError
from modernbert.retrieval.documents.chunk import Chunking, chunk
from modernbert.retrieval.documents.document import Document, Section
from modernbert.retrieval.documents.markdown import read_markdown

PYTHON = '''"""A module."""

import os

LIMIT = 3


class Store(Base):
    """Keeps things."""

    kind = "a"

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.things)  # counted anew each time, which is slow for large ones

    # Above load.
    def load(self, path: str) -> None:
        """Read them."""
        for line in open(path):
            self.things.append(line.strip().lower().replace("a", "b"))


def main():
    store = Store()
    store.load(os.environ["STORE"])
    print(store.size, "things were found in the store that was named")
'''


def document(text, **fields):
    return Document(id="repo/store.py", path="/repo/store.py", text=text, **fields)


def code(text, language="python", **options):
    return chunk(document(text, kind="code", language=language), Chunking(**options))


def markdown(text, **options):
    title, sections = read_markdown(text)
    return chunk(document(text, kind="markdown", title=title, sections=sections), Chunking(**options))


def test_code_is_cut_at_its_definitions():
    chunks = code(PYTHON, small=60)
    assert [(one.kind, one.symbol, one.first_line, one.last_line) for one in chunks] == [
        ("module", "", 1, 5),
        ("class", "Store", 8, 11),
        ("method", "Store.size", 13, 16),
        ("method", "Store.load", 18, 22),
        ("function", "main", 25, 28),
    ]
    load = chunks[3]
    assert load.header == "repo/store.py\nclass Store(Base)"
    assert load.metadata == {
        "language": "python", "symbols": ["Store.load"], "doc": "Read them.",
        "signature": "def load(self, path: str) -> None",
    }  # fmt: skip
    assert load.with_header.startswith("repo/store.py\nclass Store(Base)\n\n    # Above load.\n")


def test_small_neighbours_stand_together():
    (whole,) = code(PYTHON, small=1600)
    assert whole.metadata["symbols"] == ["Store", "Store.size", "Store.load", "main"]
    assert (whole.kind, whole.symbol, whole.first_line, whole.last_line) == ("module", "", 1, 28)
    assert [one.symbol for one in code(PYTHON, small=500)] == ["Store", "main"]
    assert code(PYTHON, small=500)[0].metadata["symbols"] == ["Store", "Store.size", "Store.load"]


def test_a_long_function_is_cut_within_and_says_what_it_is_of():
    body = "".join(f"    value_{number} = compute(value_{number - 1})\n" for number in range(1, 60))
    chunks = code(f"class A:\n    pass\n\n\ndef long(value_0):\n{body}", size=400)
    parts = [one for one in chunks if one.symbol == "long"]
    assert len(parts) > 4
    assert all(len(one.text) <= 400 for one in parts)
    assert parts[0].header == "repo/store.py"
    assert {one.header for one in parts[1:]} == {"repo/store.py\ndef long(value_0)"}
    assert [one.metadata.get("symbols") for one in parts] == [["long"]] + [None] * (len(parts) - 1)


def test_definitions_within_a_long_function_have_their_own():
    inner = "    def inner(x):\n" + "        x = x + 1\n" * 12 + "        return x\n\n"
    chunks = code(f"def outer():\n{inner}{'    call(inner)' + chr(10):s}" + "    more = 1\n" * 30, size=400, small=50)
    assert [one.symbol for one in chunks][:3] == ["outer", "outer.inner", "outer"]


def test_a_language_without_grammar_is_cut_by_lines():
    text = "".join(f"rule {number}\n  body of it\n\n" for number in range(40))
    chunks = code(text, "nim", size=200)
    assert {one.kind for one in chunks} == {"lines"}
    assert all(one.text.startswith("rule") for one in chunks)
    assert all(len(one.text) <= 200 for one in chunks)


def test_one_endless_line_is_cut_at_words():
    chunks = code("x = [" + "123456, " * 200 + "]\n", size=200)
    assert all(len(one.text) <= 200 for one in chunks)
    assert {(one.first_line, one.last_line) for one in chunks} == {(1, 1)}
    assert len({one.id for one in chunks}) == len(chunks)


def test_broken_code_is_cut_all_the_same():
    text = "def good():\n    return 1\n\n\nclass Half(\n    def lost(self:\n\ndef after():\n    return 2\n"
    chunks = code(text, small=0)
    assert "".join(one.text for one in chunks) == text
    assert {"good", "after"} <= {symbol for one in chunks for symbol in one.metadata.get("symbols", [])}


def test_prose_is_cut_at_headings_with_their_path_above():
    text = "# Guide\n\nHello.\n\n## Install\n\n" + "Do this. " * 30 + "\n\n## Use\n\n" + "Do that. " * 30 + "\n"
    chunks = markdown(text, size=300, small=40)
    assert [one.header for one in chunks] == ["Guide", "Guide > Install", "Guide > Use"]
    assert [one.first_line for one in chunks] == [1, 5, 9]
    assert chunks[1].metadata == {"headings": ["Guide", "Install"]}


def test_a_heading_without_text_goes_with_what_is_below():
    chunks = markdown(
        "# Guide\n\n## Install\n\n" + "Do this. " * 10 + "\n\n## Use\n\n" + "Do that. " * 10, size=120, small=10
    )
    assert [one.text.split("\n")[0] for one in chunks] == ["# Guide", "## Use"]
    assert chunks[0].header == "Guide"


def test_a_long_paragraph_is_cut_between_sentences():
    text = "The first one is here, e.g. this. Then comes another! Is it the last? No. " * 5
    chunks = markdown(text, size=100)
    assert all(one.text.strip()[-1] in ".!?" for one in chunks)
    assert not any(one.text.startswith("this") for one in chunks)


def test_chinese_is_cut_between_sentences_then_characters():
    text = "我能吞下玻璃而不伤身体。" * 10
    assert all(one.text.endswith("。") for one in markdown(text, size=30))
    chunks = markdown("玻璃" * 100, size=30)
    assert [len(one.text) for one in chunks] == [30] * 6 + [20]


def test_a_fence_is_not_cut_at_its_empty_lines():
    fence = "```python\na = 1\n\nb = 2\n```\n"
    chunks = markdown("Words come first, quite a few.\n\n" + fence + "\nAnd after it, too.\n", size=40)
    assert any(one.text.startswith("```python") and "b = 2" in one.text for one in chunks)


def test_an_overlap_repeats_whole_sentences():
    chunks = chunk(document("One is here. Two is here. Three is here. Four is here. "), Chunking(size=30, overlap=15))
    assert [one.text.strip() for one in chunks] == [
        "One is here. Two is here.", "Two is here. Three is here.", "Three is here. Four is here.",
    ]  # fmt: skip


def test_sizes_may_be_counted_in_words():
    def count(texts):
        return [len(text.split()) for text in texts]

    chunks = chunk(document("one two three. " * 10), Chunking(size=6, unit="words"), count=count)
    assert count([one.text for one in chunks]) == [6] * 5


def test_pages_are_kept():
    text = "First page.\n\nSecond page.\n\nThird page.\n\n"
    sections = tuple(Section(start=start, page=page) for page, start in enumerate((0, 13, 27), start=1))
    chunks = chunk(document(text, kind="pdf", sections=sections), Chunking(size=30, small=30))
    assert [(one.metadata["first_page"], one.metadata["last_page"]) for one in chunks] == [(1, 2), (3, 3)]


def test_a_record_stands_on_its_line():
    (one,) = chunk(document("a\nb\n", kind="jsonl", line=17, title="T", metadata={"year": 3}))
    assert (one.first_line, one.last_line, one.header, one.metadata) == (17, 17, "T", {"year": 3})


def test_nothing_gives_nothing():
    assert chunk(document("")) == chunk(document(" \n")) == []


def test_lines_that_move_keep_their_chunks():
    before = {one.id for one in code(PYTHON, small=60)}
    after = {one.id for one in code(PYTHON.replace("import os\n", "import os\nimport sys\n"), small=60)}
    assert len(before - after) == len(after - before) == 1


def test_equal_chunks_of_one_document_are_told_apart_and_have_one_content():
    chunks = chunk(document("Again and again. " * 4), Chunking(size=17))
    assert len({one.id for one in chunks}) == 4
    assert len({one.content for one in chunks}) == 1
    assert [one.occurrence for one in chunks] == [0, 1, 2, 3]
    other = replace(chunks[0], document="other")
    assert (other.id != chunks[0].id, other.content == chunks[0].content) == (True, True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0}, "size: found 0, expected at least 1"),
        ({"size": 10, "overlap": 10}, "overlap: found 10, expected 0 to 9, less than size"),
        ({"size": 10, "small": 11}, "small: found 11, expected 0 to 10, no more than size"),
    ],
)
def test_impossible_sizes_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Chunking(**options)


def test_every_setting_is_in_the_version():
    settings = ({}, {"size": 9}, {"overlap": 1}, {"small": 1}, {"unit": "tokens"})
    assert len({Chunking(**setting).version for setting in settings}) == len(settings)


def test_a_heading_without_text_never_ends_the_section_before_it():
    text = "## A\n\nShort.\n\n## B\n\n### C\n\n" + "Do this. " * 8
    assert [one.text.split("\n")[0] for one in markdown(text, size=120, small=30)] == ["## A", "## B"]
