"""One browser for all tests of a file: while it is open, Playwright's event loop runs in this thread, and no other can."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    """One that finds no other machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    with playwright.sync_playwright() as started:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None and not Path(started.chromium.executable_path).exists():
            pytest.skip("needs a Chromium: apt-get install chromium, or playwright install chromium")
        nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox", nowhere])
        yield opened
        opened.close()
