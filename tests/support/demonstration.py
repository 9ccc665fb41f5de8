"""One short demonstration for all tests that need a trained checkpoint: real text, a few seconds."""

import json
import os
import shutil
import subprocess
import sysconfig
from functools import lru_cache
from pathlib import Path

from support.shared_run import alone, shared_folder
from support.warm import warm_python

MODULES = (
    "argparse.py",
    "textwrap.py",
    "json/decoder.py",
    "json/encoder.py",
    "shutil.py",
    "random.py",
    "csv.py",
    "heapq.py",
)


def modernbert(
    *words: str, stdin: bytes | str = b"", cwd: Path | None = None, python: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a user would, in a process of its own; torch is imported before, or not by another `python`."""
    return subprocess.run(
        [python or warm_python(), "-m", "modernbert.cli.main", *words],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        cwd=cwd,
        # One thread, as in conftest: a busy neighbour must not turn seconds into minutes.
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"},
    )


@lru_cache
def demonstration() -> tuple[Path, dict[str, object], str]:
    """Folder `runs/demo` of a demonstration, what it printed as JSON, and its stderr. One for all workers of a run."""
    home = shared_folder() / "demonstration"
    with alone("demonstration"):
        if not home.exists():
            making = shared_folder() / "making"
            for module in MODULES:
                (making / "text" / module).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(sysconfig.get_path("stdlib")) / module, making / "text" / module)
            words = ("--train", "--text", "text", "--minutes", "0.1", "--vocab-size", "640", "--json")
            done = modernbert("demo", *words, cwd=making)
            assert done.returncode == 0, done.stderr.decode()
            (making / "stdout").write_bytes(done.stdout)
            (making / "stderr").write_bytes(done.stderr)
            making.rename(home)
    return home / "runs" / "demo", json.loads((home / "stdout").read_bytes()), (home / "stderr").read_text()
