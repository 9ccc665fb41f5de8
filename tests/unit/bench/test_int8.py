"""The accuracy report of int8: its figures against a slow way to get them, and what it says of them."""

import copy
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from modernbert.bench import int8
from modernbert.bench.int8 import Closeness, Guesses, Neighbours, Report, Speed, check_int8
from modernbert.core.errors import UnsupportedError, UserError
from modernbert.model.config import SIZES
from modernbert.model.encoder import Encoder
from modernbert.model.heads import MaskedLM
from modernbert.model.quantize import quantize
from modernbert.model.store import fresh, load, save
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer
from support.native import needs_native
from support.sentences import document
from support.small import small_checkpoint

CHANCE = random.Random(5)
TEXTS = [document(CHANCE)[: 60 + 5 * number] for number in range(24)]


def check(folder, texts=TEXTS, **settings):
    return check_int8(folder, texts, **({"most_tokens": 10**6, "seconds": 0.01} | settings))


@torch.no_grad()
def loud_checkpoint(folder):
    """Weights so far apart that rounding them is seen in every figure."""
    model = load(small_checkpoint(folder), MaskedLM, dtype="float32")
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            weight.mul_(1 + 4 * torch.rand(weight.shape[0], 1, generator=torch.Generator().manual_seed(len(name))))
    save(model, folder)
    return folder


@needs_native
@torch.no_grad()
def test_cosines_and_neighbours_are_those_of_a_slow_way(tmp_path):
    found = check(loud_checkpoint(tmp_path), pooling="mean")
    full = load(tmp_path, Encoder, dtype="float32")
    whole = quantize(copy.deepcopy(full))
    states, vectors = [], []
    documents = Tokenizer.load(tmp_path).encode(TEXTS).ids
    for ids in documents:
        pair = [encoder(Packed.from_lists([ids])).double().numpy() for encoder in (full, whole)]
        states += [cosine(*rows) for rows in zip(*pair, strict=True)]
        vectors.append([rows.mean(0) for rows in pair])
    of_vectors = [cosine(*pair) for pair in vectors]
    for closeness, cosines in ((found.states, states), (found.vectors, of_vectors)):
        assert closeness.mean == pytest.approx(np.mean(cosines), abs=1e-5)
        assert closeness.low == pytest.approx(np.quantile(cosines, 0.01), abs=1e-5)
        assert closeness.least == pytest.approx(min(cosines), abs=1e-5)
        assert 0.9 < closeness.least < closeness.mean < 0.9999999, "int8 is not float32"
    near = [[nearest(vectors, number, side) for side in (0, 1)] for number in range(24)]
    shared = np.mean([len(one & other) / 2 for one, other in near])
    assert found.neighbours == Neighbours(nearest=2, among=24, overlap=pytest.approx(shared))
    assert (found.num_texts, found.num_tokens) == (24, sum(map(len, documents)))


def cosine(one, other):
    return float(one @ other / math.sqrt((one @ one) * (other @ other)))


def nearest(vectors, number, side):
    others = [other for other in range(len(vectors)) if other != number]
    return set(sorted(others, key=lambda other: -cosine(vectors[number][side], vectors[other][side]))[:2])


def test_nobody_is_a_neighbour_of_itself():
    vectors = torch.tensor([[1, 0.0], [1, 0.1], [0, 1.0], [0.1, 1]])
    turned = torch.tensor([[1, 0.0], [0, 1.1], [0, 1.0], [1, 0.1]])
    assert int8._neighbours(vectors, vectors) == Neighbours(nearest=1, among=4, overlap=1.0)
    assert int8._neighbours(vectors, turned) == Neighbours(nearest=1, among=4, overlap=0.0)


@needs_native
@torch.no_grad()
def test_guesses_are_those_of_the_whole_model(tmp_path, monkeypatch):
    streams = []
    own = int8.mask

    def keep(*arguments, **named):
        streams.append(own(*arguments, **named))
        return streams[-1]

    monkeypatch.setattr(int8, "mask", keep)
    monkeypatch.setattr(int8, "_BATCH", 300)
    found = check(loud_checkpoint(tmp_path)).guesses
    lengths = sorted(map(len, Tokenizer.load(tmp_path).encode(TEXTS).ids))
    assert len(streams) > 2
    inputs, labels = (torch.from_numpy(np.concatenate(each)) for each in zip(*streams, strict=True))
    packed = Packed.from_lists([[0] * length for length in lengths]).with_ids(inputs)
    model = load(tmp_path, MaskedLM, dtype="float32")
    at = (labels != -100).nonzero().squeeze(1)
    assert (inputs[at] == Tokenizer.load(tmp_path).mask_id).all()
    first = []
    for loss, share in ((found.loss, found.found), (found.loss_int8, found.found_int8)):
        truth = model.loss(packed, labels)
        first.append(model(packed, at).argmax(-1))
        assert loss == pytest.approx(float(truth.loss), rel=1e-5)
        assert share == pytest.approx(truth.num_correct / len(at))
        quantize(model)
    assert found.loss_int8 != pytest.approx(found.loss, rel=1e-4)
    assert found.num_masked == len(at) == pytest.approx(0.15 * sum(lengths), rel=0.3)
    assert found.agreement == pytest.approx((first[0] == first[1]).float().mean().item())


