"""`modernbert model publish`: models to the Hugging Face Hub, one revision each."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Upload models as branches step-..., each with a model card, and the last one as main.

    The card holds the run's recipe with the paths in it: look at it first with --dry-run.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Models' folders, such as runs/x/published/*; a training.json in each says its step."""
    repo: str
    """Where to, as owner/name."""
    private: bool = False
    """Make the repository private when it is new."""
    license: str | None = None
    """What the card says, in the Hub's words, such as apache-2.0; absent: nothing."""
    dry_run: bool = False
    """List what would be uploaded, print main's card, and upload nothing."""
    json: bool = False
    """Print one JSON object a revision instead."""

    def run(self) -> None:
        """Read, upload, tell."""
        from modernbert.core.log import say
        from modernbert.model.card import card
        from modernbert.model.publish import check_repo, publish
        from modernbert.model.revisions import read_series

        check_repo(self.repo)
        series = read_series(self.folders)
        for one in series:
            if one.left_out:
                say(f"{one.folder}: left out {', '.join(path.name for path in one.left_out)}")
        if not self.dry_run:
            from huggingface_hub import HfApi

            publish(series, self.repo, HfApi(), private=self.private, license_id=self.license)
        for one in series:
            branches = [one.name, "main"] if one is series[-1] else [one.name]
            files = {path.name: path.stat().st_size for path in one.files}
            if self.json:
                told = {"repo": self.repo, "branches": branches, "folder": str(one.folder), "files": files}
                print(json.dumps(told | {"uploaded": not self.dry_run}))
                continue
            done = "would upload" if self.dry_run else "uploaded"
            print(
                f"{' and '.join(branches)}: {done} {sum(files.values()):,} bytes from {one.folder}: {', '.join(files)}"
            )
        if self.dry_run and not self.json:
            print(f"\n{card(series[-1], series, self.repo, is_main=True, license_id=self.license)}", end="")
