import pytest

from modernbert.tasks.classify import TextClassifier
from support.served import TEXTS, client, folder_of


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier.from_pretrained(folder_of("sentiment"), dtype="float32")


def by_label(row):
    return {each["label"]: each["score"] for each in row}


def test_a_text_a_pair_and_a_mixed_batch_get_what_python_gives(classifier):
    one = client().post("/predict", json={"inputs": TEXTS[0]}).json()
    pair = client().post("/predict", json={"inputs": TEXTS[:2]}).json()
    batch = client().post("/predict", json={"inputs": [TEXTS[:2], TEXTS[:1], [TEXTS[2], TEXTS[0]], [TEXTS[2]]]}).json()
    (single,) = classifier.predict([TEXTS[0]])
    both, other = classifier.predict([(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[0])])
    (last,) = classifier.predict([TEXTS[2]])
    assert by_label(one) == pytest.approx(single.scores, abs=1e-5)
    assert [each["label"] for each in one] == list(single.scores)
    assert by_label(pair) == pytest.approx(both.scores, abs=1e-5)
    for row, expected in zip(batch, [both, single, other, last], strict=True):
        assert by_label(row) == pytest.approx(expected.scores, abs=1e-5)


def test_raw_scores_are_logits(classifier):
    found = by_label(client().post("/predict", json={"inputs": TEXTS[0], "raw_scores": True}).json())
    (raw,) = classifier.predict([TEXTS[0]], raw=True)
    (shares,) = classifier.predict([TEXTS[0]])
    assert found == pytest.approx(raw.scores, abs=1e-5)
    assert list(raw.scores) == list(shares.scores)
    assert sum(raw.scores.values()) != pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("inputs", [[], [[]], ["a", "b", "c"], [["a", "b", "c"]], [["a"], "b"], 5, [[5]]])
def test_what_is_neither_text_nor_pair_nor_batch_is_refused(inputs):
    assert client().post("/predict", json={"inputs": inputs}).status_code in (400, 422)
