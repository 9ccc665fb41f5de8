"""Streams depend on their names and on nothing else."""

import os
import subprocess
import sys
from hashlib import blake2b

import numpy as np
import pytest

from modernbert.core.seeds import Seeds


def test_a_stream_is_the_same_for_ever():
    written_out = blake2b(b"i2:17s4:maski1:0i1:3", digest_size=8).digest()
    assert Seeds(17).for_("mask", 0, 3) == int.from_bytes(written_out, "big") >> 1 == 439624002351174241
    assert Seeds(17).numpy("mask", 0, 3).integers(1000, size=4).tolist() == [419, 965, 392, 417]


def test_a_stream_does_not_depend_on_the_hash_seed():
    program = "from modernbert.core.seeds import Seeds; print(Seeds(17).for_('mask', 0, 'ü'))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{Seeds(17).for_('mask', 0, 'ü')}\n"}


NAMES = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("a", 1), ("a", "1"), ("a", -1), ("a", 11), ("a", 1, 1)]
NAMES += [("a", ""), ("a",), ("",), ("", ""), ("1:a",), ("s1:a",), ("a", "i1:1"), ("a", 2**80)]


def test_different_names_are_different_streams():
    seeds = [Seeds(17).for_(*names) for names in NAMES]
    assert [seeds.index(seed) for seed in seeds] == list(range(len(NAMES)))


def test_different_roots_are_different_streams():
    assert len({Seeds(root).for_("mask") for root in (-1, 0, 1, 17, 2**70)}) == 5


def test_seeds_fit_63_bits_and_use_them_all():
    seeds = [Seeds(0).for_("mask", step) for step in range(2_000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    for bit in range(63):
        share = sum(seed >> bit & 1 for seed in seeds) / len(seeds)
        assert 0.4 < share < 0.6, f"bit {bit}"


def test_asking_twice_gives_the_same_numbers_twice():
    one, other = Seeds(3).numpy("shuffle", 1), Seeds(3).numpy("shuffle", 1)
    assert one.random(5).tolist() == other.random(5).tolist() != one.random(5).tolist()


def test_a_numpy_integer_is_the_same_name():
    assert Seeds(3).for_("mask", np.int64(5)) == Seeds(3).for_("mask", 5)


@pytest.mark.parametrize("name", [True, 1.0, None, b"a", ("a",)], ids=repr)
def test_other_names_are_refused(name):
    with pytest.raises(TypeError, match=r"^found .* \(\w+\), expected text or a whole number to name a random stream$"):
        Seeds(17).for_("mask", name)
    with pytest.raises(TypeError, match=r"expected text or a whole number"):
        Seeds(name)
