"""The threads of ``gnet top`` that ask the program: what draws never waits for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import gevent

from ..live.client import LiveError, There
from ..live.table import Listing, Rates, View

__all__ = ["MAX_ROWS", "NAME", "Asker", "await_threads", "tell"]

# More rows are not drawn: a search finds the others.
MAX_ROWS = 300

#: What each of the threads is called.
NAME = "gnet-top"
# How long the end waits for each, in seconds: one whose program hangs waits for longer.
_PATIENCE = 1.0


def tell(node: Any, function: Callable[..., object], *args: Any) -> None:
    """Have textual's thread call a function, and block until it has, or the application ends."""
    # Its loop may have ended, or end while the call is waited for.
    with suppress(RuntimeError, CancelledError):
        node.app.call_from_thread(function, *args)


def await_threads() -> None:
    """Block until the threads have ended, as the interpreter must not end under their feet."""
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(_PATIENCE)


class Asker(threading.Thread):
    """The thread that asks the program, in turn: for its list again and again, and whatever else.

    :param program: whom to ask.
    :param interval: how often to ask for the list, in seconds.
    :param listed: called, in this thread, with each :class:`Listing`.
    :param failed: called with the text of an error; it is asked again all the same.
    """

    def __init__(
        self,
        program: There,
        interval: float,
        listed: Callable[[Listing], object],
        failed: Callable[[str], object],
    ) -> None:
        super().__init__(name=NAME, daemon=True)
        self._program = program
        self._interval = interval
        self._listed = listed
        self._failed = failed
        self._rates = Rates()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        #: What is wanted of the list.
        self.view: View = View(limit=MAX_ROWS)
        self.paused: bool = False

    def look(self, view: View) -> None:
        """Show something else, and now."""
        self.view = view
        self._jobs.put(self._list)

    def act(self, verb: str, number: str) -> None:
        """Close or reset a connection, or drain a server; then look."""
        self._jobs.put(lambda: self._act(verb, number))

    def stop(self) -> None:
        """Ask no more."""
        self._jobs.put(None)

    def run(self) -> None:
        self._list()
        while True:
            try:
                job = self._jobs.get(timeout=self._interval)
            except Empty:
                job = bool if self.paused else self._list
            if job is None:
                break
            job()
        gevent.get_hub().destroy(destroy_loop=True)

    def _list(self) -> None:
        with self._told():
            self._listed(Listing.of(self._program.ask("list"), self.view, self._rates))

    def _act(self, verb: str, number: str) -> None:
        with self._told():
            for _ in self._program.ask(verb, id=number):
                pass
        self._list()

    def _told(self) -> Any:
        return _Told(self._failed)


class _Told:
    """What fails inside is told."""

    def __init__(self, failed: Callable[[str], object]) -> None:
        self._failed = failed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, LiveError):
            self._failed(str(error))
            return True
        return False
