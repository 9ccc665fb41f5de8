"""Laws of attention over packed documents: isolation, order, place, window. FlexAttention is traced anew for every
shape, so it obeys fewer examples."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modernbert.ops.attention import attend
from modernbert.ops.packed import Packed
from modernbert.ops.rope import Rope
from modernbert.ops.window import Window
from support.close import assert_exact, assert_fp32, error
from support.tiny import random_documents, random_heads

law = settings(deadline=None, max_examples=40)
flex_law = settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
two_backends = pytest.mark.parametrize("which", ["reference", "blocked"])

lengths = st.lists(st.integers(0, 12) | st.sampled_from([15, 16, 17, 63, 64, 65, 129, 150]), min_size=1, max_size=7)
windows = st.just(Window.full()) | st.builds(Window, st.integers(0, 90), st.integers(0, 90))
seeds = st.integers(0, 2**32 - 1)


def holed(columns, kept, seed):
    """A padded batch in which each row has kept its share of tokens, anywhere."""
    chance = torch.rand(len(kept), columns, generator=torch.Generator().manual_seed(seed))
    return Packed.from_padded(torch.ones(len(kept), columns).long(), chance < torch.tensor(kept)[:, None])


def run(packed, heads, window, which="blocked"):
    return attend(*heads, layout=packed, window=window, backend=which)


def isolation(sizes, window, seed, which):
    packed = Packed.from_lists(random_documents(sizes))
    changed = seed % len(sizes)
    heads, others = (random_heads(packed, seed=s) for s in (seed, seed + 1))
    mixed = tuple(
        torch.where(packed.documents[:, None, None] == changed, b, a) for a, b in zip(heads, others, strict=True)
    )
    before, after = (packed.split(run(packed, given_heads, window, which)) for given_heads in (heads, mixed))
    for number in range(len(sizes)):
        if number == changed:
            assert sizes[number] == 0 or not torch.equal(before[number], after[number])
        elif which == "reference":
            assert_exact(after[number], before[number])
        else:
            assert_fp32(after[number], before[number])


def batch_invariance(sizes, window, seed, which):
    packed = Packed.from_lists(random_documents(sizes))
    heads = random_heads(packed, seed=seed)
    among = packed.split(run(packed, heads, window, which))
    for number, own in enumerate(zip(*(packed.split(x) for x in heads), strict=True)):
        alone = run(Packed.from_lists(random_documents([sizes[number]])), own, window, which)
        assert_fp32(alone, among[number])


@two_backends
@given(sizes=lengths, window=windows, seed=seeds)
@law
def test_changing_a_document_changes_no_other(which, sizes, window, seed):
    isolation(sizes, window, seed, which)


@given(sizes=lengths, window=windows, seed=seeds)
@flex_law
def test_changing_a_document_changes_no_other_in_flex(unchecked, sizes, window, seed):
    isolation(sizes, window, seed, "flex")


@two_backends
@given(sizes=lengths, window=windows, seed=seeds)
@law
def test_a_document_does_not_depend_on_its_neighbours_or_its_place(which, sizes, window, seed):
    batch_invariance(sizes, window, seed, which)


@given(sizes=st.lists(st.integers(0, 70), min_size=2, max_size=3), window=windows, seed=seeds)
@settings(flex_law, max_examples=2)
def test_a_document_does_not_depend_on_its_neighbours_or_its_place_in_flex(unchecked, sizes, window, seed):
    batch_invariance(sizes, window, seed, "flex")


@given(sizes=lengths, window=windows, seed=seeds)
@law
def test_blocked_is_the_reference(sizes, window, seed):
    packed = Packed.from_lists(random_documents(sizes))
    heads = random_heads(packed, seed=seed)
    assert error(run(packed, heads, window), run(packed, heads, window, "reference")) < 1e-13


@given(
    columns=st.integers(1, 80),
    kept=st.lists(st.sampled_from([0.05, 0.5, 0.95, 1.0]), min_size=1, max_size=4),
    window=windows,
    seed=seeds,
)
@law
def test_blocked_is_the_reference_across_holes(columns, kept, window, seed):
    packed = holed(columns, kept, seed)
    heads = random_heads(packed, seed=seed)
    assert error(run(packed, heads, window), run(packed, heads, window, "reference")) < 1e-13


@two_backends
@given(left=st.integers(0, 70), right=st.integers(0, 70), seed=seeds)
@law
def test_one_step_outside_the_window_nothing_changes_and_one_step_inside_something_does(which, left, right, seed):
    packed = Packed.from_lists(random_documents([30, 200]))
    heads = random_heads(packed, seed=seed)
    before = run(packed, heads, Window(left, right), which)
    changed = 30 + seed % 200
    for x in heads[1:]:
        x[changed] += 1
    after = run(packed, heads, Window(left, right), which)
    seeing = (before != after).flatten(1).any(1).nonzero().squeeze(1)
    assert int(seeing.min()) == max(30, changed - right), "the first query that still sees the key ahead of it"
    assert int(seeing.max()) == min(229, changed + left)
    assert len(seeing) == int(seeing.max()) - int(seeing.min()) + 1


@two_backends
@given(sizes=lengths, window=windows, shift=st.integers(0, 8000), seed=seeds)
@law
def test_shifting_all_positions_of_a_document_changes_nothing(which, sizes, window, shift, seed):
    """Rotations are relative. Angles are float32, as stock's are, so what is left is the rounding of large angles."""
    packed = Packed.from_lists(random_documents(sizes))
    q, k, v = random_heads(packed, seed=seed)
    shifted_document = seed % len(sizes)
    moved = packed.positions + shift * (packed.documents == shifted_document)
    outputs = []
    for positions in (packed.positions, moved):
        rope = Rope.at(positions, theta=10_000.0, head_size=16, longest=10_000)
        turned_q, turned_k = rope(torch.stack((q, k), dim=1)).unbind(1)
        outputs.append(run(replace(packed, positions=positions, memo={}), (turned_q, turned_k, v), window, which))
    largest_angle = shift + 200
    assert error(outputs[1], outputs[0]) <= 1e-9 + 4 * largest_angle * 2**-24


@two_backends
@given(sizes=lengths, window=windows, seed=seeds)
@law
def test_weights_are_an_average_so_equal_values_come_out_as_they_are(which, sizes, window, seed):
    packed = Packed.from_lists(random_documents(sizes))
    q, k, v = random_heads(packed, seed=seed)
    assert error(run(packed, (q, k, torch.ones_like(v)), window, which), torch.ones_like(v)) < 1e-14
