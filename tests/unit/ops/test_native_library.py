"""Where the kernels come from: the wheel, the cache, a compiler; and what happens without any of them.

The compiler is a shell script here: one that fails, or one that hands out the library that this machine has already.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from modernbert.core import log
from modernbert.ops.attention import attend, choose
from modernbert.ops.attention import why_not as why_not_attend
from modernbert.ops.native import build, library
from modernbert.ops.packed import Packed
from modernbert.ops.window import Window
from support.close import assert_exact
from support.native import needs_native
from support.tiny import random_documents, random_heads

CPU, FP32 = torch.device("cpu"), torch.float32


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine whose kernels nobody has looked for yet: no cache, nothing in the wheel, no variable set."""
    monkeypatch.setattr(log, "_warned", set())
    monkeypatch.setattr(library, "PACKAGED", tmp_path / "lib")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CXX", "MODERNBERT_NATIVE", "MODERNBERT_QUIET"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


@pytest.fixture
def has_variant(machine):
    if not library._variants():
        pytest.skip("no variant for this processor")


def forget():
    library.library.cache_clear()
    library._found.cache_clear()


def compiler(folder, script):
    """A program that is called as a compiler is; the last word is the file to make."""
    program = folder / "compiler"
    program.write_text(f'#!/bin/sh\nfor made; do :; done\necho compiled >> "{folder}/calls"\n{script}\n')
    program.chmod(0o755)
    return str(program)


def calls(folder):
    return (folder / "calls").read_text().count("compiled") if (folder / "calls").exists() else 0


def assert_torch_runs(reason):
    packed = Packed.from_lists(random_documents([20, 130]))
    q, k, v = (x.float() for x in random_heads(packed, size=64))
    auto, blocked = (
        attend(q, k, v, layout=packed, window=Window.both(8), backend=name) for name in ("auto", "blocked")
    )
    assert_exact(auto, blocked)
    assert choose(CPU, FP32, 64) == "blocked"
    assert library.library() is None
    assert library.why_not() == why_not_attend("native", CPU, FP32, 64)
    assert reason in library.why_not()


# ---------------------------------------------------------------- without them


