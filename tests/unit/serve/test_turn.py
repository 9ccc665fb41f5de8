import threading
import time

import pytest

from modernbert.infer.ticket import GoneError, LateError, Ticket
from modernbert.serve.turn import Turn


def test_one_at_a_time_and_everybody_in_the_end():
    turn, inside, most = Turn(), [0], [0]

    def work() -> None:
        with turn.taken():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (inside[0], most[0]) == (0, 1)


def test_who_waits_in_vain_gives_up():
    turn = Turn()
    gone = Ticket()
    gone.leave()
    with turn.taken():
        with Ticket(deadline=time.monotonic()).held(), pytest.raises(LateError), turn.taken():
            pass
        with gone.held(), pytest.raises(GoneError), turn.taken():
            pass
    with gone.held(), turn.taken():
        pass  # nobody has to wait, so nobody looks
