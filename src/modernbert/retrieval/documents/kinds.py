"""Which kind of document a file holds, told from its name alone: nothing is opened."""

from pathlib import PurePosixPath

from modernbert.retrieval.documents.document import Kind

_PROSE: dict[str, Kind] = {
    ".txt": "text", ".text": "text", ".rst": "text", ".org": "text", ".adoc": "text", ".tex": "text",
    ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
_PROSE_NAMES = frozenset({"readme", "license", "licence", "copying", "notice", "authors", "changelog", "contributing"})

LANGUAGES: dict[str, str] = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx", ".go": "go",
    ".rs": "rust", ".java": "java", ".c": "c", ".h": "cpp", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp",
    ".hpp": "cpp", ".hxx": "cpp", ".cu": "cpp", ".cuh": "cpp", ".cs": "csharp", ".rb": "ruby", ".php": "php",
    ".kt": "kotlin", ".kts": "kotlin", ".swift": "swift", ".scala": "scala", ".lua": "lua", ".sh": "bash",
    ".bash": "bash", ".zsh": "bash",
    # Cut by lines: no definitions, or no grammar we know our way in.
    ".m": "objc", ".mm": "objc", ".r": "r", ".jl": "julia", ".pl": "perl", ".pm": "perl", ".ex": "elixir",
    ".exs": "elixir", ".erl": "erlang", ".hs": "haskell", ".ml": "ocaml", ".mli": "ocaml", ".clj": "clojure",
    ".dart": "dart", ".zig": "zig", ".nim": "nim", ".f90": "fortran", ".f": "fortran", ".groovy": "groovy",
    ".ps1": "powershell", ".sql": "sql", ".proto": "proto", ".graphql": "graphql", ".css": "css", ".scss": "scss",
    ".vue": "vue", ".svelte": "svelte", ".tf": "hcl", ".hcl": "hcl", ".cmake": "cmake", ".mk": "make", ".vim": "vim",
    ".el": "elisp", ".lisp": "lisp", ".scm": "scheme", ".asm": "asm", ".s": "asm", ".yaml": "yaml", ".yml": "yaml",
    ".toml": "toml", ".ini": "ini", ".cfg": "ini", ".nix": "nix", ".bzl": "starlark", ".pyx": "cython", ".sol": "solidity",
}  # fmt: skip
"""The language of code by its suffix. A header may be C or C++: the grammar of C++ reads both."""

_CODE_NAMES = {
    "makefile": "make", "gnumakefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake",
    "justfile": "just", "build": "starlark", "build.bazel": "starlark", "rakefile": "ruby", "gemfile": "ruby",
}  # fmt: skip

IN_CODE: frozenset[Kind] = frozenset({"code", "markdown", "text"})
"""What belongs to a repository of code: its notes, but neither data nor pages."""


def kind_of(name: str) -> tuple[Kind, str] | None:
    """Kind and language (empty for prose) of a file of this name; `None` for one that is no document we know.

    >>> kind_of("src/Main.java"), kind_of("README"), kind_of("photo.jpg")
    (('code', 'java'), ('text', ''), None)
    """
    path = PurePosixPath(name.lower())
    if path.name in _CODE_NAMES:
        return "code", _CODE_NAMES[path.name]
    if path.suffix in _PROSE:
        return _PROSE[path.suffix], ""
    if path.suffix in LANGUAGES:
        return "code", LANGUAGES[path.suffix]
    return ("text", "") if path.name in _PROSE_NAMES else None
