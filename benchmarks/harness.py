"""Side-by-side timing, as `modernbert bench` does it; here under the name that the benchmarks know it by."""

from modernbert.bench.timing import Timing, alternate, paired_ratio

__all__ = ["Timing", "alternate", "paired_ratio"]
