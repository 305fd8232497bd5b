"""Threads of the system's, also where they are patched."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event
from gevent.monkey import get_original

start_new_thread = get_original("_thread", "start_new_thread")


def count() -> int:
    """How many threads the process has, where the system tells."""
    folder = "/proc/self/task"
    return len(os.listdir(folder)) if os.path.isdir(folder) else 0


def wait_for_count(most: int) -> None:
    """Wait until there are no more: the system lets go of one a moment after it has ended."""
    with gevent.Timeout(2):
        while count() > most:
            gevent.sleep(0.001)


#: The loops of threads that have ended, which gevent leaves as they are.
left: list[Any] = []


class Thread:
    """A thread that runs ``function``, waited for by gevent."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._over = Event()
        self._told = gevent.get_hub().loop.async_()
        self._told.start(self._over.set)
        start_new_thread(self._run, (function, args))

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._value = function(*args)
        except BaseException as exc:
            self._error = exc
        finally:
            # So that nothing of it is kept by the thread, which has still to end.
            del function, args
            hub: Any = get_hub_if_exists()
            if hub is not None and hub.loop is not None:
                left.append(hub.loop)
            self._told.send()

    def result(self) -> Any:
        """Wait for what the function returns; raises what it has raised."""
        self._over.wait()
        self._told.close()
        if self._error is not None:
            raise self._error
        return self._value


def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """What ``function`` returns in a thread of its own."""
    return Thread(function, *args).result()


def destroy_loops() -> None:
    """Let go of the loops that threads have left."""
    while left:
        loop = left.pop()
        if loop.ptr:
            loop.destroy()
