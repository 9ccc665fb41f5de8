"""Laws of the compiled kernels: isolation to the bit, place, window; for attention and for the whole encoder."""

from functools import cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.model.encoder import Encoder
from modernbert.ops import _reference
from modernbert.ops._native import attend
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import assert_exact, assert_fp32
from support.native import needs_native
from support.tiny import VOCABULARY, our_twin, random_documents, random_heads, stock_twin, tiny_config

pytestmark = needs_native

law = settings(deadline=None, max_examples=40)
slow_law = settings(deadline=None, max_examples=15)

lengths = st.lists(st.integers(0, 12) | st.sampled_from([15, 17, 48, 64, 65, 129, 300]), min_size=1, max_size=7)
windows = st.just(Window.full()) | st.builds(Window, st.integers(0, 90), st.integers(0, 90))
sizes = st.sampled_from([32, 64, 128])
seeds = st.integers(0, 2**32 - 1)


@cache
def tiny_encoder() -> Encoder:
    return our_twin(stock_twin(tiny_config(), "ModernBertModel"), tiny_config())


def encoded(documents):
    packed = Packed.from_lists(documents)
    with torch.no_grad():
        return packed.split(tiny_encoder()(packed, backend="native"))


@given(documents=lengths, window=windows, size=sizes, heads=st.integers(1, 3), seed=seeds)
@law
def test_attention_is_the_references(documents, window, size, heads, seed):
    packed = Packed.from_lists(random_documents(documents))
    q, k, v = random_heads(packed, heads=heads, size=size, seed=seed)
    truth = _reference.attend(q, k, v, layout=packed, window=window)
    assert_fp32(attend(q.float(), k.float(), v.float(), layout=packed, window=window), truth)


@given(documents=lengths, window=windows, size=sizes, seed=seeds)
@law
def test_attention_in_a_document_has_the_same_bits_whatever_the_others_hold(documents, window, size, seed):
    packed = Packed.from_lists(random_documents(documents))
    changed = seed % len(documents)
    heads, others = (random_heads(packed, size=size, seed=s) for s in (seed, seed + 1))
    mixed = (torch.where(packed.documents[:, None, None] == changed, b, a) for a, b in zip(heads, others, strict=True))
    before = packed.split(attend(*(x.float() for x in heads), layout=packed, window=window))
    after = packed.split(attend(*(x.float() for x in mixed), layout=packed, window=window))
    for number, length in enumerate(documents):
        if number != changed:
            assert_exact(after[number], before[number])
        elif length:
            assert not torch.equal(after[number], before[number])


@given(left=st.integers(0, 300), right=st.integers(0, 300), start=st.integers(0, 40), seed=seeds)
@slow_law
def test_one_step_outside_the_window_nothing_changes_and_one_step_inside_something_does(left, right, start, seed):
    packed = Packed.from_lists(random_documents([start, 600]))
    heads = [x.float() for x in random_heads(packed, heads=1, size=32, seed=seed)]
    heads[0] /= 8  # weights so even that none is too small to be seen
    before = attend(*heads, layout=packed, window=Window(left, right))
    changed = start + seed % 600
    for x in heads[1:]:
        x[changed] += 1
    after = attend(*heads, layout=packed, window=Window(left, right))
    seeing = (before != after).flatten(1).any(1).nonzero().squeeze(1)
    assert int(seeing.min()) == max(start, changed - right)
    assert int(seeing.max()) == min(start + 599, changed + left)
    assert len(seeing) == int(seeing.max()) - int(seeing.min()) + 1


@given(documents=lengths, seed=seeds)
@slow_law
def test_a_document_is_encoded_to_the_same_bits_whatever_the_others_hold(documents, seed):
    before = random_documents(documents, seed=seed)
    after = random_documents(documents, seed=seed + 1)
    kept = seed % len(documents)
    after[kept] = before[kept]
    assert_exact(encoded(after)[kept], encoded(before)[kept])


@given(documents=lengths, seed=seeds)
@slow_law
def test_a_document_is_encoded_alone_as_among_others(documents, seed):
    together = random_documents(documents, seed=seed)
    for document, among in zip(together, encoded(together), strict=True):
        assert_fp32(encoded([document])[0], among.double())


@given(before=st.integers(0, 30), length=st.integers(40, 250), seed=seeds)
@slow_law
def test_a_sliding_encoder_reaches_its_windows_and_not_a_token_further(before, length, seed):
    config = tiny_config(layer_types=("sliding_attention",) * 2, num_hidden_layers=2, local_attention=16)
    encoder = our_twin(stock_twin(config, "ModernBertModel"), config)
    documents = random_documents([before, length], seed=seed)
    at = seed % length
    with torch.no_grad():
        first = encoder(Packed.from_lists(documents), backend="native")
        documents[1][at] = (documents[1][at] + 1) % VOCABULARY
        second = encoder(Packed.from_lists(documents), backend="native")
    changed = (first != second).any(1).nonzero().squeeze(1) - before
    assert (int(changed.min()), int(changed.max())) == (max(0, at - 16), min(length - 1, at + 16))
