"""The CPU kernels in tests: skipped where there are none, which is a proper state of a machine and not a fault."""

import pytest

from modernbert.ops.native.library import why_not

needs_native = pytest.mark.skipif(why_not() is not None, reason=f"no CPU kernels here: {why_not()}")