@needs_native
def test_a_bare_encoder_has_no_guesses_and_two_texts_no_neighbours(tmp_path):
    tokenizer = Tokenizer.load(small_checkpoint(tmp_path / "small"))
    tokenizer.save(tmp_path / "bare")
    save(load(tmp_path / "small", Encoder, dtype="float32"), tmp_path / "bare")
    found = check(tmp_path / "bare", TEXTS[:2])
    assert found.guesses is None
    assert found.neighbours is None
    assert not found.problems


@needs_native
def test_texts_are_drawn_to_the_tokens_asked_for_and_the_rest_is_told(tmp_path, capsys):
    small_checkpoint(tmp_path)
    found = check(tmp_path, most_tokens=300)
    assert 0 < found.num_tokens <= 300
    assert f"{found.num_texts} of 24 texts were drawn for the comparison, {found.num_tokens} tokens" in said(capsys)
    assert check(tmp_path, most_tokens=1).num_texts == 1
    capsys.readouterr()
    check(tmp_path, [*TEXTS[:2], "word " * 5000])
    assert "1 of 3 texts are longer than 128 tokens: their ends are not compared" in said(capsys)


def said(capsys):
    return capsys.readouterr().err


def test_wrong_wishes_are_refused(tmp_path):
    with pytest.raises(UserError, match="tokens and seconds are above 0: found 0 and 1"):
        check(tmp_path, most_tokens=0, seconds=1)
    with pytest.raises(UserError, match="there is no text to compare on: found none"):
        check(small_checkpoint(tmp_path), [])


def test_a_model_that_the_kernels_cannot_run_is_refused(tmp_path):
    config = replace(SIZES["tiny"], hidden_activation="silu")
    save(fresh(config), tmp_path)
    Tokenizer.load(small_checkpoint(tmp_path / "small")).save(tmp_path)
    with pytest.raises(UnsupportedError, match="quantize: found Encoder"):
        check(tmp_path)


GOOD = Report(
    model="m",
    num_texts=100,
    num_tokens=5000,
    pooling="mean",
    states=Closeness(mean=0.9999, low=0.999, least=0.98),
    vectors=Closeness(mean=0.9999, low=0.999, least=0.98),
    guesses=Guesses(num_masked=700, loss=2.0, loss_int8=2.01, found=0.5, found_int8=0.5, agreement=0.98),
    neighbours=Neighbours(nearest=10, among=100, overlap=0.97),
    speed=Speed(tokens_per_second=100, tokens_per_second_int8=180, ratio=1.8, lowest=1.7, highest=1.9),
)
BAD = {
    "states": ({"states": replace(GOOD.states, low=0.98)}, "1% of token states have a cosine below 0.9800"),
    "vectors": ({"vectors": replace(GOOD.vectors, mean=0.998)}, "vectors have a mean cosine of 0.99800"),
    "loss": ({"guesses": replace(GOOD.guesses, loss_int8=2.1)}, "a masked token costs 0.100 nats more"),
    "agreement": ({"guesses": replace(GOOD.guesses, agreement=0.9)}, "90.0% of first guesses are the same"),
    "neighbours": ({"neighbours": replace(GOOD.neighbours, overlap=0.8)}, "80.0% of nearest neighbours are the same"),
    "no number": ({"vectors": replace(GOOD.vectors, mean=math.nan)}, "vectors have a mean cosine of nan"),
}


@pytest.mark.parametrize(("changes", "sentence"), BAD.values(), ids=BAD)
def test_what_is_beyond_a_limit_is_named(changes, sentence):
    found = replace(GOOD, **changes)
    assert len(found.problems) == 1
    assert sentence in found.verdict
    assert found.verdict.startswith("Look closer before you use int8 here: ")


def test_a_good_model_is_told_how_much_faster_it_is():
    assert GOOD.verdict == "int8 is as good as float32 on these texts, and 1.80 times as fast."
    slow = replace(GOOD, speed=replace(GOOD.speed, ratio=1.01))
    assert slow.verdict == "int8 is as good as float32 on these texts, but not faster on this machine."
    assert replace(GOOD, guesses=None, neighbours=None).problems == ()
