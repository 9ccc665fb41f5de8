"""`modernbert model grow`: a larger model that starts from a smaller one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """Tile a model's weights into a larger one, as ModernBERT-large began; train it further before use."""

    small: tyro.conf.Positional[str]
    """Folder or Hub id of the smaller model."""
    out: tyro.conf.Positional[Path]
    """A new folder for the larger model and the smaller one's tokenizer."""
    size: str | None = None
    """Shape of the larger model by name, such as large; all else stays as in the smaller one."""
    config: Path | None = None
    """Instead of a size: YAML or JSON with the fields of config.json that differ from the smaller model's."""
    how: Literal["tile", "tile-aligned", "preserve"] = "tile"
    """tile: as the reference. tile-aligned: global layers from global ones, windowed from windowed. preserve: rescaled so
    that the larger model computes what the smaller one did."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Grow and write."""
        from modernbert.core.errors import UserError

        if (self.size is None) == (self.config is None):
            raise UserError(
                f"found --size {self.size} and --config {self.config}, expected one of the two: say how large"
            )

        import torch

        from modernbert.core.config import read, to_plain
        from modernbert.core.files import atomic_folder
        from modernbert.model.config import ModelConfig
        from modernbert.model.counts import num_parameters
        from modernbert.model.folder import check_free, copy_tokenizer
        from modernbert.model.grow import enlarged, grow, layer_map
        from modernbert.model.hub import folder_of
        from modernbert.model.store import load, save

        check_free(self.out)
        folder = folder_of(self.small)
        small = load(folder, dtype=torch.float32)
        if self.config is None:
            config = enlarged(small.config, str(self.size))
        else:
            config = read(ModelConfig, to_plain(small.config), self.config)
        large = grow(small, config, how=self.how)
        with atomic_folder(self.out) as unfinished:
            save(large, unfinished)
            copied = copy_tokenizer(folder, unfinished)
        told = {
            "out": str(self.out),
            "parameters": num_parameters(config),
            "grown_from": num_parameters(small.config),
            "layers": layer_map(small.config, config, how=self.how),
            "tokenizer": copied,
        }
        if self.json:
            print(json.dumps(told))
            return
        print(f"{self.out}: {told['parameters']:,} parameters, grown from {told['grown_from']:,}")
        print(f"layers taken from {' '.join(map(str, told['layers']))}")
        print(f"tokenizer: {', '.join(copied) if copied else 'none beside the smaller model'}")
