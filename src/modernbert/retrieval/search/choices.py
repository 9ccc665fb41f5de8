"""What a search folder was made with, in settings.json: what `modernbert search` needs to know to go on alone."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.lock import Lock
from modernbert.retrieval.documents.chunk import Chunking
from modernbert.retrieval.index.opening import StoreChoice
from modernbert.retrieval.index.server import Server

FORMAT = 1
FOLDER = ".modernbert-index"
"""Where an index is made, and looked for, unless one is named."""
SETTINGS, SNAPSHOT, INDEX = "settings.json", "snapshot.json", "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The user's."""

    model: str
    paths: tuple[str, ...] = ()
    """Absolute: all that the index holds."""
    code: bool = False
    """Whether the paths are repositories."""
    chunking: Chunking = field(default_factory=Chunking)
    store: str | Mapping[str, str] = "edge"
    """Of a server: its url and collection. Its key is not kept."""

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Those of a folder; None where there are none.

        Raises:
            UserError: the file is damaged, or of another version of this program.
        """
        path = folder / SETTINGS
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            if (found := written.pop("format")) != FORMAT:
                raise UserError(
                    f"{path}: found format {found!r}, this version of modernbert reads {FORMAT}: index anew with --rebuild"
                )
            paths, chunking = tuple(written.pop("paths")), Chunking(**written.pop("chunking"))
            return cls(paths=paths, chunking=chunking, **written)
        except FileNotFoundError:
            return None
        except UserError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: is damaged ({error!r}): index anew with --rebuild") from None

    def save(self, folder: Path) -> None:
        """Wholly or not at all."""
        with write_atomically(folder / SETTINGS, "w") as file:
            json.dump({"format": FORMAT, **asdict(self)}, file, indent=1, ensure_ascii=False)
            file.write("\n")


def store_named(word: str) -> StoreChoice:
    """From what is typed: edge, exact, or http://HOST:PORT/COLLECTION, whose key is QDRANT_API_KEY.

    Raises:
        UserError: it is none of them.
    """
    if word in ("edge", "exact"):
        return word
    url, _, collection = word.rpartition("/")
    if "://" not in url or not collection or url.endswith(("/", ":")):
        raise UserError(f"--store {word}: expected edge, exact or http://HOST:PORT/COLLECTION")
    return Server(url=url, collection=collection, api_key=os.environ.get("QDRANT_API_KEY"))


def as_choice(store: StoreChoice) -> str | Mapping[str, str]:
    """As it is kept."""
    return {"url": store.url, "collection": store.collection} if isinstance(store, Server) else store


def as_store(choice: str | Mapping[str, str]) -> StoreChoice:
    """As `Index` takes it; a server's key comes from QDRANT_API_KEY."""
    if isinstance(choice, str):
        return choice
    return Server(url=choice["url"], collection=choice["collection"], api_key=os.environ.get("QDRANT_API_KEY"))


def index_in(folder: Path) -> Path:
    """The index that a folder is, or has in its `.modernbert-index`.

    Raises:
        UserError: there is none.
    """
    for place in (folder, folder / FOLDER):
        if (place / SETTINGS).is_file():
            return place.resolve()
    raise UserError(f"{folder}: found no index: make one with  modernbert index PATH, or check the folder's name")


def nearest(start: Path) -> Path:
    """The index folder in this folder, or in the next one above that has one.

    Raises:
        UserError: there is none.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FOLDER / SETTINGS).is_file():
            return folder / FOLDER
    raise UserError(
        f"{here}: found no {FOLDER} here or above: make one with  modernbert index PATH, or name one with --in"
    )


def forget(folder: Path) -> None:
    """Delete an index, so that it can be made anew; nothing where there is none.

    Raises:
        UserError: the folder holds something else, or another process is using it.
    """
    if not folder.exists():
        return
    if not (folder / SETTINGS).is_file():
        if any(folder.iterdir()):
            raise UserError(f"{folder}: found no {SETTINGS}, so this is no index of ours: name another folder")
        return
    with Lock(folder / INDEX / "owner.lock"):
        (folder / SNAPSHOT).unlink(missing_ok=True)  # first: it must never know more than the index has
        shutil.rmtree(folder / INDEX)
        (folder / SETTINGS).unlink()
