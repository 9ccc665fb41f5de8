"""Scales of activations that are found once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modernbert.core.errors import UserError
from modernbert.export.calibrate import MOST_TOKENS, best_span, calibrate
from modernbert.export.source import read_source
from support.small import small_checkpoint

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def _rounded(numbers, span):
    """In plain steps: as QuantizeLinear of ONNX's specification, and back."""
    whole = [min(255, max(0, round(each / span.scale) + span.zero)) for each in numbers.tolist()]
    return np.array([(each - span.zero) * span.scale for each in whole])


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=50))
def test_nought_is_a_step_and_everything_has_its_place(numbers):
    span = best_span(np.array(numbers, dtype=np.float32))
    assert span.low <= 0 <= span.high
    assert span.scale > 0
    assert 0 <= span.zero <= 255
    assert _rounded(np.zeros(1), span) == 0


def test_steps_are_fine_where_nothing_stands_out():
    numbers = np.random.default_rng(0).uniform(-1, 3, 10_000)
    span = best_span(numbers)
    assert (span.low, span.high) == pytest.approx((-1, 3), abs=0.2)
    assert np.abs(_rounded(numbers, span) - numbers).max() < 0.1


def test_a_few_that_stand_out_do_not_make_all_others_coarse():
    draw = np.random.default_rng(0)
    numbers = np.concatenate([draw.normal(size=100_000), [300.0]])
    span = best_span(numbers)
    assert span.high < 300
    whole = best_span(np.array([numbers.min(), 300.0]))
    errors = [np.square(_rounded(numbers, each) - numbers).sum() for each in (span, whole)]
    assert errors[0] <= errors[1]


def test_every_matrix_gets_a_span_from_real_tokens(tmp_path):
    source = read_source(str(small_checkpoint(tmp_path / "model")), "trunk")
    found = calibrate(source, ["the keeper lit the lamp", "", "fog from the north"] * 4)
    matrices = [name for name, each in source.model.named_parameters() if each.ndim == 2 and "embeddings" not in name]
    assert sorted(found.spans) == sorted(matrices)
    assert 12 < found.num_tokens < MOST_TOKENS
    assert calibrate(source, ["the keeper lit the lamp", "", "fog from the north"] * 4) == found
    with pytest.raises(UserError, match="found no text with a word in it, expected some to find scales"):
        calibrate(source, [""])
