import pytest

from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.explain import explain
from modernbert.tasks.zero_shot import ZeroShot
from support.served import TEXTS, client, folder_of


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier.from_pretrained(folder_of("sentiment"), dtype="float32")


def by_label(row):
    return {each["label"]: each["score"] for each in row}


def test_labels_come_likeliest_first_with_pythons_probabilities(classifier):
    found = client().post("/classify", json={"inputs": TEXTS}).json()
    for row, expected in zip(found, classifier.predict(TEXTS), strict=True):
        assert by_label(row) == pytest.approx(expected.scores, abs=1e-5)
        assert row[0]["label"] == expected.label
    raw = client().post("/classify", json={"inputs": TEXTS[0], "parameters": {"function_to_apply": "none"}}).json()
    assert by_label(raw[0]) == pytest.approx(classifier.predict(TEXTS[:1], raw=True)[0].scores, abs=1e-5)
    assert len(client().post("/classify", json={"inputs": "a", "parameters": {"top_k": 1}}).json()[0]) == 1


def test_a_text_longer_than_the_model_takes_is_read_in_pieces(classifier):
    text = "the captain counted lamps " * 200
    found = client().post("/classify", json={"inputs": text}).json()[0]
    (expected,) = classifier.predict([text])
    assert expected.num_pieces > 1
    assert by_label(found) == pytest.approx(expected.scores, abs=1e-5)


def test_labels_that_no_model_was_trained_on():
    labels = ["sea", "land", "sky"]
    body = {"inputs": TEXTS[0], "parameters": {"candidate_labels": labels, "hypothesis_template": "It is about {}."}}
    found = client().post("/zero-shot", json=body).json()
    (expected,) = ZeroShot.from_pretrained(folder_of("words"), dtype="float32").predict(
        TEXTS[:1], labels, template="It is about {}."
    )
    assert by_label(found) == pytest.approx(expected.scores, abs=1e-5)
    assert client().post("/zero-shot", json={**body, "inputs": TEXTS[:1]}).json() == [found]
    several = {**body, "parameters": {"candidate_labels": labels, "multi_label": True}}
    assert client().post("/zero-shot", json=several).status_code == 422
    assert len(client("inference").post("/zero-shot", json=several).json()) == 3


def test_an_explanation_is_pythons_and_places_count_code_points(classifier):
    text = "𝔣𝔬𝔤 and a bell"
    found = client().post("/explain", json={"inputs": text, "steps": 8, "occlusion": True}).json()
    expected = explain(classifier, text, steps=8, occlusion=True)
    assert (found["label"], found["score"]) == (expected.label, pytest.approx(expected.score, abs=1e-5))
    for each, word in zip(found["words"], expected.words, strict=True):
        assert text[each["start"] : each["end"]] == each["text"] == word.text
        assert each["weight"] == pytest.approx(word.weight, abs=1e-4)
        assert each["occlusion"] == pytest.approx(word.occlusion, abs=1e-4)


@pytest.mark.parametrize(("text", "label"), [("", None), ("word " * 600, None), ("a bell", "nobody's")])
def test_what_cannot_be_explained_is_refused(text, label):
    answer = client().post("/explain", json={"inputs": text, "label": label})
    assert answer.status_code == 422
    assert "expected" in answer.json()["error"]
