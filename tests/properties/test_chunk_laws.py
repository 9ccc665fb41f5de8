"""What holds for any text that is cut, and for whatever is made of chunks."""

import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modernbert.retrieval.documents.chunk import Chunking, chunk
from modernbert.retrieval.documents.context import assemble
from modernbert.retrieval.documents.document import Document, Section
from modernbert.retrieval.documents.identifiers import words_of
from modernbert.retrieval.documents.languages import QUERIES
from modernbert.retrieval.documents.markdown import read_markdown
from modernbert.retrieval.documents.measure import tokens_of
from modernbert.retrieval.documents.query import parse_query
from modernbert.retrieval.documents.snippets import snippet
from support.texts import small_tokenizer

law = settings(deadline=None, max_examples=40)
bits = st.sampled_from([
    "Hello there. ", "one two ", "\n", "\n\n", "# Head\n\n", "## Under\n", "```\nx\n\ny\n```\n", "我能吞下玻璃。而不伤", "日本語の",
    "ภาษาไทย", "e\u0301", "👨‍👩‍👧", "    ", "\t", "\r", "averyveryverylongwordindeed", "a", "3.14 ", "e.g. this", "Why? No! ", "\x0b", "\u2028",
    "| a | b |\n|---|---|\n",
])  # fmt: skip
texts = st.lists(st.one_of(bits, st.text(max_size=12)), max_size=40).map("".join)
code_bits = st.sampled_from([
    "def f(x):\n", "    return x\n", "class A:\n", "    def m(self): pass\n", "    def n(self):\n        pass\n", "\n", "}\n", "{", "x = 1; ",
    "# note\n", "// note\n", "/* a\n b */\n", "func F() {\n", "fn g() { }", "struct S { int a; };\n", "@dec\n", "export const f = () => {\n", "(((",
    '"""', "'''doc\n'''\n", "public class B {\n", "  void k() {}\n", "é", "\t", "#define X(a) a\n", "impl S {\n", "if x:\n", "long_" * 30,
])  # fmt: skip
programs = st.lists(st.one_of(code_bits, st.text(max_size=6)), max_size=40).map("".join)


def document(text, **fields):
    return Document(id="root/a", path="a", text=text, **fields)


def lines(text, first, last):
    return "\n".join(text.split("\n")[first - 1 : last])


def count_words(texts):
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


@law
@given(texts, st.integers(1, 60))
def test_no_character_of_prose_is_lost(text, size):
    title, sections = read_markdown(text)
    chunks = chunk(document(text, kind="markdown", sections=sections, title=title), Chunking(size=size))
    assert "".join(one.text for one in chunks) == (text if text.strip() else "")
    assert all(one.text.strip() for one in chunks)


@law
@given(programs, st.integers(20, 200), st.sampled_from([*sorted(QUERIES), "brainfuck"]))
def test_no_line_of_code_is_lost_however_broken(text, size, language):
    chunks = chunk(document(text, kind="code", language=language), Chunking(size=size))
    assert "".join(one.text for one in chunks) == (text if text.strip() else "")
    for one in chunks:
        assert text[one.start : one.end] == one.text
        assert one.text.rstrip() in lines(text, one.first_line, one.last_line)


@law
@given(texts, st.integers(1, 60), st.integers(0, 30))
def test_an_overlap_repeats_and_never_skips(text, size, overlap):
    chunks = chunk(document(text), Chunking(size=size, overlap=min(overlap, size - 1)))
    reached = 0
    for one in chunks:
        assert reached - overlap <= one.start <= reached < one.end
        assert text[one.start : one.end] == one.text
        reached = one.end
    assert reached == (len(text) if text.strip() else 0)


@law
@given(texts, st.integers(8, 60))
def test_prose_is_no_larger_than_asked(text, size):
    """But for marks on one letter, which are never parted from it."""
    for one in chunk(document(text), Chunking(size=size)):
        assert len(one.text.strip()) <= size or not re.search(r"[^\W\d_]{2}", one.text)


@law
@given(st.lists(st.text("abcäß", min_size=1, max_size=8), min_size=1, max_size=40), st.integers(8, 40), st.booleans())
@example(["a", "aaaaaaaa", "a"], 8, False)
def test_a_word_that_fits_is_never_cut(words, size, counted):
    text = " ".join(words)
    chunks = chunk(document(text), Chunking(size=size), count=count_words if counted else None)
    assert [word for one in chunks for word in one.text.split()] == words
    if counted:
        assert all(count_words([one.text])[0] <= size for one in chunks)


