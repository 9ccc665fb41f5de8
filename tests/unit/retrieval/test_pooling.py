import numpy as np
import pytest
import torch

from modernbert.core.errors import UnsupportedError
from modernbert.ops.packed import Packed
from modernbert.retrieval.folder import Step
from modernbert.retrieval.pooling import Pool

LENGTHS = (5, 1, 3, 8)
PACKED = Packed.from_lists([[3] * length for length in LENGTHS])
HIDDEN = torch.randn(sum(LENGTHS), 6, generator=torch.Generator().manual_seed(1))


def _documents():
    return np.split(HIDDEN.numpy().astype(np.float64), np.cumsum(LENGTHS)[:-1])


@pytest.mark.parametrize("prompt", [0, 2, 3, 7])
def test_tokens_of_a_prompt_do_not_count_where_the_folder_says_so(prompt):
    """Of a text that is all prompt its last token is left."""
    rest = [rows[min(prompt, len(rows) - 1) :] for rows in _documents()]
    found = Pool(how="mean", with_prompt=False)(HIDDEN, PACKED, prompt)
    np.testing.assert_allclose(found, [rows.mean(axis=0) for rows in rest], atol=1e-6)
    found = Pool(how="cls", with_prompt=False)(HIDDEN, PACKED, prompt)
    np.testing.assert_allclose(found, [rows[0] for rows in rest], atol=1e-6)


def test_a_prompt_counts_where_nothing_is_said():
    found = Pool(how="mean")(HIDDEN, PACKED, 3)
    np.testing.assert_allclose(found, [rows.mean(axis=0) for rows in _documents()], atol=1e-6)


def test_sums_of_halves_are_taken_in_float32():
    long = torch.full((4000, 2), 0.1, dtype=torch.bfloat16)
    packed = Packed.from_lists([[3] * 4000])
    found = Pool(how="mean", with_prompt=False)(long, packed, 5)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found[0], long[0])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Pool(how="mean")),
        ({"pooling_mode": "cls"}, Pool(how="cls")),
        ({"pooling_mode": ["mean"], "include_prompt": False}, Pool(how="mean", with_prompt=False)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pool(how="cls")),
    ],
)
def test_old_and_new_folders_say_it_in_their_words(settings, expected):
    assert Pool.of(Step(kind="Pooling", settings=settings)) == expected


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_what_is_written_is_read_again(how):
    pool = Pool(how=how, with_prompt=False)
    assert Pool.of(pool.step(6)) == pool


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, r"cls \+ max"),
    ],
)
def test_other_poolings_are_refused_by_name(settings, named):
    with pytest.raises(UnsupportedError, match=f"found the pooling {named}, expected cls or mean"):
        Pool.of(Step(kind="Pooling", settings=settings))
