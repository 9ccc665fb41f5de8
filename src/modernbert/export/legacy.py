"""Folders for programs of before transformers 5: servers, converters, pinned environments."""

import json
from pathlib import Path

from modernbert.core.files import atomic_folder, write_atomically
from modernbert.model.catalogue import take
from modernbert.model.folder import check_free

_CLASS = "PreTrainedTokenizerFast"
"""What transformers 4 knows; release 5 writes TokenizersBackend, which only it can open."""

_NEW = ("backend", "is_local", "local_files_only")
"""Words of release 5 in tokenizer_config.json that mean nothing before."""


def export_legacy(name: str, out: Path) -> None:
    """Write a whole folder: both generations' words in config.json, adapters merged, a tokenizer class that all know.

    Raises:
        UserError: `out` is taken.
    """
    check_free(out)
    with atomic_folder(out) as folder:
        take(name, folder)
        path = folder / "tokenizer_config.json"
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        settings = {key: value for key, value in settings.items() if key not in _NEW} | {"tokenizer_class": _CLASS}
        if isinstance(settings.get("extra_special_tokens"), list):  # release 4 wants names for them
            settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
        with write_atomically(path, "w") as file:
            json.dump(settings, file, indent=2, ensure_ascii=False)
            file.write("\n")
