"""Words to tokens and back, on a real small vocabulary; the slow twin looks every token up on its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from modernbert.tasks.entities import is_bio, runs
from modernbert.tasks.words import joined, split, tokens_of
from support.texts import small_tokenizer

WORDS = st.lists(
    st.text(st.sampled_from("abcXYZ.,-'é中日🚢[]"), min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=30
)


@given(words=WORDS, longest=st.integers(8, 60))
def test_every_word_lies_in_one_part_and_is_headed_by_a_token_of_its_own(words, longest):
    tokenizer = small_tokenizer()
    row = joined(words)
    (parts,) = tokens_of(tokenizer, [row], longest=longest)
    assert [part.first_word for part in parts] == [sum(len(p.heads) for p in parts[:i]) for i in range(len(parts))]
    heads = [(part, head) for part in parts for head in part.heads]
    assert len(heads) == len(words)
    for part in parts:
        assert len(part.ids) <= longest
        assert part.ids[0] == tokenizer.cls_id
        assert part.ids[-1] == tokenizer.sep_id
        inside = [head for head in part.heads if head is not None]
        assert inside == sorted(set(inside))
        assert all(0 < head < len(part.ids) - 1 for head in inside)


@given(words=WORDS)
def test_the_head_of_a_word_is_where_its_own_tokens_begin(words):
    tokenizer = small_tokenizer()
    ((part,),) = tokens_of(tokenizer, [joined(words)], longest=10_000)
    encoded = tokenizer.encode([" ".join(words)], offsets=True, literal=True)
    assert part.ids == encoded.ids[0]
    start = 0
    for word, head in zip(words, part.heads, strict=True):
        inside = [i for i, (a, b) in enumerate(encoded.offsets[0]) if a < b and start <= a < start + len(word)]
        assert head == (inside[0] if inside else None)
        start += len(word) + 1


def test_a_word_that_spells_a_special_token_is_only_its_letters():
    tokenizer = small_tokenizer()
    ((part,),) = tokens_of(tokenizer, [joined(["a", "[SEP]", "b"])], longest=100)
    assert part.ids.count(tokenizer.sep_id) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mr. O'Neil paid $3.50.", ["Mr", ".", "O'Neil", "paid", "$", "3.50", "."]),
        ("東京に行く (Tokyo)", ["東", "京", "に", "行", "く", "(", "Tokyo", ")"]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_raw_text_is_split_with_its_places(text, words):
    found = split(text)
    assert [text[a:b] for a, b in found.spans] == words


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=12))
def test_entities_are_those_that_seqeval_finds(tags):
    assert [(run.kind, run.first, run.end - 1) for run in runs(tags)] == get_entities(tags)


def test_bio_is_told_from_other_tags():
    assert is_bio(["O", "B-PER", "I-PER"])
    assert not is_bio(["NOUN", "VERB"])
    assert not is_bio(["O"])
