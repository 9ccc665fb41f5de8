"""Compiles the CPU kernels into the wheel where there is a compiler. Without one the wheel is pure Python, and compiles or
falls back where it is used; it never fails for want of them.

The kernels are plain C behind ctypes and know nothing of Python's or torch's versions: one wheel serves every Python 3.
"""

import platform
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/modernbert/ops/native"


class KernelsHook(BuildHookInterface):
    """Every variant that this kind of processor may need: which one runs is decided where the wheel is used."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files of a wheel are collected; `version` is "editable" or "standard"."""
        if self.target_name != "wheel" or version == "editable":  # first use compiles what sources have become
            return
        build = runpy.run_path(str(Path(self.root, NATIVE, "build.py")))
        made, complaints = build["build_all"](build["PACKAGED"])
        for complaint in complaints:
            self.app.display_warning(f"CPU kernels left out: {complaint}")
        if made:
            self.app.display_info(f"CPU kernels: {', '.join(library.name for library in made)}")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"
            build_data["artifacts"].append(f"{NATIVE}/lib/*.so")


def _platform() -> str:
    """The system as wheels name it; a Python for two kinds of processors has compiled for the one that it runs on."""
    name = sysconfig.get_platform().replace("universal2", platform.machine())
    return name.replace("-", "_").replace(".", "_")
