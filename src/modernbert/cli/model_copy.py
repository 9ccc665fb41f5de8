"""`modernbert model copy`: a packaged model, or one with a head, as a folder of its own."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Write a model as a whole folder for transformers, sentence-transformers or a server; adapters are merged."""

    model: tyro.conf.Positional[str]
    """A packaged model such as nano or nano:embedding, a folder (of a LoRA adapter, too) or a Hub id."""
    out: tyro.conf.Positional[Path]
    """A new folder."""

    def run(self) -> None:
        """Load, merge, write."""
        from modernbert.model.catalogue import take

        take(self.model, self.out)
        print(f"{self.out}: {self.model}, with its tokenizer")
