"""One run of the command: whom it talks to, and how it is stopped."""

from __future__ import annotations

import argparse
import functools
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
from .copying import exchange
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

    def __init__(self, console: Console, options: argparse.Namespace) -> None:
        self.console = console
        self.verbose: bool = getattr(options, "verbose", False)
        self._stop: Callable[[int], object] = functools.partial(_interrupt, gevent.getcurrent())

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Stop in good order at the first signal; the second one ends the process as ever."""
        with handlers_kept(SIGNALS):
            watchers = [
                gevent.signal_handler(number, self._signalled, number) for number in SIGNALS
            ]
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

    def listen(self, server: gnet.Server, place: Place) -> None:
        """Listen, and say where, unless that is known and nobody watches."""
        # Windows' pipes go with their processes, and none is stale.
        server.listen(**place.options, replace_stale=sys.platform != "win32")
        if not self.verbose:
            self.say_where(place, server.address())

    def say_where(self, place: Place, address: Any) -> None:
        """Say where somebody listens, unless that is known and nobody watches."""
        if self.console.is_terminal or place.port == 0:
            self.console.say(f"listening on {report.place_of(address)}")

    def serve(self, server: gnet.Server, options: argparse.Namespace) -> None:
        """Listen, and block until a signal has stopped the server."""
        if options.max_connections is not None:
            server.max_connections = options.max_connections
        traffic = Traffic()
        if self.console.is_terminal:
            server.prepend_listener("connection", traffic.add)
        self.listen(server, options.target)
        server.on("error", self.complain)
        self._stop = functools.partial(_shut_down, server, options.grace)
        with Progress(self.console, traffic, several=True), notify.as_service():
            server.serve_forever()

    def talk(self, sock: gnet.Socket) -> None:
        """Connect a connection with standard input and output, until both have ended."""
        interactive = streams.is_terminal(sys.stdin)
        visible = streams.is_terminal(sys.stdout)
        traffic = Traffic()
        traffic.add(sock)
        source, sink = streams.standard_input(), streams.standard_output()
        try:
            with Progress(self.console, traffic, live=not visible):
                # Nobody wants to end the input by hand when there is nobody to type for.
                last = exchange(sock, source, sink, until_peer_ends=interactive)
                if visible and last and not last.endswith(b"\n"):
                    self.console.say("")
        finally:
            sock.close()
            source.destroy()
            sink.destroy()


def _shut_down(server: gnet.Server, grace: float, number: int) -> None:
    notify.stopping()
    server.shutdown(grace)


def _interrupt(greenlet: Any, number: int) -> None:
    gevent.kill(greenlet, Interrupted(number))
