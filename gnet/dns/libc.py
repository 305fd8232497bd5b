"""The system's resolver, which libc asks in a thread of gevent's pool; and a fork meanwhile.

libc has locks that are held while a question is prepared, one of :file:`/etc/resolv.conf` for
example, and glibc renews them in no child. One that is forked at that moment waits for ever with
its own first question: in plain Python, 7 of 2,508 children of a process with three threads that
asked for ``localhost``. So a fork of this process lets the questions end that are answered on this
machine, and holds back the next ones. One that goes through the network waits without a lock.
"""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from .._values.originals import original

__all__ = ["ask", "forget", "install"]

#: How long a fork waits, in seconds. Most questions that libc answers by itself take 0.1 ms; but
#: where a thread has to wait for a processor, some children still hung with 0.01.
_PATIENCE = 0.05

# The threads' own: a patched one would wait for the hub.
_new_lock = original("_thread", "allocate_lock")
# A fork has it from its beginning to its end, and a question while it begins.
_turn = _new_lock()
# A lock for each question that is under way, which ends with it.
_asked: set[Any] = set()


def ask(resolver: Any, *question: Any) -> Any:
    """Ask the resolver of a hub.

    :param question: what ``getaddrinfo`` takes.
    """
    # Its class is there by now: the hub has imported the module of the one that it made.
    threaded = sys.modules.get("gevent.resolver.thread")
    if threaded is None or type(resolver) is not threaded.Resolver:
        return resolver.getaddrinfo(*question)
    answer = resolver.pool.apply(_outcome, question)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _outcome(*question: Any) -> Any:
    """In a thread of gevent's pool, which prints what it is raised: an answer, or the error."""
    try:
        with _under_way():
            return _socket.getaddrinfo(*question)
    except Exception as exc:
        return exc


@contextmanager
def _under_way() -> Iterator[None]:
    lock = _new_lock()
    with lock:
        with _turn:
            _asked.add(lock)
        try:
            yield
        finally:
            _asked.discard(lock)


def _let_end() -> None:
    """Ahead of a fork: no question is inside libc, if it is one of those that take no time."""
    _turn.acquire()
    end = monotonic() + _PATIENCE
    for lock in tuple(_asked):
        if lock.acquire(timeout=max(0, end - monotonic())):
            lock.release()


def forget() -> None:
    """In a forked child: the threads that ask are the parent's."""
    global _turn
    _turn = _new_lock()
    _asked.clear()


def install() -> None:
    """Have every fork of this process wait for them."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_let_end, after_in_parent=lambda: _turn.release())
