"""The thread of ``gnet top`` that asks the program: what draws never waits for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import gevent

from ..live.client import LiveError, There
from ..live.table import Listing, Rates, View

__all__ = ["MAX_ROWS", "Asker"]

# More rows are not drawn: a search finds the others.
MAX_ROWS = 300


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
        super().__init__(daemon=True)
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
