"""Laws of reading and filtering that hold for any text."""

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.data.config import Filters
from modernbert.data.filters import keep
from modernbert.data.shingles import words
from modernbert.data.sources import Document, read_documents
from support.slow_words import UNALIKE, slow_words

law = settings(deadline=None, max_examples=100)
any_character = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters=UNALIKE, max_codepoint=0x3347F)
texts = st.text(st.one_of(any_character, st.sampled_from("ab 字ก.\u0301")))


@law
@given(st.lists(texts, min_size=1), st.booleans())
def test_what_json_lines_hold_is_read_back(tmp_path_factory, found, ascii_only):
    path = tmp_path_factory.mktemp("laws") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + "\n" for text in found), "utf-8")
    assert [document.text for document in read_documents([str(path)])] == found


@law
@given(st.lists(texts, max_size=3))
def test_words_are_those_of_the_slow_twin(found):
    """Of one count, and equal exactly where the words are."""
    numbers = [number for text in found for number in words(text).tolist()]
    slow = [word for text in found for word in slow_words(text)]
    assert len(numbers) == len(slow)
    assert len(set(numbers)) == len(set(slow)) == len(set(zip(numbers, slow, strict=True)))


@law
@given(st.lists(st.text(string.ascii_lowercase[:3] + " ", max_size=30)))
def test_every_document_stays_in_its_place_or_is_reported_once(found):
    documents = [Document(str(number), text, "made up") for number, text in enumerate(found)]
    dropped = []
    filters = Filters(at_least=2, near_duplicates=0.6, most_repeated=0.5, least_letters=0.5)
    kept = list(keep(documents, filters, dropped=lambda document, reason: dropped.append(document)))
    assert [int(document.id) for document in kept] == sorted(int(document.id) for document in kept)
    assert sorted([*kept, *dropped], key=lambda document: int(document.id)) == documents
    assert kept == list(keep(documents, filters, dropped=lambda document, reason: None))
    assert kept == list(keep(kept, filters, dropped=lambda document, reason: None)), "what stayed, stays"
