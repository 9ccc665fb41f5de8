"""The CPU kernels, found or compiled, and called with tensors.

The library is looked for beside this file, where a wheel has it, and in the user's cache; where it is in neither, it is
compiled into the cache, once. Without a compiler everything runs in plain PyTorch, and says so.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from modernbert.core.log import say, warn_once
from modernbert.ops.native.build import PACKAGED, VARIANTS, CompileError, build, file_name, find_compiler, machine

SWITCH = "MODERNBERT_NATIVE"
"""Set to 0, this environment variable leaves the kernels out."""

NUMBERS = {torch.float32: 0, torch.bfloat16: 1}
"""Those that training computes in, as modernbert.h counts them."""

_AVX512 = ("avx512_f", "avx512_bw", "avx512_dq", "avx512_vl")
_BRIEF = ("avx512_bf16", "avx512_vnni")
_NEEDED = {
    "amx": (*_AVX512, *_BRIEF, "amx_tile", "amx_bf16", "amx_int8"),
    "avx512bf16": (*_AVX512, *_BRIEF),
    "avx512": _AVX512,
    "avx2": ("avx2", "fma3"),
    "neon": (),
}
"""What torch calls the features that a variant needs."""


_FUNCTIONS = (
    "ready", "panel", "step", "takes_head_size", "attend", "attend_backward", "turn", "gate", "gate_backward", "norm",
    "norm_backward", "encode", "changed",
)  # fmt: skip


Argument = Tensor | int | float | ctypes.Structure
"""What a function takes."""


class Library:
    """The functions of modernbert.h."""

    def __init__(self, path: Path, variant: str) -> None:
        self.variant = variant
        self.path = path
        self.handle = ctypes.CDLL(str(path))
        for name in _FUNCTIONS:
            getattr(self.handle, f"modernbert_{name}").restype = ctypes.c_int64
        self.panel = int(self.handle.modernbert_panel())
        """Columns that a weight's panel has."""
        self.head_sizes = f"multiples of {self.panel} up to 128"
        """Numbers that a head may have, for people; `takes_head_size` knows."""

    def is_ready(self) -> bool:
        """Whether the system lends this process what the variant was compiled for: matrix tiles have to be asked for."""
        return self.handle.modernbert_ready() == 0

    def step(self, numbers: int) -> int:
        """How many neighbours of a row lie side by side in a panel of such numbers, as modernbert.h counts them."""
        return int(self.handle.modernbert_step(ctypes.c_int64(numbers)))

    def takes_head_size(self, size: int) -> bool:
        """Whether attention can run heads of this size."""
        return bool(self.handle.modernbert_takes_head_size(ctypes.c_int64(size)))

    def call(self, name: str, *arguments: Argument) -> int:
        """Call a function: tensors go as their addresses, whole numbers as int64, others as floats, structures by reference.

        Raises:
            torch.OutOfMemoryError: there was no memory for what the call needs in between.
        """
        result = int(getattr(self.handle, f"modernbert_{name}")(*map(_as_c, arguments)))
        if result == -1:
            raise torch.OutOfMemoryError(f"the CPU kernel {name!r} found no memory: use a smaller batch")
        assert result >= 0, f"modernbert_{name} refused a shape that was checked before: {result}"
        return result


@cache
def library() -> Library | None:
    """The kernels for this processor; absent where `why_not` says why."""
    return _found()[0]


def why_not() -> str | None:
    """Why there are no kernels here, or nothing when there are."""
    return _found()[1]


@cache
def _found() -> tuple[Library | None, str | None]:
    if os.environ.get(SWITCH, "1") == "0":
        return None, f"{SWITCH}=0 leaves them out"
    if os.name == "nt":
        return None, "they are not built for Windows"
    variants = _variants()
    if not variants:
        return None, f"they are not written for this processor ({machine()} without {' or '.join(_NEEDED)})"
    try:
        return _first_ready(variants), None
    except (CompileError, OSError, RuntimeError) as error:  # RuntimeError: this user has no home folder
        warn_once("native", f"attention and encoding run in plain PyTorch, which is slower: no CPU kernels, {error}")
        return None, str(error)


def _variants() -> list[str]:
    """Those that this processor has everything for, best first."""
    features = torch.cpu.get_capabilities()
    return [name for name in VARIANTS.get(machine(), {}) if all(features.get(each) for each in _NEEDED[name])]


def _first_ready(variants: list[str]) -> Library:
    *better, last = variants
    for variant in better:
        kernels = _load(variant)
        if kernels.is_ready():
            return kernels
        warn_once(
            f"native {variant}", f"the system does not lend this process the CPU's {variant}: slower kernels take over"
        )
    return _load(last)


def _load(variant: str) -> Library:
    packaged = PACKAGED / file_name(variant)
    if packaged.exists():
        try:
            return Library(packaged, variant)
        except OSError:
            pass  # linked with a newer system's libraries than this one has: compile it here
    return Library(_compiled(variant), variant)


def _compiled(variant: str) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modernbert" / "native"
    cached = folder / file_name(variant)
    if not cached.exists():
        find_compiler()
        folder.mkdir(parents=True, exist_ok=True)
        import fcntl  # Windows has none

        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # processes that start together compile once
            if not cached.exists():
                say("compiling the CPU kernels, once (10 to 40 s)")
                build(variant, folder)
    return cached


def _as_c(argument: Argument) -> object:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    return ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.byref(argument)
