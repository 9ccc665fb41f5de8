import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

from modernbert.infer.ticket import Ticket, current


def test_a_ticket_is_held_inside_and_not_behind():
    ticket = Ticket()
    with ticket.held():
        assert current() is ticket
    assert current() is None


def test_a_thread_holds_the_ticket_of_its_context_only():
    ticket = Ticket()
    with ticket.held(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(contextvars.copy_context().run, current).result() is ticket
        assert pool.submit(current).result() is None


def test_who_leaves_wakes_those_who_wait_now_and_later():
    ticket, before, behind = Ticket(), threading.Event(), threading.Event()
    with ticket.waking(before):
        ticket.leave()
        assert before.is_set()
    with ticket.waking(behind):
        assert behind.is_set()
    assert ticket.is_gone


def test_who_has_its_answer_is_not_woken():
    ticket, event = Ticket(), threading.Event()
    with ticket.waking(event):
        pass
    ticket.leave()
    assert not event.is_set()
