"""Who sees whom."""

import pytest
import torch

from modernbert.ops.window import Window


@pytest.mark.parametrize(
    ("window", "left", "right"),
    [(Window.both(2), 2, 2), (Window(3, 5), 3, 5), (Window(0, 1), 0, 1), (Window(0, 0), 0, 0)],
)
def test_a_window_is_inclusive_on_both_sides(window, left, right):
    positions = torch.arange(12)
    allowed = window.allows(positions[:, None], positions[None, :])
    for query in range(12):
        for key in range(12):
            assert bool(allowed[query, key]) == (query - left <= key <= query + right)
    assert not window.is_full


def test_modernberts_window_reaches_64_to_each_side():
    window = Window.both(64)
    seen = window.allows(torch.tensor(100), torch.arange(200)).nonzero().squeeze(1)
    assert (int(seen.min()), int(seen.max()), len(seen)) == (36, 164, 129)


def test_a_full_window_hides_nothing():
    window = Window.full()
    assert window.is_full
    assert window == Window(None, None)
    allowed = window.allows(torch.arange(3)[:, None], torch.arange(50_000)[None, :])
    assert allowed.shape == (3, 50_000)
    assert allowed.dtype == torch.bool
    assert bool(allowed.all())


@pytest.mark.parametrize(("window", "distance"), [(Window.both(64), 64), (Window(3, 5), 3), (Window(5, 3), 3)])
def test_a_window_spans_what_it_sees_from_either_end(window, distance):
    assert window.spans(0)
    assert window.spans(distance)
    assert not window.spans(distance + 1)
    assert Window.full().spans(10**9)


@pytest.mark.parametrize("ends", [(None, 3), (3, None)])
def test_one_open_end_is_refused(ends):
    with pytest.raises(
        ValueError, match=r"two ends or none: found Window\(.*\); use Window.both\(n\) or Window.full\(\)"
    ):
        Window(*ends)


@pytest.mark.parametrize("ends", [(-1, 3), (3, -1)])
def test_negative_ends_are_refused(ends):
    with pytest.raises(ValueError, match=r"numbers of tokens: found Window\(.*\), expected 0 or more"):
        Window(*ends)


def test_windows_are_values():
    assert Window.both(64) == Window(64, 64)
    assert len({Window.both(64), Window(64, 64), Window.full()}) == 2
