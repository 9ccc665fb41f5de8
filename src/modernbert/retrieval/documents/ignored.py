"""What is not to be read: ignore files in git's language, at every level, and places that hold nobody's own work.

The meaning is git's: the deepest file that says something about a path decides, its last matching line first, `!` takes
back, and nothing comes back from within a folder that is left out. Before all `.gitignore` files come all
`.modernbertignore`, and before these the patterns of the caller.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from modernbert.core.errors import UserError, require

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".modernbertignore")
"""The later one is stronger."""

_NEVER = frozenset({"__pycache__", "node_modules", "bower_components", "site-packages", "dist-packages"})
_VENDORED = frozenset({"vendor", "vendored", "_vendor", "third_party", "third-party", "thirdparty", "Pods", "venv"})
_GENERATED = (
    "*.min.js", "*.min.css", "*-min.js", "*.bundle.js", "*.pb.go", "*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*.pb.cc",
    "*.pb.h", "*.g.dart", "*.designer.cs", "*.generated.*", "pnpm-lock.yaml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ignored:
    """The ignore files from the top of a repository down to one folder."""

    layers: tuple[tuple[int, str, "GitIgnoreSpec"], ...] = ()
    """(strength, the folder it speaks of with a separator behind, its patterns), the weakest first."""

    @classmethod
    def above(cls, folder: Path, patterns: Sequence[str]) -> "Ignored":
        """What counts for a folder, by its resolved path, before its own files: the caller's patterns, and the ignore
        files of the repository around it, unless these leave out the very folder that was asked for.

        Raises:
            UserError: a pattern of the caller cannot be read.
        """
        ignored = cls()
        parents = _within_repository(folder)
        if parents and (excluded := _lines(parents[0] / ".git" / "info" / "exclude")):
            ignored = ignored._and(0, f"{parents[0]}{os.sep}", excluded, f"{parents[0]}/.git/info/exclude")
        for parent in parents:
            if ignored.says(str(parent), is_folder=True):
                ignored = cls()
            if parent != folder:
                ignored = ignored.below(str(parent), {name for name in IGNORE_FILES if (parent / name).is_file()})
        return ignored._and(len(IGNORE_FILES), f"{folder}{os.sep}", list(patterns), "ignore") if patterns else ignored

    def below(self, folder: str, names: set[str]) -> "Ignored":
        """The same, and the ignore files of this folder, which holds files of these names."""
        found = self
        for strength, name in enumerate(IGNORE_FILES):
            if name in names and (lines := _lines(Path(folder) / name)):
                found = found._and(strength, f"{folder}{os.sep}", lines, os.path.join(folder, name))
        return found

    def says(self, path: str, *, is_folder: bool) -> bool:
        """Whether this path, of which no folder above is left out, is to be left out."""
        for _, base, spec in reversed(self.layers):
            if path.startswith(base):
                inside = path[len(base) :].replace(os.sep, "/") + ("/" if is_folder else "")
                verdict = spec.check_file(inside).include
                if verdict is not None:
                    return verdict
        return False

    def _and(self, strength: int, base: str, lines: Sequence[str], where: str) -> "Ignored":
        pathspec = require("pathspec", extra="documents")
        try:
            spec = pathspec.GitIgnoreSpec.from_lines(lines)
        except ValueError as error:
            raise UserError(f"{where}: found a pattern git would not read ({error}): correct it") from None
        if not spec.patterns:
            return self
        return Ignored(tuple(sorted((*self.layers, (strength, base, spec)), key=lambda layer: layer[0])))


def is_vendored(name: str, *, code: bool) -> bool:
    """Whether a folder of this name holds other people's work. A folder of papers may well be called `vendor`."""
    return name in _NEVER or (code and name in _VENDORED)


def is_generated(name: str) -> bool:
    """Whether a program wrote the file, by its name."""
    name = name.lower()
    return any(fnmatchcase(name, pattern) for pattern in _GENERATED)


def _within_repository(folder: Path) -> list[Path]:
    """The folders from the top of the repository to this one; none outside of a repository."""
    chain = [folder, *folder.parents]
    for place, parent in enumerate(chain):
        if (parent / ".git").exists():
            return chain[place::-1]
    return []


def _lines(path: Path) -> list[str]:
    """None where it cannot be read: the walk meets and counts it like any other file."""
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
