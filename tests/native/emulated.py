"""Run check.cpp for AVX-512, which the processor at hand may lack, in the emulator Bochs: two or three minutes each.

    python tests/native/emulated.py avx512 avx512bf16

The names are those of `VARIANTS` in build.py, less what Bochs has not: AMX. Needs Linux on x86-64, g++ with a static C
library, and `pip install bochscpu-python` (tried with 0.4.0). `VERBOSE=1` in the environment prints what is right too.

There is no kernel below the program: it is laid into the emulated memory at the addresses it was linked for, and runs
in ring 0. A system call ends at a `hlt`, and Python answers the few that a C library needs. It gets no threads: the
kernels' pool takes that as it would anywhere, and check.cpp leaves out its callers at once.
"""

import argparse
import ctypes
import errno
import importlib
import importlib.util
import mmap
import os
import runpy
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src/modernbert/ops/native"
BUILD = runpy.run_path(str(SOURCES / "build.py"))
VARIANTS: dict[str, tuple[str, ...]] = {
    variant: flags for variant, flags in BUILD["VARIANTS"]["x86_64"].items() if "-mamx-tile" not in flags
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("variants", nargs="+", choices=VARIANTS)
    variants = parser.parse_args().variants
    if importlib.util.find_spec("bochscpu") is None:
        parser.error("there is no module bochscpu: pip install bochscpu-python")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        shim = compile_shim(Path(folder))
        for variant in variants:
            program = compile_check(variant, Path(folder))
            say(f"{variant}, emulated: ")
            start = time.monotonic()
            status = in_a_process(program, shim)
            say(f"    exit status {status}, after {time.monotonic() - start:.0f} seconds\n")
            failed |= status != 0
    return int(failed)


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def compile_check(variant: str, folder: Path) -> Path:
    """The kernels as they are shipped, linked with check.cpp into a program that needs nothing else."""
    program = folder / variant
    flags = [flag for flag in BUILD["_FLAGS"] if flag != "-shared"]
    sources = [str(SOURCES / "modernbert.cpp"), str(HERE / "check.cpp")]
    options = [*flags, *VARIANTS[variant], "-static", "-no-pie", "-I", str(SOURCES)]
    subprocess.run(["g++", *options, *sources, "-o", str(program)], check=True)
    return program


# Names that bochscpu takes from here rather than from itself. It always makes a Core i3-8121U, which has neither
# bfloat16 nor VNNI, and now makes a Sapphire Rapids. It tells its hooks about every instruction and every access, which
# costs time and which nobody here asks for. And its wheel is linked with glibc 2.38, of which it uses two names.
SHIM = r"""
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
struct BX_CPU_C;
struct bx_cpuid_t;
bx_cpuid_t* create_corei3_cnl_cpuid(BX_CPU_C* cpu) {
    void* better = dlsym(RTLD_DEFAULT, "_Z28create_sapphire_rapids_cpuidP8BX_CPU_C");
    return reinterpret_cast<bx_cpuid_t* (*)(BX_CPU_C*)>(better)(cpu);
}
extern "C" void bx_instr_before_execution(unsigned, void*) {}
extern "C" void bx_instr_after_execution(unsigned, void*) {}
extern "C" void bx_instr_lin_access(unsigned, unsigned long, unsigned long, unsigned, unsigned, unsigned) {}
#if !__GLIBC_PREREQ(2, 38)
extern "C" unsigned long long __isoc23_strtoull(const char* from, char** end, int base) {
    return strtoull(from, end, base);
}
extern "C" int __isoc23_sscanf(const char* from, const char* format, ...) {
    va_list rest;
    va_start(rest, format);
    const int found = vsscanf(from, format, rest);
    va_end(rest);
    return found;
}
#endif
"""


def compile_shim(folder: Path) -> Path:
    shim = folder / "shim.so"
    command = ["g++", "-O1", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(shim), "-ldl"]
    subprocess.run(command, input=SHIM, text=True, check=True)
    return shim


def in_a_process(program: Path, shim: Path) -> int:
    """The program's exit status; minus a signal's number if Bochs itself fell over.

    Bochs keeps what it has decoded, and does not end well: each run gets a process of its own.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        settings = ["ALONE=1"] + ["VERBOSE=1"] * ("VERBOSE" in os.environ)
        status = Machine(import_bochs(shim), program.read_bytes(), ["check"], settings).run()
    except DiedError as death:
        say(f"the program died: {death}\n")
    except Exception:
        traceback.print_exc()  # there is nobody above to do it
        raise
    finally:
        os._exit(status)


def import_bochs(shim: Path) -> ModuleType:
    ctypes.CDLL(str(shim), ctypes.RTLD_GLOBAL)
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)  # so that the shim finds what it calls
    return importlib.import_module("bochscpu")


class DiedError(Exception):
    """The emulated program did what a kernel would have ended it for; says what and where."""


PAGE, LARGE_PAGE = 1 << 12, 1 << 21
MEMORY = 128 * LARGE_PAGE
STACK = 4 * LARGE_PAGE
TABLES = PAGE
"""Physical: the first large page has no address of its own, so that a null pointer is seen."""
SYSCALL_ENTRY = LARGE_PAGE
"""Below the program, which begins at 4 MiB."""

CODE_64, DATA = 0xA09B, 0xC093  # attributes of segments in ring 0, as in descriptors


class Machine:
    """A processor and a memory with a program in it, and what its C library takes for a kernel."""

    def __init__(self, bochs: ModuleType, elf: bytes, arguments: Sequence[str], settings: Sequence[str]) -> None:
        self._bochs = bochs
        self._memory = mmap.mmap(-1, MEMORY)
        host = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for page in range(0, MEMORY, PAGE):
            bochs._bochscpu.memory.page_insert(page, host + page)
        pages = [0] + [start | 0x87 for start in range(LARGE_PAGE, MEMORY, LARGE_PAGE)]  # large, writable, present
        self._write(TABLES, struct.pack("<Q", TABLES + PAGE | 7))
        self._write(TABLES + PAGE, struct.pack("<Q", TABLES + 2 * PAGE | 7))
        self._write(TABLES + 2 * PAGE, struct.pack(f"<{len(pages)}Q", *pages))
        self._write(SYSCALL_ENTRY, b"\xf4")  # hlt

        self._wrong = ""
        self._session = bochs.Session()
        self._session.missing_page_handler = lambda address: self._stop(f"touches what is no memory, {address:#x}")
        self._hook = bochs.Hook()
        self._hook.hlt = lambda session, cpu: session.stop()
        self._hook.exception = self._except

        entry, auxiliary, self._heap = self._load(elf)
        self._break = self._heap
        self._start(entry, self._lay_stack(arguments, settings, auxiliary))

    def run(self) -> int:
        """Until the program exits; its status.

        Raises:
            DiedError: see there.
        """
        while True:
            self._session.run([self._hook])
            cpu = self._session.cpu
            if self._wrong:
                raise DiedError(self._wrong)
            if cpu.rip != SYSCALL_ENTRY + 1:
                raise DiedError(f"halts before {cpu.rip:#x}")
            number, first, second, third = cpu.rax, cpu.rdi, cpu.rsi, cpu.rdx
            if number in (EXIT, EXIT_GROUP):
                return first & 0xFF
            cpu.rax = self._answer(number, first, second, third) & (1 << 64) - 1
            cpu.rip = cpu.rcx

    def _answer(self, number: int, first: int, second: int, third: int) -> int:
        if number == BREAK:
            if self._heap <= first < MEMORY - STACK:
                self._break = first
            return self._break
        if number == ARCH_PRCTL and first == SET_FS:
            self._session.cpu.fs = self._segment(16, DATA, base=second)
            return 0
        if number == WRITE:
            return self._say(second, third)
        if number == WRITEV:
            return sum(self._say(*struct.unpack_from("<QQ", self._memory, second + 16 * i)) for i in range(third))
        if number == TGKILL:
            raise DiedError(f"kills itself with signal {third}")
        return ANSWERS.get(number, -errno.ENOSYS)

    def _load(self, elf: bytes) -> tuple[int, dict[int, int], int]:
        """Where it starts, what a kernel says of it, and the first address after it."""
        entry, headers = struct.unpack_from("<QQ", elf, 24)
        size, count = struct.unpack_from("<HH", elf, 54)
        end = headers_address = 0
        for at in range(headers, headers + size * count, size):
            kind, _, offset, address, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", elf, at)
            if kind != LOADED:
                continue
            self._write(address, elf[offset : offset + in_file])
            end = max(end, address + in_memory)
            if offset <= headers < offset + in_file:
                headers_address = address + headers - offset
        auxiliary = {AT_PHDR: headers_address, AT_PHENT: size, AT_PHNUM: count, AT_PAGESZ: PAGE, AT_ENTRY: entry}
        return entry, auxiliary, -(-end // PAGE) * PAGE

    def _lay_stack(self, arguments: Sequence[str], settings: Sequence[str], auxiliary: dict[int, int]) -> int:
        """What a program finds on its stack when it starts; the stack pointer."""
        top = MEMORY - PAGE
        places = []
        for text in (*arguments, *settings):
            top -= len(text) + 1
            self._write(top, text.encode() + b"\0")
            places.append(top)
        top -= 16  # these bytes are zero, which is random enough here
        words = [len(arguments), *places[: len(arguments)], 0, *places[len(arguments) :], 0]
        for key, value in {**auxiliary, AT_RANDOM: top, AT_SECURE: 0, AT_NULL: 0}.items():
            words += [key, value]
        top = (top - 8 * len(words)) & ~63
        self._write(top, struct.pack(f"<{len(words)}Q", *words))
        return top

    def _start(self, entry: int, stack: int) -> None:
        state = self._bochs.State()
        state.cr0 = 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1  # paging in protected mode, with an FPU
        state.cr3 = TABLES
        state.cr4 = 1 << 18 | 1 << 10 | 1 << 9 | 1 << 5  # the system knows of XSAVE and SSE; long addresses
        state.xcr0 = 0xE7  # x87, SSE, AVX and the three parts of AVX-512
        state.efer = 1 << 11 | 1 << 10 | 1 << 8 | 1  # long mode, with syscall
        state.star, state.lstar = 8 << 32, SYSCALL_ENTRY
        state.cs = self._segment(8, CODE_64)
        state.ss = state.ds = state.es = state.fs = state.gs = self._segment(16, DATA)
        state.fpcw, state.fptw = 0x37F, 0xFFFF
        state.mxcsr, state.mxcsr_mask = 0x1F80, 0xFFFF
        state.rflags, state.rip, state.rsp = 2, entry, stack
        self._session.cpu.state = state

    def _segment(self, selector: int, attributes: int, base: int = 0) -> object:
        segment = self._bochs.Segment()
        segment.present, segment.selector, segment.attr = True, selector, attributes
        segment.base, segment.limit = base, 0xFFFFFFFF
        return segment

    def _except(self, session: object, cpu: int, vector: int, code: int) -> None:
        name = EXCEPTIONS.get(vector, f"exception {vector}")
        registers = self._session.cpu
        self._stop(f"{name}, code {code}, address {registers.cr2:#x}, just before {registers.rip:#x}")

    def _stop(self, wrong: str) -> None:
        self._wrong = self._wrong or wrong
        self._session.stop()

    def _say(self, start: int, count: int) -> int:
        say(self._memory[start : start + count].decode())
        return count

    def _write(self, start: int, data: bytes) -> None:
        self._memory[start : start + len(data)] = data


# Linux on x86-64: system calls, what they are answered, and words of its elf.h.
WRITE, BREAK, WRITEV, EXIT, ARCH_PRCTL, EXIT_GROUP, TGKILL = 1, 12, 20, 60, 158, 231, 234
SET_FS = 0x1002
MMAP, MPROTECT, MUNMAP, SIGACTION, SIGPROCMASK, GETPID, FUTEX = 9, 10, 11, 13, 14, 39, 202
ANSWERS = {MMAP: -errno.ENOMEM, MPROTECT: 0, MUNMAP: 0, SIGACTION: 0, SIGPROCMASK: 0, GETPID: 1, FUTEX: 0}
"""No memory but the heap's, so that there are no stacks for threads."""
LOADED = 1
AT_NULL, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY, AT_SECURE, AT_RANDOM = 0, 3, 4, 5, 6, 9, 23, 25

EXCEPTIONS = {0: "division by zero", 6: "an unknown instruction", 13: "a protection fault", 14: "a page fault"}

if __name__ == "__main__":
    sys.exit(main())
