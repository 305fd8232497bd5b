"""Forked children that do something and tell what came of it."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import signal
import traceback
import warnings

# Not os.close(): where that is patched it waits until the loop looks for events again.
from _socket import close
from collections.abc import Callable
from typing import Any

import gevent.os
from gevent.monkey import get_original

Task = Callable[[], Any]
In = Callable[[Task], Any]

# Seconds for all that a child does; it may have children of its own.
LIMIT = 40

# In the place of what a child tells: its failure, and what it returns.
SILENCE = ("it said nothing", None)

# The system's own, also where they are patched: gevent's fork() of a patched program watches for
# the child's end besides, and its waitpid() waits for what it sees then.
fork = get_original("os", "fork") if hasattr(os, "fork") else None
waitpid = get_original("os", "waitpid")


class Child:
    """A forked child that runs ``task`` and exits.

    :param task: what it returns must be picklable.
    :param fork: the function that forks.
    """

    def __init__(self, task: Task, fork: Callable[[], int]) -> None:
        self._results, there = os.pipe()
        # Newer Pythons warn of the threads of gevent's pool.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = fork()
        if self.pid == 0:
            _run(task, there)
        close(there)

    def result(self) -> Any:
        """Wait for what the task has returned; raises if it has failed."""
        gevent.os.make_nonblocking(self._results)
        received = b""
        try:
            while chunk := gevent.os.nb_read(self._results, 65536):
                received += chunk
        except gevent.Timeout:
            # It says where it hangs.
            os.kill(self.pid, signal.SIGALRM)
            raise
        finally:
            close(self._results)
            reap(self.pid)
        failure, value = pickle.loads(received) if received else SILENCE
        if failure:
            raise AssertionError(f"in the child: {failure}")
        return value


def reap(pid: int) -> None:
    """Wait for a child that is about to exit."""
    # A loop that watches any child waits for all of them when the signal comes.
    with contextlib.suppress(ChildProcessError):
        waitpid(pid, 0)


def _run(task: Task, there: int) -> None:
    """In the child: never returns into the parent's test."""
    # One whose loop does not come back ends as well: its parent waits for it.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, file=2, chain=True)
    signal.alarm(LIMIT)
    try:
        answer = pickle.dumps((None, task()))
    except BaseException:
        answer = pickle.dumps((traceback.format_exc(), None))
    try:
        os.write(there, answer)
    finally:
        os._exit(0)


def by_multiprocessing(task: Task) -> Any:
    """What ``task`` returns in a child of :mod:`multiprocessing`."""
    context = multiprocessing.get_context("fork")
    here, there = os.pipe()
    process = context.Process(target=_run, args=(task, there))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    close(there)
    with open(here, "rb") as results:
        received = results.read()
    process.join()
    process.close()
    failure, value = pickle.loads(received) if received else SILENCE
    if failure:
        raise AssertionError(f"in the child: {failure}")
    return value


def ways() -> dict[str, In]:
    """The ways to run a function in a forked child, under a time limit; each gives its result."""

    def limited(task: Task) -> Task:
        def run() -> Any:
            # It keeps no loop running that has nothing else to wait for.
            with gevent.Timeout(10, ref=False):
                return task()

        return run

    def by(fork: Callable[[], int]) -> In:
        return lambda task: Child(limited(task), fork).result()

    return {
        "os": by(fork),
        "gevent": by(gevent.os.fork_gevent),
        "multiprocessing": lambda task: by_multiprocessing(limited(task)),
    }
