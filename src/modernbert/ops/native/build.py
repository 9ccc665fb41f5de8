"""Compile the CPU kernels: once for each instruction set, by the package's build or at first use.

Needs the standard library only, so that the build of a wheel can call it.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent
PACKAGED = SOURCES / "lib"
"""Where a wheel has the libraries of its kind of processor."""

_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma")
_BRIEF = ("-mavx512bf16", "-mavx512vnni")

VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "amx": (*_AVX512, *_BRIEF, "-mamx-tile", "-mamx-bf16", "-mamx-int8"),
        "avx512bf16": (*_AVX512, *_BRIEF),
        "avx512": _AVX512,
        "avx2": ("-mavx2", "-mfma"),
    },
    "aarch64": {"neon": ()},
}
"""For each kind of processor, its instruction sets, best first, and what asks the compiler for them."""

_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-pthread")


class CompileError(Exception):
    """The compiler is missing, or did not make the library; says which and why."""


def machine() -> str:
    """The kind of processor, by Linux's name for it."""
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def file_name(variant: str) -> str:
    """The library's name, which changes with its sources: an old one is never mistaken for a new one."""
    digest = hashlib.sha256(" ".join((*_FLAGS, *VARIANTS[machine()][variant])).encode())
    for source in sorted(SOURCES.glob("*.h")) + sorted(SOURCES.glob("*.cpp")):
        digest.update(source.read_bytes())
    return f"libmodernbert-{variant}-{digest.hexdigest()[:12]}.so"


def build_all(folder: Path) -> tuple[list[Path], list[str]]:
    """Every variant of this kind of processor, side by side: what was made, and why the others were not.

    Libraries of older sources go.
    """
    variants = VARIANTS.get(machine(), {}) if os.name != "nt" else {}
    made, complaints = [], []

    def attempt(variant: str) -> None:
        try:
            made.append(build(variant, folder))
        except (CompileError, OSError) as error:
            complaints.append(f"{variant}: {error}")

    with ThreadPoolExecutor() as threads:
        list(threads.map(attempt, variants))
    for old in set(folder.glob("*.so")) - set(made):
        old.unlink()
    return sorted(made), sorted(complaints)


def build(variant: str, folder: Path) -> Path:
    """Compile one variant into `folder`, atomically, unless it is there; takes ten to forty seconds.

    Raises:
        CompileError: see there.
    """
    library = folder / file_name(variant)
    if library.exists():
        return library
    compiler = find_compiler()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        made = Path(draft) / library.name
        flags = (*_FLAGS, *VARIANTS[machine()][variant])
        command = [*compiler.split(), *flags, str(SOURCES / "modernbert.cpp"), "-ldl", "-o", str(made)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        except subprocess.CalledProcessError as error:
            complaints = [line for line in error.stderr.splitlines() if "error" in line] or [
                f"exit code {error.returncode}"
            ]
            raise CompileError(f"{compiler} did not compile it: {complaints[0].strip()}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompileError(f"{compiler} did not run: {error}") from None
        made.replace(library)
    return library


def find_compiler() -> str:
    """The C++ compiler's command, which may have options.

    Raises:
        CompileError: there is none.
    """
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if not compiler:
        raise CompileError("there is no C++ compiler (looked for CXX, g++, clang++, c++)")
    return compiler
