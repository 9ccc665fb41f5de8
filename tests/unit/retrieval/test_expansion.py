from pathlib import Path

import pytest
import torch

from modernbert.core.errors import CheckpointError
from modernbert.model.encoder import Encoder
from modernbert.model.store import fresh
from modernbert.ops.packed import Packed
from modernbert.retrieval.expansion import Expansion, encode_expanded
from support.tiny import random_documents, tiny_config

WHERE = Path("folder")


@pytest.fixture
def encoder():
    return fresh(tiny_config(), Encoder, seed=5).double().eval()


@torch.no_grad()
def test_queries_without_expansion_are_encoded_as_always(encoder):
    ids = torch.tensor(random_documents([70, 70]))
    expected = encoder(Packed.from_lists(ids.tolist())).view(2, 70, -1)
    found = encode_expanded(encoder, ids, torch.ones_like(ids, dtype=torch.bool))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_own_tokens_of_a_query_do_not_see_the_expansion(encoder):
    (query,) = random_documents([9])
    alone = encoder(Packed.from_lists([query]))
    ids = torch.tensor([[*query, *[5] * 7], [*query, *[6] * 7]])
    is_real = torch.tensor([[True] * 9 + [False] * 7] * 2)
    found = encode_expanded(encoder, ids, is_real)
    for row in found:
        torch.testing.assert_close(row[:9], alone, atol=1e-5, rtol=1e-5)
    assert (found[0, 9:] - found[1, 9:]).abs().max() > 1e-3


@torch.no_grad()
def test_an_expansion_token_sees_the_query_and_no_other_one(encoder):
    (query,) = random_documents([9])
    one, two = (
        encode_expanded(encoder, torch.tensor([[*query, *behind]]), torch.tensor([[True] * 9 + [False] * len(behind)]))
        for behind in ([5], [5, 6, 7])
    )
    torch.testing.assert_close(two[0, 9], one[0, 9], atol=1e-5, rtol=1e-5)
    (other,) = random_documents([9], seed=1)
    changed = encode_expanded(encoder, torch.tensor([[*other, 5]]), torch.tensor([[True] * 9 + [False]]))
    assert (changed[0, 9] - one[0, 9]).abs().max() > 1e-3


@torch.no_grad()
def test_a_token_whose_window_holds_no_real_one_is_no_nan(encoder):
    ids = torch.tensor([[1, *[5] * 199]])
    is_real = torch.tensor([[True] + [False] * 199])
    assert encode_expanded(encoder, ids, is_real).isfinite().all()


def test_settings_are_read_as_they_are_written():
    for given in (Expansion(length=32), Expansion(length=8, strategy="min", is_attended=True, token="x")):
        assert Expansion.of(given.as_settings(), WHERE) == given
    assert Expansion.of(None, WHERE) is None


@pytest.mark.parametrize(
    "given", [True, {"length": 32}, {"length": 0, "strategy": "fixed"}, {"length": 3, "strategy": "max"}]
)
def test_other_settings_are_refused(given):
    with pytest.raises(CheckpointError, match=r"folder: query_expansion: found .*, expected a strategy"):
        Expansion.of(given, WHERE)
