"""Processes that answer in order, end with their pipe, and outlive the signals that ask a run to stop."""

import operator
import os
import signal
import subprocess
import sys

import pytest

from modernbert.data._workers import Workers


def test_results_come_in_the_order_of_the_jobs_and_errors_are_raised_here():
    workers = Workers(operator.itemgetter("number"), 2)
    for number in range(3):
        workers.give({"number": number})
    workers.give({})
    workers.give({"number": 4})
    assert [workers.take() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="number"):
        workers.take()
    assert workers.take() == 4
    processes = [*workers._processes]
    workers.give({"number": 5})
    workers.close()
    workers.close()
    assert [process.exitcode for process in processes] == [0, 0]


def test_jobs_and_results_larger_than_a_pipe_do_not_wait_for_each_other():
    """A pipe holds 64 kB; a worker that sends must still take jobs, or both sides would wait for ever."""
    workers = Workers(operator.methodcaller("upper"), 1)
    for _ in range(20):
        workers.give("a" * 300_000)
    assert all(workers.take() == "A" * 300_000 for _ in range(20))
    workers.close()


def test_signals_that_stop_a_run_do_not_end_its_workers():
    """The run saves itself first, and for that may need one batch more."""
    workers = Workers(len, 1)
    workers.give("ab")
    assert workers.take() == 2
    for name in (signal.SIGINT, signal.SIGTERM):
        os.kill(workers._processes[0].pid, name)
    workers.give("abc")
    assert workers.take() == 3
    workers.close()


PARENT = """
import os, signal
from modernbert.data._workers import Workers
if __name__ == "__main__":
    workers = Workers(len, 1)
    workers.give("ab")
    workers.take()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE) as parent:
        parent.communicate(timeout=60)  # the worker has the same output, which ends when both have ended
    assert parent.returncode == -signal.SIGKILL


def test_a_worker_does_without_torch():
    """Which takes seconds to import, in each of them."""
    modules = "modernbert.data.streams, modernbert.data._workers, modernbert.data.shards"
    subprocess.run([sys.executable, "-c", f"import sys, {modules}; assert 'torch' not in sys.modules"], check=True)
