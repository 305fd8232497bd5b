"""Threads that have a hub only for the connections that they make here."""

from __future__ import annotations

import weakref
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

from .. import run
from .._socket.socket import Socket

__all__ = ["HublessSocket", "has_none", "leave"]

# How long such a thread waits for the last events of its connections, in seconds.
_SETTLING_SECONDS = 1.0


class _Thread(get_original("threading", "local")):  # type: ignore[misc]
    """What there is in a thread.

    :ivar hub: the hub that was made for it here.
    :ivar sockets: those of its sockets that still exist.
    :ivar open: those of them that were not closed.
    """

    def __init__(self) -> None:
        self.hub: Any = None
        self.sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self.open: weakref.WeakSet[Any] = weakref.WeakSet()


_thread = _Thread()


class HublessSocket(Socket):
    """A socket of a thread that has no hub without it."""

    __slots__ = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        _thread.hub = weakref.ref(gevent.get_hub())
        _thread.sockets.add(self)
        _thread.open.add(self)

    def _give_up(self) -> None:
        super()._give_up()
        _thread.open.discard(self)
        leave()


def has_none() -> bool:
    """Whether the calling thread has no hub, or just the one that it has from here."""
    hub = get_hub_if_exists()
    return hub is None or _is_ours(hub)


def _is_ours(hub: Any) -> bool:
    return _thread.hub is not None and _thread.hub() is hub


def leave() -> None:
    """Let go of the hub, unless a connection needs it: the thread may end any time.

    Nobody would free it then.
    """
    hub: Any = get_hub_if_exists()
    if hub is None or gevent.getcurrent().parent is hub:
        return
    if any(not each.destroyed for each in _thread.open):
        return
    over = run(_SETTLING_SECONDS)
    if not over and _thread.sockets:
        # Their peers do not end.
        for each in list(_thread.sockets):
            each.destroy()
        over = run(_SETTLING_SECONDS)
    if _is_ours(hub) and not (over and _is_quiet(hub)):
        # The program has found it, and waits for something.
        return
    _thread.hub = None
    _thread.sockets.clear()
    _thread.open.clear()
    hub.destroy()


def _is_quiet(hub: Any) -> bool:
    """Whether nothing waits in a hub, perhaps in a moment: a failed handshake has to be told."""
    if not hub.loop.activecnt:
        return True
    return hub.parent is gevent.getcurrent() and bool(hub.join(_SETTLING_SECONDS))
