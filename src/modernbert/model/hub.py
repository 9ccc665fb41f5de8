"""From what a user types to a folder on this machine: a packaged model's name, a path, or an id on the Hugging Face Hub."""

import re
from pathlib import Path

from modernbert.core import packaged
from modernbert.core.errors import CheckpointError, first_line
from modernbert.model.adapter_config import base_of, is_adapter

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WANTED = ["*.json", "*.safetensors", "*.txt", "artifact.metadata"]


def folder_of(source: str | Path, *, head: str | None = None) -> Path:
    """The folder itself, or the Hub's files for an id such as "answerdotai/ModernBERT-base", downloaded once.

    A packaged name such as "nano" means the model inside the package whatever lies in the current folder; write "./nano"
    for a folder of that name.

    Args:
        head: the head that is meant by the bare name of a packaged model, when it has it.

    Raises:
        CheckpointError: there is no such folder, and no such id can be had (offline, unknown, private).
        UserError: the packaged model has no head of that name.
    """
    if isinstance(source, str) and (inside := packaged.folder(source, head=head)) is not None:
        return inside
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file, expected a folder with config.json and model.safetensors")
    if not isinstance(source, str) or _ID.fullmatch(source) is None:
        raise CheckpointError(
            f"{str(source)!r} is neither a packaged model ({', '.join(packaged.names())}), nor a folder here, nor a Hub id "
            "such as 'answerdotai/ModernBERT-base': check the path"
        )
    return _download(source)


def tokenizer_folder(folder: Path) -> Path:
    """Where a model's tokenizer is: in its own folder, or for a head that has none in that of the model it belongs to."""
    if (folder / "tokenizer.json").is_file():
        return folder
    if is_adapter(folder):
        return folder_of(base_of(folder))
    return packaged.trunk_of(folder) or folder


def _download(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(model_id, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        if isinstance(error, HfHubHTTPError):
            raise CheckpointError(
                f"the Hub refused {model_id!r} ({first_line(error)}): check the id, or log in if it is private"
            ) from None
        raise CheckpointError(
            f"{model_id!r} is no folder here, is not in the Hub cache, and the Hub cannot be reached: "
            "go online once, or give the path of a downloaded folder"
        ) from None
