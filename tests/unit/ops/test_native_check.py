"""The kernels without Python: tests/native/check.cpp, linked to the library of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from modernbert.ops.native.build import SOURCES
from modernbert.ops.native.library import library
from support.native import needs_native

CHECK = Path(__file__).parents[2] / "native" / "check.cpp"


@needs_native
def test_attention_and_encoder_are_those_of_plain_loops_in_double_precision(tmp_path):
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        pytest.skip("there is no C++ compiler, and the kernels are here already")
    kernels, program = library().path, tmp_path / "check"
    command = [
        *compiler.split(),
        "-std=c++17",
        "-pthread",
        f"-I{SOURCES}",
        str(CHECK),
        str(kernels),
        "-o",
        str(program),
    ]
    subprocess.run([*command, f"-Wl,-rpath,{kernels.parent}"], check=True, capture_output=True, text=True, timeout=120)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"panels of {library().panel} columns: 0 failures\n"
