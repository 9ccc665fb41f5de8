"""The index's benchmark, small: recall is of the exact scan, and both stores look at candidates alike."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


def test_the_contenders_are_measured_and_tabled(capsys):
    import index as benchmark

    words = ["--vectors", "300", "--width", "8", "--queries", "5", "--texts", "100", "--contenders", "edge", "exact"]
    benchmark.main([*words, "--here", "--no-write"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[7].strip() for line in lines[2:4]] == ["1.000", "1.000"]
    assert lines[5].startswith("MaxSim of 100 candidates of 128 tokens x 128, 32 tokens asked, ms: edge ")


def test_the_truth_is_every_product_sorted():
    import index as benchmark

    vectors, queries = benchmark.vectors_of(200, 4), benchmark.vectors_of(200, 4, seed=1)[:3]
    expected = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, : benchmark.TOP]
    np.testing.assert_array_equal(benchmark.nearest(vectors, queries), expected)
