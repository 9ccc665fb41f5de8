"""`modernbert doctor`: what this machine will use, and why."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Show the device, the number format and the attention backend that will be used, and why."""

    json: bool = False
    """Print one JSON object."""

    def run(self) -> None:
        """Look and print."""
        from modernbert.bench.machine import examine

        found = examine()
        if self.json:
            print(json.dumps(found.as_dict()))
            return
        for line in found.lines():
            print(line)
