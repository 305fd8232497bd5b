"""Serving until told to stop: ``gnet.serve``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent

from .._core.dispatcher import Dispatcher, dispatcher, dispatchers
from .._core.emitter import Listener
from .._loop.signals import handlers_kept, signals_heard
from .._values import arguments
from .._values.suggestions import names, option_error
from .._values.weak_sets import members
from . import bind, notify
from .options import ListeningOptions, ServeOptions
from .server import Server

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["run", "serve", "serve_with"]

_LISTEN_OPTIONS = {"backlog"} | names(ListeningOptions)
_OPTIONS = names(ServeOptions)

STOPPING = (signal.SIGTERM, signal.SIGINT)


class _Stop:
    """What a signal does: the first one shuts down, a second one does not wait any more."""

    def __init__(self, server: Server, grace: float | None) -> None:
        self._server = server
        self._grace = grace
        self._shutdowns: list[gevent.Greenlet[..., int]] = []

    def __call__(self, *_: Any) -> None:
        # This runs wherever the interpreter is, perhaps in the hub, which must not block.
        notify.stopping()
        grace, self._grace = self._grace, 0
        self._shutdowns.append(gevent.spawn(self._server.shutdown, grace))

    def forced(self) -> int:
        """How many connections the shutdowns have destroyed, which have all but ended."""
        return sum(shutdown.get() for shutdown in self._shutdowns)


class _StopAll:
    """What a signal does to all servers of the process.

    The first one shuts them down, a second one destroys what is left, a third one has the effect
    that it would have without.
    """

    def __init__(self, loop: Dispatcher, grace: float | None) -> None:
        self._loop = loop
        self._grace = grace
        self._count = 0

    def __call__(self, number: int, frame: Any) -> None:
        # This runs wherever the interpreter is, perhaps in the hub, which must not block.
        self._count += 1
        if self._count == 1:
            notify.stopping()
            self._each_server(self._grace)
        elif self._count == 2:
            self._each_server(0)
            for sock in members(self._loop.others):
                gevent.spawn(sock.destroy)
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _each_server(self, grace: float | None) -> None:
        for loop in members(dispatchers):
            for server in [each for each in list(loop.kept) if isinstance(each, Server)]:
                # Each in its own thread, in a greenlet of that.
                loop.ask(partial(server.shutdown, grace))


def run(timeout: float | None, signals: bool, grace: float | None) -> bool:
    """``gnet.run()``, its arguments checked."""
    loop = dispatcher()
    with signals_heard(loop.hub):
        if not signals:
            return loop.run(timeout)
        with _stopping(_StopAll(loop, grace)), notify.as_service():
            return loop.run(timeout)


@contextmanager
def _stopping(stop: Callable[..., object]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call ``stop`` inside; only the main thread is told of signals."""
    # A cluster's worker minds the signals itself, for all of its servers.
    numbers = STOPPING if bind.ask_primary is None else ()
    with handlers_kept(numbers):
        with suppress(ValueError):
            for number in numbers:
                signal.signal(number, stop)
        yield


def serve(
    handler: Listener,
    target: Any = None,
    host: Any = None,
    *,
    grace: float | None = 30.0,
    **options: Unpack[ServeOptions],
) -> int:
    """Serve in blocking style: each connection's handler has a greenlet of its own.

    Blocks until the server has closed. Each connection is closed when its handler returns, and
    destroyed when it raises. In the main thread, SIGTERM and SIGINT stop the server: it stops
    accepting, the handlers read an end and may finish, and what is left after ``grace`` seconds is
    destroyed. A second signal ends the waiting. In a worker of :mod:`gnet.cluster` the cluster
    handles the signals.

    :param handler: called with the :class:`Socket`.
    :param target: as for :meth:`Server.listen`.
    :param host: as for :meth:`Server.listen`.
    :param grace: how long the handlers have after a signal, in seconds; ``None`` for no limit.
    :param options: those of :class:`Server` and of :meth:`Server.listen`.
    :returns: how many connections were destroyed after a signal.
    """
    arguments.function("handler", handler)
    if not options.keys() <= _OPTIONS:
        raise option_error("serve()", options, _OPTIONS)
    given: Any = {"end_on_return": True, **options}
    return serve_with(partial(Server, handler), target, host, grace, given)


def serve_with(
    make: Callable[..., Server],
    target: Any,
    host: Any,
    grace: float | None,
    options: dict[str, Any],
) -> int:
    """Have a server listen, and block until it has closed.

    :param make: makes the server, of those of the options that are not ``listen()``'s.
    :param options: both kinds; the other parameters and the result are those of :func:`serve`.
    """
    arguments.limit("grace", grace)
    listening = {name: options.pop(name) for name in _LISTEN_OPTIONS if name in options}
    server = make(**options)
    server.listen(target, host, **listening)
    stop = _Stop(server, grace)
    try:
        with _stopping(stop), notify.as_service():
            server.serve_forever()
    finally:
        server.close()
    return stop.forced()
