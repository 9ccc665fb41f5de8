import threading
import time

import pytest

from modernbert.infer import ahead
from modernbert.infer.ahead import Tokenized, windows


def _number(texts, first):
    """Every text becomes its number."""
    return Tokenized(documents=[[first + i] for i in range(len(texts))], num_cut=[0] * len(texts))


def _sizes(texts, *, largest):
    return [len(window.documents) for window in windows(texts, _number, largest=largest)]


def test_windows_grow_to_the_largest_and_hold_every_text_once():
    found = [
        number
        for window in windows((str(i) for i in range(2000)), _number, largest=600)
        for (number,) in window.documents
    ]
    assert found == list(range(2000))
    assert _sizes((str(i) for i in range(2000)), largest=600) == [32, 128, 512, 600, 600, 128]


def test_a_window_ends_after_so_many_characters(monkeypatch):
    monkeypatch.setattr(ahead, "MOST_CHARACTERS", 100)
    assert _sizes(["x" * 30] * 10, largest=100) == [4, 4, 2]
    assert _sizes([("x" * 30, "y" * 30)] * 5, largest=100) == [2, 2, 1]
    assert _sizes(["x" * 1000] * 3, largest=100) == [1, 1, 1]


def test_a_window_does_not_wait_for_a_slow_source(monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0.02)

    def slow():
        for text in "abcdef":
            time.sleep(0.03)
            yield text

    assert _sizes(slow(), largest=100) == [1] * 6


def test_the_next_window_is_tokenized_while_the_caller_has_one():
    begun = threading.Event()

    def tokenize(texts, first):
        if first == 4:
            begun.set()
        return _number(texts, first)

    found = windows(["text"] * 100, tokenize, largest=2)
    next(found)
    next(found)  # numbers 2 and 3; those from 4 on are under way without being asked for
    assert begun.wait(10)
    found.close()


def test_a_crash_of_the_tokenizer_comes_behind_the_documents_before_it(monkeypatch):
    monkeypatch.setattr(ahead, "_PIECE", 3)

    def tokenize(texts, first):
        if first == 6:
            raise MemoryError("no room for a merge")
        return _number(texts, first)

    (window, *_) = windows(["text"] * 10, tokenize, largest=10)
    assert window.documents == [[i] for i in range(6)]
    with pytest.raises(MemoryError, match="no room for a merge"):
        raise window.failure


def test_closing_drops_what_is_not_begun(monkeypatch):
    monkeypatch.setattr(ahead, "_PIECE", 1)
    begun = []

    def tokenize(texts, first):
        begun.append(first)
        if first >= 160:
            time.sleep(0.01)
        return _number(texts, first)

    found = windows(["text"] * 1000, tokenize, largest=1000)
    next(found)  # texts 0 to 31
    next(found)  # up to 159; the others are under way
    found.close()
    assert len(begun) < 200
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tokenize")]
