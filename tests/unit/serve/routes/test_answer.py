import pytest

from modernbert.tasks.answer import Answerer
from modernbert.tasks.choose import Chooser
from support.served import client, folder_of

CONTEXT = "𝔣𝔬𝔤 lay on the harbour, and the captain counted seven lamps."


def test_answers_are_pythons_with_places_in_code_points():
    answerer = Answerer.from_pretrained(folder_of("answers"), dtype="float32")
    inputs = {"question": "Who counted?", "context": CONTEXT}
    found = client().post("/answer", json={"inputs": inputs, "parameters": {"top_k": 3}}).json()
    (expected,) = answerer.predict([("Who counted?", CONTEXT)], top_k=3, must_answer=True)
    assert [(each["start"], each["end"], each["answer"]) for each in found] == [
        (answer.start, answer.end, answer.text) for answer in expected
    ]
    assert all(CONTEXT[each["start"] : each["end"]] == each["answer"] != "" for each in found)
    assert client().post("/answer", json={"inputs": inputs}).json() == found[0]
    perhaps = {"inputs": inputs, "parameters": {"top_k": 1000, "handle_impossible_answer": True}}
    assert "" in {each["answer"] for each in client().post("/answer", json=perhaps).json()}


def test_a_text_without_a_word_answers_nothing():
    empty = client().post("/answer", json={"inputs": {"question": "Who?", "context": ""}})
    assert empty.json() == {"answer": "", "score": 0.0, "start": 0, "end": 0}


def test_the_best_choice_is_pythons():
    choices = ["a bell", "seven lamps", "fog"]
    found = client().post("/choose", json={"inputs": {"question": "Who rang", "choices": choices}}).json()
    (expected,) = Chooser.from_pretrained(folder_of("choices"), dtype="float32").predict([("Who rang", choices)])
    assert found["choice"] == expected.choice
    assert found["scores"] == pytest.approx(expected.scores, abs=1e-5)
    assert client().post("/choose", json={"inputs": {"question": "a", "choices": ["b"]}}).status_code == 422
