"""Processes that start again and again around one store; threads stand for them."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as dist

from modernbert.train.meeting import agreed

PATIENCE = timedelta(seconds=20)


def meet(store: dist.Store, delays: tuple[float, ...]) -> set[str]:
    """What the processes agree on, each of which comes so late."""

    def come(rank: int) -> str:
        time.sleep(delays[rank])
        return agreed(store, rank, len(delays), PATIENCE)

    with ThreadPoolExecutor(len(delays)) as pool:
        return set(pool.map(come, range(len(delays))))


@pytest.mark.parametrize("delays", [(0.0, 0.2, 0.1), (0.2, 0.0, 0.1)], ids=["first comes first", "first comes last"])
def test_each_start_agrees_on_one_name_that_is_new(delays):
    store = dist.HashStore()
    store.set_timeout(PATIENCE)
    names = [meet(store, delays) for _ in range(3)]
    assert [len(each) for each in names] == [1, 1, 1]
    assert len(set.union(*names)) == 3


def test_a_question_of_a_dead_process_does_not_count():
    store = dist.HashStore()
    store.set_timeout(PATIENCE)
    dist.PrefixStore("meeting", store).set("asks/1", "asked before it died")
    with pytest.raises(dist.DistStoreError, match="1 of 2 processes came within 0:00:00"):
        agreed(store, 0, 2, timedelta(milliseconds=300))
    assert len(meet(store, (0.0, 0.3))) == 1


def test_one_process_needs_nobody():
    assert agreed(dist.HashStore(), 0, 1, PATIENCE)
