"""Long texts in overlapping parts, and the best answer over all of them, against trying every pair of places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.core.errors import UserError
from modernbert.tasks.passages import MOST_TOKENS, best_answers, passages
from support.texts import small_tokenizer


@given(num_words=st.integers(1, 300), longest=st.integers(40, 120), stride=st.integers(0, 16))
@settings(max_examples=40)
def test_parts_cover_the_text_and_share_the_stride(num_words, longest, stride):
    tokenizer = small_tokenizer()
    context = " ".join(f"word{i % 7}" for i in range(num_words))
    parts = passages(tokenizer, "who?", context, longest=longest, stride=stride)
    told = tokenizer.encode([context], special=False).ids[0]
    covered: list[int] = []
    for number, part in enumerate(parts):
        assert len(part.ids) <= longest
        own = part.ids[part.first : part.first + len(part.spans)]
        assert part.ids == tokenizer.enclose(tokenizer.encode(["who?"], special=False).ids[0], own)
        if number:
            assert covered[-stride:] == own[:stride] if stride else True
        covered += own[stride if number else 0 :]
    assert covered == told


def test_a_question_without_room_for_a_text_is_refused():
    with pytest.raises(
        UserError, match=r"the question has .* tokens, of 40 .* ask a shorter question, or raise max_length"
    ):
        passages(small_tokenizer(), "why " * 60, "because", longest=40, stride=8)


def _best_slowly(parts, starts, ends):
    nothing = min(start[0] + end[0] for start, end in zip(starts, ends, strict=True))
    best, span = nothing, (0, 0)
    for part, start, end in zip(parts, starts, ends, strict=True):
        for i, (a, _) in enumerate(part.spans):
            for j in range(i, min(i + MOST_TOKENS, len(part.spans))):
                found = start[part.first + i] + end[part.first + j]
                if a < part.spans[j][1] and found > best:
                    best, span = found, (a, part.spans[j][1])
    return span, best - nothing


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60)
def test_the_best_answer_is_that_of_trying_all(seed):
    chance = np.random.default_rng(seed)
    tokenizer = small_tokenizer()
    context = " ".join(f"w{i}" for i in range(20))
    parts = passages(tokenizer, "q", context, longest=40, stride=5)
    starts = [chance.normal(size=len(part.ids)) for part in parts]
    ends = [chance.normal(size=len(part.ids)) for part in parts]
    (found,) = best_answers(parts, starts, ends)
    span, score = _best_slowly(parts, starts, ends)
    assert (found.start, found.end) == span
    assert found.score == pytest.approx(score)


def test_several_answers_differ_and_their_shares_fall():
    tokenizer = small_tokenizer()
    parts = passages(tokenizer, "q", "one two three four", longest=100, stride=0)
    logits = [np.random.default_rng(0).normal(size=len(parts[0].ids))]
    found = best_answers(parts, logits, logits, top_k=5)
    assert len({(each.start, each.end) for each in found}) == 5
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    assert sum(each.probability for each in best_answers(parts, logits, logits, top_k=10_000)) == pytest.approx(1.0)
