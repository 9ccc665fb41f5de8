"""Two small indexes with a model of random weights, made once: what servers and retrievers are asked."""

import os
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

from modernbert.retrieval.search.choices import FOLDER
from modernbert.retrieval.searcher import Searcher
from support.retrieval import write_model

FILES = {
    "notes/lamps.md": "# Lamps\n\nThe keeper painted seven lamps.\n\n\nHe painted them in winter, one by one.\n",
    "notes/bell.txt": "In winter\nnobody heard the bell.\n",
    "notes/said.jsonl": '{"text": "Gulls cried at noon."}\n{"text": "Fog lay on the harbour."}\n',
    "code/store.py": "import os\n\n\ndef load_weights(path):\n    return open(path)\n\n\nclass Store:\n    pass\n",
}


def shelf(home: Path, *, store: str = "exact") -> Path:
    """`home` with FILES, and in `home/notes` and `home/code` an index each."""
    shutil.copytree(_made(store), home, dirs_exist_ok=True)
    for name in ("notes", "code"):
        with Searcher.open(home / name / FOLDER) as searcher:
            searcher.refresh([home / name])
    return home


def put(path: Path, text: str) -> Path:
    """A file written long ago, so that a refresh trusts its time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(10**18 + len(text), 10**18 + len(text)))
    return path


@lru_cache
def model() -> Path:
    """Of random weights."""
    return write_model(Path(mkdtemp(prefix="shelf-model-")) / "model")


@lru_cache
def _made(store: str) -> Path:
    home = Path(mkdtemp(prefix="shelf-"))
    for name, text in FILES.items():
        put(home / name, text)
    for name in ("notes", "code"):
        with Searcher.open(home / name / FOLDER, model=model(), store=store) as searcher:
            searcher.refresh([home / name], code=name == "code")
    return home
