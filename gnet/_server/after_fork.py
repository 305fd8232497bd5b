"""After a fork: what the child has inherited is the parent's, and the child lets go of it.

A forked child has a copy of every server and socket, of the loop that watches them and of the
greenlets that use them. Left with them it would answer the parent's clients, keep connections
open that the parent has closed, and run the parent's listeners a second time. So each of them is
closed in the child at once: without an event, since the listeners are the parent's; and with
``close()`` alone, which does nothing to the parent's descriptor, where ``shutdown()`` would end
the connection for both. The file of a Unix socket stays:
:class:`gnet._transport.unix_path.SocketFile` knows whose it is.

The loop gets descriptors of its own, and the pools of its hub threads of their own, whatever has
forked: what gevent does in its own ``fork()`` only, and with the hub's one pool. So lookups, files
and whatever else is done in such a pool work in the child.

The parent's greenlets are not run on. One that is blocked on a socket stays blocked, because
what it would do next, its ``finally`` clauses included, is the parent's work; and because the
main greenlet may be one of them, whose end is the end of the process. What the child itself
calls on an inherited socket raises :class:`gnet.errors.SocketClosedError`. A server may listen
anew, and a socket connect.

Nothing is registered for this while a program runs. The objects are found when it forks, by who
refers to their classes. The interpreter does that without writing to the pages that parent and
child share, in 40 ms for each million of objects. A child of ``gevent.subprocess`` does it ahead
of its ``exec``; one of the standard library's runs no Python there.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists

from .._core import ledger
from .._core.dispatcher import Dispatcher, dispatcher, dispatchers
from .._core.states import IDLE
from .._loop import thread_pools
from .._socket.socket import Socket
from .._transport.descriptors import close_descriptor
from .._transport.protocol import Transport
from .._transport.stream_socket import is_libuv
from .._values import lookups
from ..dns import libc
from ..errors import SocketClosedError
from .server import Server

__all__ = ["close_inherited", "install", "instances"]

_STDERR = 2


def close_inherited() -> None:
    """In a forked child: close every server and socket that is the parent's.

    :raises Exception: one of them made trouble; the others are closed all the same.
    """
    hub: Any = get_hub_if_exists()
    ledger.forget()
    lookups.forget()
    libc.forget()
    dispatchers.clear()
    pools = thread_pools.kinds()
    found = _referrers(Socket, Server, *pools)
    inherited = [each for each in found if _is_whole(each)]
    parents = getattr(hub, "gnet_dispatcher", None)
    theirs = {each._loop for each in inherited}
    if parents is not None:
        theirs.add(parents)
    for loop in theirs:
        _separate(loop)
    troubles: list[Exception] = []
    for each in inherited:
        with _gathered(troubles):
            if isinstance(each, Server):
                each._silence_in_child()
            else:
                _close_socket(each)
    # Behind that: with the hub of a pool's thread gevent destroys what belongs to it.
    # A destroyed loop has no pointer.
    if hub is not None and hub.loop is not None and hub.loop.ptr:
        with _gathered(troubles):
            # The hub's loop first: what the pools start on it is the child's.
            hub.loop.reinit()
            _look_at_once(hub.loop)
            thread_pools.renew(hub, [each for each in found if isinstance(each, pools)])
        with _gathered(troubles):
            # gevent's fork() does the same again behind this, and may.
            gevent.reinit(hub)
    if parents is not None:
        # What has been deferred goes with it.
        parents.abandon()
        for each in inherited:
            # And what belonged to another thread, as the child has none.
            if isinstance(each, Server) or each._life == IDLE:
                each._loop = dispatcher()
    if troubles:
        raise troubles[-1]


@contextmanager
def _gathered(troubles: list[Exception]) -> Iterator[None]:
    """Have what fails inside keep nothing else from being done."""
    try:
        yield
    except Exception as exc:
        troubles.append(exc)


def _separate(parents: Dispatcher) -> None:
    """Give a loop descriptors of its own, ahead of anything that is done with its watchers."""
    # It has the parent's epoll descriptor still. libuv takes a descriptor out of that with its
    # watcher, and the parent would go deaf. A destroyed loop has no pointer.
    if parents.loop.ptr:
        parents.loop.reinit()
        parents.peers.abandon()


def _look_at_once(loop: Any) -> None:
    """Have a loop's first wait for events end at once."""
    # What a signal, or a thread, notes for libev's loop is looked at when an event comes, which is
    # sent once for all notes. A note that the parent had not looked at is the child's as well, and
    # the event is not, as its descriptor is new: no later signal and no answer of a pool's thread
    # would wake the child. libev means to look after a fork, but waits for events ahead of that.
    if not is_libuv(loop):
        watcher = loop.timer(0, ref=False)
        watcher.start(watcher.close)


def _instances(*classes: type) -> list[Any]:
    """:func:`instances`, and those that ``gc.freeze()`` has put aside; of one thread only."""
    return [each for each in _referrers(*classes) if _is_whole(each)]


def _referrers(*classes: type) -> list[Any]:
    """The instances of any classes, whole or not, and what ``gc.freeze()`` has put aside."""
    # Who has frozen the heap for the fork wants what was made since to be put aside, too.
    frozen = gc.get_freeze_count()
    if frozen:
        gc.unfreeze()
    found = _of_classes(classes)
    if frozen:
        gc.freeze()
    return found


def instances(*classes: type) -> list[Any]:
    """The instances of the classes and of their subclasses."""
    return [each for each in _of_classes(classes) if _is_whole(each)]


def _of_classes(classes: tuple[type, ...]) -> list[Any]:
    kinds = list(classes)
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [each for each in gc.get_referrers(*kinds) if issubclass(type(each), classes)]


def _is_whole(instance: Any) -> bool:
    """Whether it is a socket or a server; one whose arguments were refused has no loop."""
    return isinstance(instance, (Socket, Server)) and hasattr(instance, "_loop")


def _close_socket(sock: Any) -> None:
    if sock._life != IDLE:
        sock._abandon(SocketClosedError("Socket is closed: it is the parent process'"), _let_go)


def _let_go(wire: Transport) -> None:
    """Close this process' descriptor, and leave alone what it shares with the parent's."""
    fd = wire.abandon()
    # The standard streams are every child's to inherit.
    if fd > _STDERR:
        close_descriptor(fd)


def install() -> None:
    """Have every fork of this process do it."""
    libc.install()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=close_inherited)
