"""The Hub's official client asks a live server, task by task; `model` is the address of a route."""

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient

from support.served import TEXTS, live


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with live() as url:
        yield url


@pytest.fixture(scope="module")
def asking() -> InferenceClient:
    return InferenceClient(token="none")


def test_masks_are_filled(asking, address):
    found = asking.fill_mask("the bell of [MASK]", model=f"{address}/fill-mask", top_k=3)
    assert len(found) == 3
    assert found[0].sequence == f"the bell of{found[0].token_str}"
    assert found[0].score > found[1].score


def test_texts_are_classified_with_labels_of_ones_own_and_others(asking, address):
    found = asking.text_classification(TEXTS[0], model=f"{address}/classify")
    assert {each.label for each in found} == {"bad", "good", "mixed"}
    assert sum(each.score for each in found) == pytest.approx(1)
    free = asking.zero_shot_classification(TEXTS[0], ["sea", "land"], model=f"{address}/zero-shot")
    assert {each.label for each in free} == {"sea", "land"}


def test_entities_and_answers_are_found(asking, address):
    for each in asking.token_classification(TEXTS[0], model=f"{address}/tag", aggregation_strategy="simple"):
        assert TEXTS[0][each.start : each.end] == each.word
    answer = asking.question_answering(question="Who counted?", context=TEXTS[0], model=f"{address}/answer")
    assert TEXTS[0][answer.start : answer.end] == answer.answer != ""


def test_sentences_are_compared(asking, address):
    found = asking.sentence_similarity(TEXTS[0], other_sentences=TEXTS, model=f"{address}/similarity")
    assert found[0] == pytest.approx(1, abs=1e-5)
