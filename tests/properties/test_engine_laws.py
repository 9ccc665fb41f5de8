"""What holds for any texts, budgets, windows, failures and rooms: every text once, in order, and nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Room
from modernbert.model.pool import pool
from support.close import assert_fp32
from support.narrow import Narrow
from support.small import small_model
from support.texts import small_tokenizer

law = settings(deadline=None, max_examples=50)
texts = st.lists(st.text("ab é字", max_size=12), max_size=120)
rooms = st.builds(
    Room, longest=st.just(64), budget=st.one_of(st.none(), st.integers(1, 200)), window=st.integers(1, 150)
)
kinds = st.sampled_from([list, tuple, iter])


@law
@given(texts, rooms, kinds)
def test_every_text_has_its_result_in_its_place(found, room, kind):
    model = Narrow(10**9)
    expected = small_tokenizer().encode(found).ids
    assert list(Engine(model, small_tokenizer(), room).run(kind(found), model.read)) == expected
    assert sum(model.seen) == sum(map(len, expected)), "and went through the model once"


@law
@given(
    st.lists(st.tuples(st.text("ab ", max_size=9), st.text("ab ", max_size=9)), min_size=1, max_size=60), rooms, kinds
)
def test_every_pair_has_its_result_in_its_place(found, room, kind):
    model = Narrow(10**9)
    expected = small_tokenizer().encode(*zip(*found, strict=True)).ids
    assert list(Engine(model, small_tokenizer(), room).run(kind(found), model.read)) == expected


@law
@given(texts, rooms, st.integers(0, 120))
def test_a_failing_source_fails_behind_the_results_of_all_before(found, room, place):
    def source():
        yield from found[:place]
        raise OSError("the disk is gone")

    model = Narrow(10**9)
    results = []
    with pytest.raises(OSError, match="the disk is gone"):
        results.extend(Engine(model, small_tokenizer(), room).run(source(), model.read))
    assert results == small_tokenizer().encode(found[:place]).ids


@law
@given(texts, rooms, st.integers(1, 40), kinds)
def test_out_of_memory_loses_nothing_or_names_a_text_that_is_too_large(found, room, capacity, kind):
    model = Narrow(capacity)
    expected = small_tokenizer().encode(found).ids
    engine = Engine(model, small_tokenizer(), room)
    if max(map(len, expected), default=0) <= capacity:
        assert list(engine.run(kind(found), model.read)) == expected
    else:
        with pytest.raises(UserError, match="does not fit in memory even alone"):
            list(engine.run(kind(found), model.read))


@settings(deadline=None, max_examples=10)
@given(st.lists(st.text("ab 字", max_size=60), min_size=1, max_size=40), st.integers(1, 400), st.integers(1, 40))
def test_vectors_do_not_depend_on_budget_or_window(found, budget, window):
    model, tokenizer = small_model()

    def vectors(room):
        read = lambda packed: list(pool(model.model(packed), packed, "mean"))  # noqa: E731
        return torch.stack(list(Engine(model, tokenizer, room).run(iter(found), read)))

    alone = vectors(Room(longest=64, budget=1))
    assert_fp32(vectors(Room(longest=64, budget=budget, window=window)), alone.double())
