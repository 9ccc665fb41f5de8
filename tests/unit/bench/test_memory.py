import sys

import numpy as np
import pytest

from modernbert.bench import memory
from modernbert.core.errors import UserError


@pytest.mark.parametrize(
    ("words", "amount"), [("24GB", 24e9), ("500 MB", 5e8), ("8g", 8e9), ("1.5TB", 1.5e12), ("12", 12)]
)
def test_amounts_are_read_as_people_write_them(words, amount):
    assert memory.parse_bytes(words) == amount


@pytest.mark.parametrize("words", ["lots", "-3GB", "3 boxes", ""])
def test_what_is_no_amount_is_refused(words):
    with pytest.raises(UserError, match=r"--budget: found .*, expected an amount of memory such as 24GB"):
        memory.parse_bytes(words)


def test_the_largest_batch_lies_on_a_line_through_two():
    assert memory.extrapolated(24_000, (4, 12), (1_000, 1_800)) == 234
    assert memory.extrapolated(500, (4, 12), (1_000, 1_800)) == 0  # the weights alone are more
    assert memory.extrapolated(24_000, (4, 12), (1_000, 1_000)) is None


@pytest.mark.parametrize("most", [0, 1, 2, 63, 64, 100, 1604])
def test_the_largest_that_fits_is_found_by_trying(most):
    tried = []
    found = memory.largest(lambda number: tried.append(number) or number <= most)
    assert most - most / 32 <= found <= most
    assert len(tried) < 25


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak")
def test_a_peak_is_seen_and_forgotten():
    assert memory.can_measure("cpu")
    memory.begin("cpu")
    before = memory.in_use("cpu")
    block = np.ones(30_000_000, dtype=np.float32)
    del block
    assert memory.peak("cpu") - before > 100e6
    memory.begin("cpu")
    assert memory.peak("cpu") - before < 60e6
