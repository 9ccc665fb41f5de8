"""Files out of npm's packages: each at one version, its hash known; fetched when a page is made, and no part of this package."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def archives(packages: Sequence[Package], folder: Path | None) -> Iterator[Path]:
    """A folder with the packages' archives.

    Args:
        folder: one that has them; absent: npm fetches them, or takes them from its cache.

    Raises:
        UserError: there is no npm, or it fails.
    """
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory(prefix="modernbert-npm-") as fetched:
        _fetch([each.spec for each in packages], Path(fetched))
        yield Path(fetched)


def read_files(package: Package, names: Collection[str], folder: Path) -> dict[str, bytes]:
    """Contents of files, by their names in the package.

    Raises:
        UserError: its archive is missing in the folder, or is another one.
    """
    archive = folder / package.archive
    if not archive.is_file():
        raise UserError(f"{archive} is missing: put there what  npm pack {package.spec}  writes")
    content = archive.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise UserError(f"{archive}: found another file than {package.spec} of npm's registry: fetch it again")
    found = {}
    with tarfile.open(
        fileobj=io.BytesIO(content), mode="r|gz"
    ) as packed:  # once through, as it is compressed as a whole
        for member in packed:
            name = member.name.removeprefix("package/")
            if name in names and (file := packed.extractfile(member)) is not None:
                found[name] = file.read()
    return found


def _fetch(specs: Sequence[str], folder: Path) -> None:
    npm = shutil.which("npm")
    wanted = " ".join(specs)
    way_out = f"or run  npm pack {wanted}  elsewhere, and name its folder by --runtime"
    if npm is None:
        raise UserError(f"found no npm, which fetches {wanted} for the page: install Node.js, {way_out}")
    words = [npm, "pack", *specs, "--prefer-offline", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run([*words, f"--pack-destination={folder}"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        said = next((line for line in lines if line and not line.startswith("code ")), f"exit code {done.returncode}")
        raise UserError(f"npm cannot fetch {wanted} ({said}): check the network, {way_out}")
