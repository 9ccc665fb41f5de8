"""`modernbert models`: what is inside the package."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """List the models inside the package and the heads on them; every verb takes their names as --model."""

    json: bool = False
    """Print one JSON object a model."""

    def run(self) -> None:
        """Check the files, and print."""
        from modernbert.model.catalogue import catalogue

        found = catalogue()
        width = max((len(entry.name) for entry in found), default=0)
        for entry in found:
            if self.json:
                print(json.dumps(asdict(entry) | {"folder": str(entry.folder)}))
                continue
            print(f"{entry.name:{width}}  {entry.task}  {entry.about}")
            print(
                f"{'':{width}}  {entry.parameters / 1e6:.1f}M parameters, {entry.bytes / 1e6:.1f} MB, "
                f"texts of {entry.longest:,} tokens, sha256 {entry.signature[:16]}"
            )
