import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Room, batches
from modernbert.ops.packed import Packed
from support.small import small_model

TEXTS = ["one", "", "a much longer text than the others are", "two words", "x" * 50]


def _first_ids(packed: Packed) -> list[list[int]]:
    return [ids.tolist() for ids in packed.split(packed.ids)]


@pytest.mark.parametrize("window", [1, 2, 100])
@pytest.mark.parametrize("budget", [1, 10, 1000])
def test_results_come_back_in_the_callers_order(window, budget):
    model, tokenizer = small_model()
    engine = Engine(model, tokenizer, Room(longest=64, budget=budget, window=window))
    assert list(engine.run(TEXTS, _first_ids)) == tokenizer.encode(TEXTS).ids


def test_texts_are_read_window_by_window():
    model, tokenizer = small_model()
    engine = Engine(model, tokenizer, Room(longest=64, window=2))
    read = []

    def endless():
        while True:
            read.append(1)
            yield "text"

    results = engine.run(endless(), _first_ids)
    next(results)
    assert len(read) == 2


def test_what_was_cut_is_counted_on_stderr(capsys):
    model, tokenizer = small_model()
    (ids,) = Engine(model, tokenizer, Room(longest=8)).run(["one two three four five six seven eight nine"], _first_ids)
    whole = tokenizer.encode(["one two three four five six seven eight nine"]).ids[0]
    assert len(ids) == 8
    assert (
        f"1 of 1 texts were longer than 8 tokens: {len(whole) - 8} tokens at their ends were not read"
        in capsys.readouterr().err
    )


def test_what_is_too_long_can_be_refused():
    model, tokenizer = small_model()
    engine = Engine(model, tokenizer, Room(longest=8, too_long="refuse", window=2))
    with pytest.raises(UserError, match=r"text 2 has \d+ tokens, expected 8 or fewer: split it"):
        list(engine.run(["a", "b", "word " * 40], _first_ids))


def test_the_model_runs_without_gradients():
    model, tokenizer = small_model()
    engine = Engine(model, tokenizer, Room(longest=64))
    (grad,) = engine.run(["a"], lambda packed: [model.model(packed).requires_grad])
    assert not grad
    assert torch.is_grad_enabled()


def test_progress_does_not_reach_stdout(capsys):
    model, tokenizer = small_model()
    list(Engine(model, tokenizer, Room(longest=64)).run(TEXTS, _first_ids, show_progress=True))
    assert capsys.readouterr().out == ""


@given(st.lists(st.integers(0, 40)), st.integers(1, 60))
def test_batches_hold_every_document_once_within_the_budget(lengths, budget):
    groups = list(batches(lengths, budget))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or sum(lengths[i] for i in group) <= budget for group in groups)
