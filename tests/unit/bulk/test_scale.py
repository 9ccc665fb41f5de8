"""The simulation behind docs/scale.md, at its ends."""

from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scale

    return scale


def test_one_worker_without_overhead_takes_what_computing_takes(scale):
    free = scale.World(corpus_gb=1, overhead_s=0, start_s=0, call_s=0, listing_per_second=1e12)
    run = scale.simulate(free, workers=1, shard_mb=10)
    assert run.hours == pytest.approx(1e9 * 0.6 / 1e5 / 3600)
    assert run.efficiency == pytest.approx(1)


def test_a_slow_driver_and_a_slow_store_are_found_to_be_the_limit(scale):
    world = scale.World(corpus_gb=100)
    few, many = (scale.simulate(world, workers=n, shard_mb=1).hours for n in (10, 1000))
    assert few > 10 * many
    driver = scale.simulate(replace(world, call_s=5.0), workers=1000, shard_mb=1)
    assert (driver.limit, driver.driver_share > 0.9) == ("the driver", True)
    assert driver.hours > 5 * 100_000 / 3600
    store = scale.simulate(replace(world, requests_per_second=1.0), workers=1000, shard_mb=1)
    assert store.limit == "the store's requests"


def test_the_page_is_whole_and_the_driver_is_really_driven(scale):
    assert 0 < scale.driver_seconds(200) < 0.05
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert page.count("| 1,000 |") == len(scale.SHARD_MB)
