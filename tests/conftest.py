"""What every test gets: the same torch seed, one thread, no GPU tests without a GPU, and a way past the type checks."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# FlexAttention off CUDA is uncompiled on purpose here: it is compared, not timed.
FLEX_IS_SLOW = "ignore:flex_attention called without torch.compile:UserWarning"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", FLEX_IS_SLOW)


@pytest.hookimpl(trylast=True)  # after they are shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _is_short(item.path))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _is_short(path: Path) -> bool:
    """Whole pages and programs come first: a long file that begins last leaves all other cores idle."""
    return path.relative_to(TESTS).parts[0] not in ("docs", "system") if path.is_relative_to(TESTS) else True


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same numbers whatever ran before; tests of plain Python do not load torch for it.

    One thread: with more, small operations wait for each other, and a busy neighbour makes the suite 50 times slower.
    """
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
        torch.set_num_threads(1)
    if "numpy" in sys.modules:
        _one_thread_for_numpy()


@cache
def _one_thread_for_numpy() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")


@pytest.fixture(params=["reference", "native", "blocked", "flex"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every attention that runs on a CPU. FlexAttention traces its mask, and cannot trace the type checks in it."""
    if request.param == "native":
        from modernbert.ops.native.library import why_not

        if problem := why_not():
            pytest.skip(f"no CPU kernels here: {problem}")
    if request.param == "flex":
        request.getfixturevalue("unchecked")
    return request.param


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Code as it ships. The tests' type checks would stop a wrong argument before our own sentence about it."""
    from jaxtyping import config

    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)