BROKEN = {
    "a compiler that fails without a word": ("exit 3", "did not compile it: exit code 3"),
    "a compiler that complains": ("echo 'vectors.h:3: error: no such type' >&2; exit 1", "compile it: vectors.h:3: error: no"),
    "a compiler that makes something else": ("echo rubbish > $made", "file too short"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_compiler_is_told_once_and_torch_runs(script, reason, machine, has_variant, tmp_path, capfd):
    machine.setenv("CXX", compiler(tmp_path, script))
    assert_torch_runs(reason)
    assert_torch_runs(reason)
    told = capfd.readouterr().err
    assert told.count("warning:") == 1
    assert "warning: attention and encoding run in plain PyTorch, which is slower: no CPU kernels, " in told
    assert calls(tmp_path) == 1


def test_no_compiler_is_told_once_and_torch_runs(machine, has_variant, tmp_path, capfd):
    machine.setenv("PATH", str(tmp_path))
    assert_torch_runs("there is no C++ compiler (looked for CXX, g++, clang++, c++)")
    told = capfd.readouterr().err
    assert (told.count("warning:"), told.count("\n")) == (1, 1)


def test_a_compiler_that_is_not_there_is_told(machine, has_variant):
    machine.setenv("CXX", "/nowhere/c++ -O3")
    assert_torch_runs("/nowhere/c++ -O3 did not run: [Errno 2]")


def test_a_cache_that_cannot_be_written_is_told(machine, has_variant, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert_torch_runs("Not a directory")


def test_a_user_without_a_home_folder_is_told(machine, has_variant):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    machine.delenv("XDG_CACHE_HOME")
    machine.setattr(Path, "home", no_home)
    assert_torch_runs("Could not determine home directory.")


def test_the_switch_leaves_them_out_without_a_word(machine, tmp_path, capfd):
    machine.setenv("MODERNBERT_NATIVE", "0")
    machine.setenv("CXX", compiler(tmp_path, "exit 1"))
    assert_torch_runs("MODERNBERT_NATIVE=0 leaves them out")
    assert (capfd.readouterr().err, calls(tmp_path)) == ("", 0)


def test_a_processor_that_they_are_not_written_for_is_no_fault(machine, capfd):
    machine.setattr(platform, "machine", lambda: "riscv64")
    assert_torch_runs(
        "they are not written for this processor (riscv64 without amx or avx512bf16 or avx512 or avx2 or neon)"
    )
    assert capfd.readouterr().err == ""


def test_windows_is_no_fault(machine, capfd):
    machine.setattr(library, "os", SimpleNamespace(name="nt", environ=os.environ))
    assert_torch_runs("they are not built for Windows")
    assert capfd.readouterr().err == ""


AVX2 = {"avx2": True, "fma3": True}
AVX512 = AVX2 | {f"avx512_{part}": True for part in ("f", "bw", "dq", "vl")}
BRIEF = AVX512 | {"avx512_bf16": True, "avx512_vnni": True}


@pytest.mark.parametrize(
    ("features", "variants"),
    [
        ({}, []),
        ({"avx2": True}, []),
        (AVX2, ["avx2"]),
        (AVX2 | {"avx512_f": True}, ["avx2"]),
        (AVX512, ["avx512", "avx2"]),
        (BRIEF, ["avx512bf16", "avx512", "avx2"]),
        (BRIEF | {"amx_tile": True, "amx_bf16": True, "amx_int8": True}, ["amx", "avx512bf16", "avx512", "avx2"]),
    ],
    ids=str,
)
def test_variants_of_which_all_is_there_are_taken_best_first(features, variants, machine):
    machine.setattr(platform, "machine", lambda: "x86_64")
    machine.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert library._variants() == variants


@needs_native
def test_what_the_system_does_not_lend_is_told_once_and_the_next_variant_runs(copying, machine, capfd):
    machine.setenv("CXX", copying)
    best, *rest = ["amx", *library._variants()] if platform.machine() == "x86_64" else [*library._variants(), "neon"]
    machine.setattr(library, "_variants", lambda: [best, *rest])
    asked = []
    machine.setattr(library.Library, "is_ready", lambda kernels: asked.append(kernels.variant))
    assert library.library().variant == rest[-1]
    assert asked == [best, *rest[:-1]]
    told = capfd.readouterr().err
    assert f"warning: the system does not lend this process the CPU's {best}: slower kernels take over" in told


@needs_native
def test_kernels_that_run_here_are_ready_here():
    assert library.library().is_ready()


def test_every_variant_has_its_needs_written_down():
    assert {name for variants in build.VARIANTS.values() for name in variants} == set(library._NEEDED)


# ---------------------------------------------------------------- with them


@pytest.fixture
def copying(tmp_path):
    """A compiler that hands out what this machine has."""
    return compiler(tmp_path, f'sleep 0.3; cp "{library.library().path}" "$made"')


@needs_native
def test_they_are_compiled_into_the_cache_once(copying, machine, tmp_path, capfd):
    machine.setenv("CXX", copying)
    found = library.library()
    assert found.path.parent == tmp_path / "cache" / "modernbert" / "native"
    assert capfd.readouterr().err == "compiling the CPU kernels, once (10 to 40 s)\n"
    assert choose(CPU, FP32, 64) == "native"
    forget()
    assert library.library().path == found.path
    assert (capfd.readouterr().err, calls(tmp_path)) == ("", 1)


@needs_native
def test_what_the_wheel_has_is_taken_without_a_compiler(machine, tmp_path):
    machine.undo()
    built = library.library().path
    machine.setattr(library, "PACKAGED", tmp_path)
    (tmp_path / built.name).write_bytes(built.read_bytes())
    machine.setenv("PATH", "")
    machine.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    forget()
    assert library.library().path.parent == tmp_path


@needs_native
def test_what_the_wheel_has_and_does_not_load_is_compiled_here(copying, machine, tmp_path):
    machine.setenv("CXX", copying)
    library.PACKAGED.mkdir()
    (library.PACKAGED / build.file_name(library._variants()[0])).write_text("linked with libraries of next year")
    assert library.library().path.parent == tmp_path / "cache" / "modernbert" / "native"


STARTS = """
import sys
from modernbert.ops.native.library import library
sys.exit(0 if library() else 1)
"""


@needs_native
def test_processes_that_start_together_compile_once(copying, machine, tmp_path):
    machine.setenv("CXX", copying)
    started = [subprocess.Popen([sys.executable, "-c", STARTS]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    assert calls(tmp_path) == 1


@needs_native
def test_no_memory_is_torchs_own_error(machine):
    machine.undo()
    offsets = torch.tensor([0, 1 << 50])
    something = torch.ones(64)
    with pytest.raises(torch.OutOfMemoryError, match="the CPU kernel 'attend' found no memory: use a smaller batch"):
        library.library().call("attend", 0, *[something] * 3, 64, something, 0, 1, 64, offsets, 1, 1, 1, 1)
    with pytest.raises(torch.OutOfMemoryError, match="the CPU kernel 'attend_backward' found no memory"):
        library.library().call(
            "attend_backward", 0, *[something] * 3, 64, *[something] * 6, 64, 1, 64, offsets, 1, 1, 1, 1
        )


def test_the_name_changes_with_sources_and_variant(machine, tmp_path):
    machine.setattr(platform, "machine", lambda: "x86_64")
    before = build.file_name("avx2")
    assert before != build.file_name("avx512")
    for source in (*build.SOURCES.glob("*.h"), *build.SOURCES.glob("*.cpp")):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    machine.setattr(build, "SOURCES", tmp_path)
    assert build.file_name("avx2") == before
    (tmp_path / "pool.h").write_text("// changed")
    assert build.file_name("avx2") != before


# ---------------------------------------------------------------- the wheel's build


def test_a_build_makes_every_variant_and_clears_what_is_old(machine, tmp_path):
    machine.setattr(platform, "machine", lambda: "AMD64")
    machine.setenv("CXX", compiler(tmp_path, 'echo library > "$made"'))
    (tmp_path / "libmodernbert-old.so").write_text("of other sources")
    made, complaints = build.build_all(tmp_path)
    assert complaints == []
    assert {path.name for path in made} == {build.file_name(name) for name in ("amx", "avx2", "avx512", "avx512bf16")}
    assert set(tmp_path.glob("*.so")) == set(made)
    assert build.build_all(tmp_path)[0] == made
    assert calls(tmp_path) == len(made)


def test_a_build_goes_on_without_the_variant_that_fails(machine, tmp_path):
    machine.setattr(platform, "machine", lambda: "x86_64")
    machine.setenv("CXX", compiler(tmp_path, 'case "$*" in *avx512f*) exit 1;; esac; echo library > "$made"'))
    made, complaints = build.build_all(tmp_path)
    assert [path.name for path in made] == [build.file_name("avx2")]
    assert complaints == [
        f"{name}: {tmp_path}/compiler did not compile it: exit code 1" for name in ("amx", "avx512", "avx512bf16")
    ]


def test_a_build_on_another_processor_makes_nothing(machine, tmp_path):
    machine.setattr(platform, "machine", lambda: "riscv64")
    assert build.build_all(tmp_path) == ([], [])


@pytest.mark.parametrize(
    ("script", "is_pure"), [('echo library > "$made"', False), ("exit 1", True)], ids=["works", "fails"]
)
def test_the_wheels_hook_never_fails(script, is_pure, machine, tmp_path):
    interface = pytest.importorskip("hatchling.builders.hooks.plugin.interface")
    assert interface
    root = Path(__file__).parents[3]
    machine.syspath_prepend(str(root))
    import hatch_build

    native = tmp_path / hatch_build.NATIVE
    native.mkdir(parents=True)
    for source in (*build.SOURCES.glob("*.py"), *build.SOURCES.glob("*.h"), *build.SOURCES.glob("*.cpp")):
        (native / source.name).write_bytes(source.read_bytes())
    machine.setattr(platform, "machine", lambda: "x86_64")
    machine.setenv("CXX", compiler(tmp_path, script))
    told = []
    app = type("App", (), {"display_warning": told.append, "display_info": told.append})()
    hook = hatch_build.KernelsHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel", app)
    build_data = {"pure_python": True, "artifacts": []}
    hook.initialize("standard", build_data)
    assert build_data["pure_python"] == is_pure
    assert ("tag" in build_data) == (not is_pure)
    assert told
    assert all(("left out" in line) == is_pure for line in told)
