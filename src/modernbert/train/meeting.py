"""Where the processes of a run meet: a corner of the launcher's store that no earlier start of them has used.

`torchrun` keeps one store for all starts of its workers (https://github.com/pytorch/pytorch/issues/135712). After a restart a
process may then read where another one was to be reached before it died, and waits for it, both of them until their patience
ends. What torchrun counts does not tell the starts apart: each launcher counts its own.
"""

import time
from datetime import timedelta
from uuid import uuid4

from torch.distributed import DistStoreError
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

_PAUSE = 0.02


def fresh_store(rank: int, size: int, patience: timedelta) -> Store:
    """The store that the environment describes, where it is empty.

    Raises:
        DistError: the others did not come in time.
    """
    store, *_ = next(rendezvous("env://", rank, size, timeout=patience))
    store.set_timeout(patience)
    return PrefixStore(agreed(store, rank, size, patience), store)


def agreed(store: Store, rank: int, size: int, patience: timedelta) -> str:
    """A name that the living processes share, and no dead one has known: the first makes it up.

    Each of the others asks under a name of its own making, and takes only the answer that is left there. The first answers the
    questions of the dead, too, until each of the living has shown that it knows.

    Raises:
        DistError: the others did not come in time.
    """
    meeting = PrefixStore("meeting", store)
    own = uuid4().hex
    if rank > 0:
        meeting.set(f"asks/{rank}", own)
        name = meeting.get(own).decode()
        meeting.set(f"{name}/{rank}", "knows")
        return name
    missing = set(range(1, size))
    end = time.monotonic() + patience.total_seconds()
    while missing := {each for each in missing if not meeting.check([f"{own}/{each}"])}:
        if time.monotonic() > end:
            raise DistStoreError(f"{size - len(missing)} of {size} processes came within {patience}")
        for each in missing:
            if meeting.check([f"asks/{each}"]):
                meeting.set(meeting.get(f"asks/{each}").decode(), own)
        time.sleep(_PAUSE)
    return own
