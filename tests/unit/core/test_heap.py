"""Counted in a process of its own: the setting stays for the whole life of one."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import ctypes, resource, sys
from modernbert.core.heap import keep_large_blocks

assert sys.argv[1] == "as it is" or keep_large_blocks()
libc, size = ctypes.CDLL(None), ctypes.c_size_t(48 << 20)
libc.malloc.restype, libc.memset.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
libc.free.argtypes = (ctypes.c_void_p,)
for step in range(12):
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    libc.memset(block, 1, size)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc has the setting")
def test_large_blocks_that_come_again_are_not_cleared_by_the_system_again():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("as it is", "kept")
    }
    assert faults["kept"] < faults["as it is"] / 10


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch):
    from modernbert.core import heap

    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert not heap.keep_large_blocks()
