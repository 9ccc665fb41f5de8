import os
import signal
from threading import Thread

import pytest

from modernbert.train.signals import stoppable


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_is_a_request_to_stop(number, capsys):
    with stoppable() as asked:
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
    assert capsys.readouterr().err == f"{number.name}: finishing this step and saving\n"


def test_a_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt), stoppable():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_sigterm_changes_nothing():
    with stoppable() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()


def test_what_signals_did_before_they_do_again():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_outside_the_main_thread_nobody_can_ask():
    heard = []

    def run():
        with stoppable() as asked:
            heard.append(asked())

    thread = Thread(target=run)
    thread.start()
    thread.join()
    assert heard == [False]
