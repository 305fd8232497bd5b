"""One run of the command: whom it talks to, and how it is stopped."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import zope.event

import gnet

from .._loop.signals import handlers_kept
from .._server import notify
from . import report, streams
from .console import Console
from .place import Place
from .traffic import Progress, Traffic

__all__ = ["GRACE", "CommandError", "Interrupted", "Session"]

#: Seconds that connections have to end when the command is stopped.
GRACE = 2.0
#: The signals that stop the command.
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CommandError(Exception):
    """What the user has to be told in one line."""


class Interrupted(BaseException):
    """A signal has stopped what was going on.

    :ivar number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Session:
    """One run of the command: whom it talks to, and how it is stopped."""

    # What the first signal does.
    _stop: Callable[[int], object]

    def __init__(self, console: Console, options: argparse.Namespace) -> None:
        self.console = console
        self.verbose: bool = getattr(options, "verbose", False)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Stop in good order at the first signal; the second one ends the process as ever."""
        with streams.throwing() as throw, handlers_kept(SIGNALS):
            self._stop = lambda number: throw(Interrupted(number))
            watchers = [gevent.signal_handler(each, self._signalled, each) for each in SIGNALS]
            try:
                yield
            finally:
                for watcher in watchers:
                    watcher.cancel()

    def _signalled(self, number: int) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._stop(number)

    @contextmanager
    def events(self) -> Iterator[None]:
        """Print the events as they happen, if that is wanted."""
        if not self.verbose:
            yield
            return
        zope.event.subscribers.append(self._print)
        try:
            yield
        finally:
            # The last ones come when what is closing has closed.
            gnet.run(timeout=GRACE)
            zope.event.subscribers.remove(self._print)

    def _print(self, event: object) -> None:
        line = report.describe(event)
        if line is not None:
            self.console.say(line)

    def complain(self, error: BaseException) -> None:
        """Tell of an error that ends one connection and not the command."""
        if not self.verbose:
            self.console.say(f"gnet: {report.message(error)}")

    def ignore(self, error: BaseException) -> None:
        """A listener for the errors that peers make, which only ``--verbose`` tells."""

    def complain_unless_peers(self, error: BaseException) -> None:
        """A listener that ignores the errors that peers make, and complains of others."""
        if getattr(error, "syscall", None) not in ("read", "write"):
            self.complain(error)

    def listen(self, server: gnet.Server, options: argparse.Namespace) -> None:
        """Listen, and say where, unless that is known and nobody watches."""
        place: Place = options.target
        where = place.listening(options.family)
        if options.family and where.get("host") is not None and not gnet.is_ip(where["host"]):
            where["host"], _ = gnet.dns.lookup(where["host"], family=options.family)
        # Windows' pipes go with their processes, and none is stale.
        with self.file_mode(options.mode, place.path):
            server.listen(**where, replace_stale=sys.platform != "win32")
        if not self.verbose:
            self.say_where(place, server.address())

    @staticmethod
    @contextmanager
    def file_mode(mode: int | None, path: str | None) -> Iterator[None]:
        """Give the file of a Unix socket that the block makes this mode.

        :param mode: ``None``: the system's usual one.
        """
        if mode is None or path is None:
            yield
            return
        # It is made with this mode: there is no moment in which more is allowed, or less.
        before = os.umask(~mode & 0o777)
        try:
            yield
        finally:
            os.umask(before)
        # A default access list of its directory goes before the mask.
        os.chmod(path, mode)

    def say_where(self, place: Place, address: Any) -> None:
        """Say where somebody listens, unless that is known and nobody watches."""
        if self.console.is_watched or place.port == 0:
            self.console.say(f"listening on {report.place_of(address)}")

    def serve(self, server: gnet.Server, options: argparse.Namespace) -> None:
        """Listen, and block until a signal has stopped the server."""
        if options.max_connections is not None:
            server.max_connections = options.max_connections
        timeout = getattr(options, "timeout", None)
        if timeout is not None:
            server.prepend_listener("connection", functools.partial(_end_when_idle, timeout))
        traffic = Traffic()
        if self.console.is_terminal:
            server.prepend_listener("connection", traffic.add)
        self.listen(server, options)
        server.on("error", self.complain)
        self._stop = functools.partial(self._shut_down, server, options.grace)
        with Progress(self.console, traffic, several=True), notify.as_service():
            server.serve_forever()

    def say_that_it_waits(self, seconds: float, connections: int | None = None) -> None:
        """Tell somebody who watches why the command does not end at once.

        :param connections: how many it waits for; ``None`` where that is not known.
        """
        if connections == 0 or not seconds or not self.console.is_watched:
            return
        count = "" if connections is None else f"{connections} "
        plural = "" if connections == 1 else "s"
        self.console.say(
            f"waiting up to {seconds:g} s for {count}connection{plural} to end; Ctrl-C ends it now"
        )

    def _shut_down(self, server: gnet.Server, grace: float, number: int) -> None:
        notify.stopping()
        self.say_that_it_waits(grace, len(server.connections))
        server.shutdown(grace)


def _end_when_idle(seconds: float, sock: gnet.Socket) -> None:
    sock.set_timeout(seconds, sock.destroy)
