"""The heads that only older versions of transformers have; what they all do is in tests/parity/test_accelerate_*.py."""

import torch
from transformers.modeling_outputs import BaseModelOutput

from modernbert.model._hf_forward import _with_first_in_front

HIDDEN = torch.arange(12.0).reshape(2, 3, 2)
MASK = torch.tensor([[0, 1, 1], [1, 1, 0]])
MOVED = [[[2.0, 3.0], [2.0, 3.0], [4.0, 5.0]], [[6.0, 7.0], [8.0, 9.0], [10.0, 11.0]]]


def test_the_first_real_token_comes_to_the_front_of_a_tuple_and_of_an_output():
    assert _with_first_in_front((HIDDEN, "more"), MASK)[0].tolist() == MOVED
    assert _with_first_in_front((HIDDEN, "more"), MASK)[1:] == ("more",)
    found = _with_first_in_front(BaseModelOutput(last_hidden_state=HIDDEN), MASK)
    assert found.last_hidden_state.tolist() == found[0].tolist() == MOVED
    assert HIDDEN[0, 0].tolist() == [0.0, 1.0]
