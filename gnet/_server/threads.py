"""Threads: a socket belongs to the one that made it, and goes with it.

A hub, its loop and everything on it are one thread's. What another thread wants of a socket it has
the owner do, by :func:`call_in`; whatever else it calls raises, as far as it changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from .._core import dispatcher
from .._core.dispatcher import Dispatcher
from .._core.held import Held
from .._socket.socket import Socket
from .._transport.protocol import Transport
from .._values import arguments
from ..errors import SocketClosedError
from . import after_fork
from .server import Server

__all__ = ["call_in", "install"]


def call_in(owner: Any, function: Callable[..., object], *args: Any) -> None:
    """Run a function in the thread that a socket or server belongs to; return at once.

    The function runs in a greenlet of that thread, and may block. Calls from one thread begin in
    their order. ``call_in()`` may be called in any thread, the owner's included.

    :param owner: a :class:`Socket` or a :class:`Server`.
    :param function: called with ``args``. Its result is dropped; the hub of the owner's thread
        prints what it raises.
    :raises TypeError: ``owner`` is neither, or ``function`` cannot be called.
    :raises RuntimeError: the owner's thread has ended, or its hub was destroyed; ``code``
        ``"ERR_THREAD_ENDED"``.
    """
    if not isinstance(owner, Held):
        raise arguments.wrong_kind("owner", owner, "a gnet.Socket or a gnet.Server")
    arguments.function("function", function)
    owner._loop.ask(partial(function, *args))


def leave(loop: Dispatcher) -> None:
    """A hub goes, or its thread ends: close what belongs to it, without an event.

    Nobody is left to listen: no greenlet of the thread's is ever run again.
    """
    members = after_fork.instances(Socket, Server) if loop.members is None else list(loop.members)
    # In one step: all of them are among what has closed, and none is among the living.
    closing = [each for each in members if isinstance(each, Socket) and each._loop is loop]
    loop.ledger.settle_all(loop, [each._counts() for each in closing if not each.closed])
    for each in members:
        if each._loop is loop:
            # Of one that makes trouble the others are no less to be closed.
            with suppress(Exception):
                each._silence() if isinstance(each, Server) else _close_socket(each)


def _close_socket(sock: Any) -> None:
    wire: Transport | None = sock._wire
    if sock._outbox and wire is not None and wire.RESET:
        # Not a clean end behind half a message.
        with suppress(OSError):
            wire.reset_on_close()
    error = SocketClosedError("Socket is closed: its thread, or its hub, has ended")
    sock._abandon(error, lambda wire: wire.close())


def install() -> None:
    """Have every hub that goes do it."""
    dispatcher.leave = leave
