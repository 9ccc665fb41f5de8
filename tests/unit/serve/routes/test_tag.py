import pytest

from modernbert.tasks.tag import Tagger
from support.served import TEXTS, client, folder_of


@pytest.fixture(scope="module")
def tagger():
    return Tagger.from_pretrained(folder_of("entities"), dtype="float32")


def test_entities_are_pythons_with_places_in_code_points(tagger):
    found = client().post("/tag", json={"inputs": TEXTS}).json()
    rows = tagger.predict(TEXTS)
    assert any(row.entities for row in rows), "nothing was compared"
    for text, row, expected in zip(TEXTS, found, rows, strict=True):
        assert [(each["entity_group"], each["start"], each["end"]) for each in row] == [
            (entity.label, entity.start, entity.end) for entity in expected.entities
        ]
        for each, entity in zip(row, expected.entities, strict=True):
            assert text[each["start"] : each["end"]] == each["word"]
            assert each["score"] == pytest.approx(entity.score, abs=1e-5)
            assert "entity" not in each
    assert client().post("/tag", json={"inputs": TEXTS[0]}).json() == found[0]


def test_every_word_has_a_tag_where_that_is_asked_for_or_tags_are_no_entities(tagger):
    parameters = {"aggregation_strategy": "none", "ignore_labels": []}
    words = client().post("/tag", json={"inputs": TEXTS[2], "parameters": parameters}).json()
    (expected,) = tagger.predict([TEXTS[2]])
    assert [each["entity"] for each in words] == list(expected.tags)
    assert [TEXTS[2][each["start"] : each["end"]] for each in words] == list(expected.words)
    parts = client("parts-of-speech").post("/tag", json={"inputs": "a bell"}).json()
    assert [each["word"] for each in parts] == ["a", "bell"]
    assert {each["entity"] for each in parts} <= {"NOUN", "VERB"}


def test_what_is_ignored_does_not_come():
    every = client().post("/tag", json={"inputs": TEXTS}).json()
    kinds = {each["entity_group"] for row in every for each in row}
    left = client().post("/tag", json={"inputs": TEXTS, "parameters": {"ignore_labels": sorted(kinds)}}).json()
    assert kinds
    assert left == [[], [], []]