@law
@given(texts, st.integers(1, 60))
def test_ids_differ_and_come_again(text, size):
    first, again = (chunk(document(text), Chunking(size=size)) for _ in range(2))
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in first}) == len(first)


@law
@given(texts, st.lists(st.integers(0, 300), max_size=5), st.integers(5, 60))
def test_any_sections_will_do(text, starts, size):
    sections = tuple(
        Section(start=start, headings=(str(start),)) for start in sorted({s for s in starts if s < len(text)})
    )
    chunks = chunk(document(text, sections=sections), Chunking(size=size))
    assert "".join(one.text for one in chunks) == (text if text.strip() else "")


@law
@example(["Hello there. Hello there. Hello there. 0"], 13, 41, random.Random(1), False)
@given(st.lists(texts, min_size=1, max_size=4), st.integers(5, 60), st.integers(1, 400), st.randoms(), st.booleans())
def test_a_context_never_exceeds_its_budget_nor_repeats(found, size, budget, chance, counted):
    count = count_words if counted else None
    documents = {f"root/{place}": text for place, text in enumerate(found)}
    chunks = [
        one
        for id_, text in documents.items()
        for one in chunk(Document(id=id_, path=id_, text=text), Chunking(size=size, overlap=size // 3), count=count)
    ]
    chance.shuffle(chunks)
    context = assemble(chunks, budget=budget, count=count)
    assert context.size == (count([context.text])[0] if count else len(context.text)) <= budget
    taken = [(c.document, c.first_line, c.last_line) for c in context.citations]
    assert len(set(taken)) == len(taken)
    for id_, text in documents.items():
        passages = zip(taken, context.passages, strict=True)
        own = [passage.replace(" … ", "") for (document, *_), passage in passages if document == id_]
        assert sum(map(len, own)) <= len(text)
    if budget >= 400 and sum(len(text) for text in found) < 100:
        assert context.num_left_out == 0
        for id_, text in documents.items():
            assert text.strip() == "" or sum(id_ == document for document, _, _ in taken) == 1


@law
@given(texts, st.lists(st.tuples(st.integers(-5, 200), st.integers(-5, 200))), st.integers(1, 8), st.integers(20, 60))
def test_a_snippet_marks_what_it_was_told_and_commands_no_terminal(text, spans, number, width):
    shown = snippet(text, 10, spans, lines=number, width=width)
    assert len(shown.lines) <= number
    rows = text.split("\n")
    for line in shown.lines:
        assert len(line.text) <= width
        row = rows[line.number - 10]
        assert len(row) > width or len(line.text) == len(row)
        flat = [place for span in line.spans for place in span]
        assert flat == sorted(set(flat))
        assert all(0 <= place <= len(line.text) for place in flat)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown.to_text(color=False))


@law
@given(st.text(st.characters(exclude_characters='/"`')))
def test_without_quotes_and_slashes_a_query_is_its_text(line):
    if line.strip():
        assert parse_query(line).text == " ".join(line.split())


@law
@given(st.text())
def test_words_of_a_name_hold_all_its_letters(name):
    kept = "".join(words_of(name))
    if name.isascii():
        assert kept == "".join(re.findall(r"[a-z0-9]", name.lower()))
    assert all((word and word == word.lower()) or not word.isascii() for word in words_of(name))


@pytest.mark.parametrize("language", sorted(QUERIES))
@settings(deadline=None, max_examples=10)
@given(code=programs)
def test_no_grammar_refuses_its_query(language, code):
    from modernbert.retrieval.documents.definitions import definitions

    found = definitions(code, language)
    assert all(1 <= one.first_line <= one.line <= one.last_line <= code.count("\n") + 1 for one in found)
    assert all(one.parent is None or one.parent < place for place, one in enumerate(found))


@law
@given(texts, programs, st.integers(12, 60), st.sampled_from(["python", "java", "nim"]))
def test_chunks_fit_as_the_tokenizer_counts_them_whole(text, program, size, language):
    """But for a single character, or marks on one, that is larger."""
    count = tokens_of(small_tokenizer())
    chunks = chunk(document(text), Chunking(size=size), count=count)
    chunks += chunk(document(program, kind="code", language=language), Chunking(size=size), count=count)
    for one in chunks:
        shown = one.text.strip()
        assert count([shown])[0] <= size or len(re.findall(r"[^\u0300-\u036f\u200d\ufe0f]", shown)) <= 4
