"""What adapter_config.json says beside the weights of a PEFT adapter: that it is one, and of which model. No torch here."""

import json
from pathlib import Path

from modernbert.core.errors import CheckpointError

CONFIG = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a whole model."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The model that an adapter belongs to."""
    return str(read_settings(folder)["base_model_name_or_path"])


def read_settings(folder: Path) -> dict:
    """Everything it says.

    Raises:
        CheckpointError: it cannot be read, or says too little.
    """
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} cannot be read ({error}): fetch or write it again") from None
    wanted = ("base_model_name_or_path", "r", "lora_alpha")
    if not isinstance(settings, dict) or any(settings.get(name) in (None, "") for name in wanted):
        raise CheckpointError(
            f"{folder / CONFIG}: expected {', '.join(wanted)}, as PEFT writes them: save the adapter again"
        )
    return settings
