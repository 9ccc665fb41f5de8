"""One short demonstration for all tests that need a trained checkpoint: real text, a few seconds."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

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


def modernbert(*words: str, stdin: bytes | str = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "modernbert.cli.main", *words],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        cwd=cwd,
        # One thread, as in conftest: a busy neighbour must not turn seconds into minutes.
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"},
    )


@lru_cache
def demonstration() -> tuple[Path, dict[str, object], str]:
    """Folder `runs/demo` of a demonstration, what it printed as JSON, and its stderr."""
    home = Path(mkdtemp(prefix="demonstration-"))
    text = home / "text"
    for module in MODULES:
        (text / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(sysconfig.get_path("stdlib")) / module, text / module)
    done = modernbert(
        "demo", "--train", "--text", "text", "--minutes", "0.1", "--vocab-size", "640", "--json", cwd=home
    )
    assert done.returncode == 0, done.stderr.decode()
    return home / "runs" / "demo", json.loads(done.stdout), done.stderr.decode()
