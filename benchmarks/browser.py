"""The page of `modernbert export browser` in a headless Chromium: its bytes, how long it loads, and milliseconds a text.

    python benchmarks/browser.py                          # nano; writes docs/benchmarks-browser.md
    python benchmarks/browser.py --rounds 1 --no-write

Each round opens a browser of its own, so that nothing is cached or compiled; one with one thread and one with several take turns.
"""

import argparse
import shutil
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from modernbert.bench.machine import Machine, examine
from modernbert.core.errors import require
from modernbert.core.script import as_script
from modernbert.export.browser import RUNTIME, Bundle, export_browser

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-browser.md"
LENGTHS = (16, 128, 512)

MEASURE = """async ([lengths, repeats]) => {
  const started = performance.now();
  const { load, fillMask, embed } = await import("/modernbert.js");
  const loaded = await load();
  const took = [["load", performance.now() - started]];
  const time = async (name, run) => {
    const start = performance.now();
    await run();
    took.push([name, performance.now() - start]);
  };
  await time("first fill", () => fillMask("The ship sailed across the [MASK] to reach the island."));
  for (const length of lengths) {
    const words = " bell".repeat(length - 3);
    for (let n = 0; n < repeats; n += 1) await time(`fill ${length}`, () => fillMask(`${words} [MASK]`));
    // each text is another one: vectors of texts that were seen are kept
    for (let n = 0; n < repeats; n += 1) await time(`embed ${length}`, () => embed(`${n}${words}`));
  }
  return { took, loaded, browser: navigator.userAgent };
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One browser."""

    threads: int
    device: str
    took: list[tuple[str, float]]
    """What was done, in milliseconds."""

    def median(self, name: str) -> float:
        """Of all that were called so."""
        return statistics.median(each for other, each in self.took if other == name)


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def __init__(self, *args: object, shares: bool, **settings: object) -> None:
        self.shares = shares
        super().__init__(*args, **settings)  # type: ignore[arg-type]

    def end_headers(self) -> None:
        if self.shares:  # threads share memory, and a browser allows it to pages that are alone
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=11, help="texts of each length in a round")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--no-write", action="store_true", help="leave the page as it is")
    options = parser.parse_args(words)
    with TemporaryDirectory() as home:
        bundle = export_browser(options.model, Path(home) / "page")
        visits = [
            _visit(Path(home) / "page", shares, options.lengths, options.repeats)
            for _ in range(options.rounds)
            for shares in (False, True)
        ]
    lines = [*_size_table(bundle), "", *_time_table(visits, options.lengths)]
    print("\n".join(lines))
    if not options.no_write:
        PAGE.write_text(_page(options.model, lines, examine()), encoding="utf-8")


def _visit(folder: Path, shares: bool, lengths: Sequence[int], repeats: int) -> Visit:
    playwright = require("playwright.sync_api")
    with _serving(folder, shares) as address, playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"{address}README.md")  # a page of this address without the models
        found = page.evaluate(MEASURE, [list(lengths), repeats])
        browser.close()
    devices = sorted({model["device"] for model in found["loaded"]["models"]})
    return Visit(
        threads=found["loaded"]["threads"], device="+".join(devices), took=[tuple(one) for one in found["took"]]
    )


@contextmanager
def _serving(folder: Path, shares: bool) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder), shares=shares))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def _size_table(bundle: Bundle) -> list[str]:
    rows = {"the whole folder": bundle.bytes, "a browser loads": bundle.without_gpu, "with WebGPU": bundle.with_gpu}
    return ["| | MB |", "|---|---|", *(f"| {name} | {size / 1e6:.1f} |" for name, size in rows.items())]


def _time_table(visits: Sequence[Visit], lengths: Sequence[int]) -> list[str]:
    names = ["load", "first fill", *(f"{kind} {length}" for kind in ("fill", "embed") for length in lengths)]
    kinds = sorted({(visit.device, visit.threads) for visit in visits})
    lines = [
        f"| ms | {' | '.join(f'{device}, {threads} threads' for device, threads in kinds)} |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for name in names:
        cells = []
        for kind in kinds:
            found = sorted(visit.median(name) for visit in visits if (visit.device, visit.threads) == kind)
            cells.append(f"{statistics.median(found):.1f} ({found[0]:.1f}–{found[-1]:.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _page(model: str, lines: list[str], machine: Machine) -> str:
    return "\n".join(
        [
            "# Benchmarks of the page in a browser",
            "",
            "*Written by `python benchmarks/browser.py`; no number here is typed by hand.*",
            "",
            f"{date.today().isoformat()} · {machine.cpu} · {machine.cores} cores · headless Chromium · {RUNTIME.spec} · {model}",
            "",
            "Medians of rounds (range over rounds). `load` is from a cold start over a local network until the model has passed its "
            "self-check; `first fill` is the first question after it; then texts of so many tokens, tokenising included.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    as_script(main)
