"""From what a user types to a folder on this machine: a path, or a model id on the Hugging Face Hub."""

import re
from pathlib import Path

from modernbert.core.errors import CheckpointError

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WANTED = ["*.json", "*.safetensors", "*.txt"]


def folder_of(source: str | Path) -> Path:
    """The folder itself, or the Hub's files for an id such as "answerdotai/ModernBERT-base", downloaded once.

    Raises:
        CheckpointError: there is no such folder, and no such id can be had (offline, unknown, private).
    """
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file, expected a folder with config.json and model.safetensors")
    if not isinstance(source, str) or _ID.fullmatch(source) is None:
        raise CheckpointError(
            f"{str(source)!r} is neither a folder here nor a Hub id such as 'answerdotai/ModernBERT-base': check the path"
        )
    return _download(source)


def _download(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(model_id, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        if isinstance(error, HfHubHTTPError):
            raise CheckpointError(
                f"the Hub refused {model_id!r} ({_first_line(error)}): check the id, or log in if it is private"
            ) from None
        raise CheckpointError(
            f"{model_id!r} is no folder here, is not in the Hub cache, and the Hub cannot be reached: "
            "go online once, or give the path of a downloaded folder"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
