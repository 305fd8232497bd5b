"""The servers and connections of this process, as the live view tells of them."""

from __future__ import annotations

import os
import traceback
from dataclasses import asdict
from itertools import count
from time import monotonic, time
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from .._server import bind
from .._server.server import Server
from .._sight.living import living
from .._sight.process import own_stats
from .._socket.socket import Socket
from .._transport.tcp_options import address_info
from .._values.addresses import AddressInfo, place_text
from ..errors import printable

__all__ = ["COLUMNS", "Census", "details", "find", "number_of", "process"]

#: What there is of each connection, in this order.
COLUMNS = (
    "id", "age", "peer", "proxy", "local", "server", "state", "style", "bytes_in", "bytes_out",
    "queued", "waits_in", "name",
)  # fmt: skip

# Each that was told of has a number, which is never another's.
_numbers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_found: WeakValueDictionary[str, Any] = WeakValueDictionary()
_counter = count(1)


def number_of(thing: Server | Socket) -> str:
    """What a server or connection is called in requests: the process, and a number of its own."""
    number = _numbers.get(thing)
    if number is None:
        number = _numbers[thing] = f"{os.getpid()}-{next(_counter)}"
        _found[number] = thing
    return number


def find(number: str) -> Any:
    """What has that number; ``None`` when there is none any more."""
    return _found.get(number)


class Census:
    """What this process has at one time.

    :ivar sockets: its connections.
    """

    def __init__(self) -> None:
        self.sockets: list[Any]
        self._servers, self.sockets = living()
        self._now = monotonic()
        self._names = {each: server_name(each) for each in self._servers}

    def head(self) -> dict[str, Any]:
        """The process, and its servers."""
        return {
            "pid": os.getpid(),
            "time": time(),
            "worker": bind.ask_primary is not None,
            "servers": [self._server(each) for each in self._servers],
        }

    def _server(self, server: Server) -> dict[str, Any]:
        told = asdict(server.stats())
        return {"id": number_of(server), **told, "address": self._names[server]}

    def row(self, sock: Socket) -> list[Any]:
        """A connection, in the order of :data:`COLUMNS`."""
        age, peer, proxy, local, state, style, *numbers, waits_in, name = sock._brief(self._now)
        return [
            number_of(sock),
            round(age, 3),
            _text(peer),
            _text(proxy),
            _text(local),
            self._names.get(sock.server, ""),
            state,
            style,
            *numbers,
            waits_in or "",
            name or "",
        ]


def process() -> dict[str, Any]:
    """What this process has counted, but for each server."""
    told = asdict(own_stats())
    del told["servers"], told["workers"]
    return told


def details(sock: Socket) -> dict[str, Any]:
    """All that there is to say of a connection."""
    told = asdict(sock.stats())
    for name in ("peer", "proxy", "local"):
        told[name] = _place(getattr(sock.stats(), name))
    for name in ("age", "last_activity"):
        told[name] = f"{told[name]:.1f} s"
    timeouts = told.pop("timeouts")
    return {
        "id": number_of(sock),
        "name": sock._asked_for(),
        "server": "" if sock.server is None else server_name(sock.server),
        **told,
        "timeouts": ", ".join(f"{name} {value:g} s" for name, value in timeouts.items()),
        "stack": _stack(sock),
    }


def _stack(sock: Socket) -> list[str]:
    """Where the connection's greenlet is, the innermost call last; nothing while none is busy."""
    greenlet = sock._greenlet()
    frame = None if greenlet is None else greenlet.gr_frame
    lines = [] if frame is None else traceback.format_stack(frame)
    return [printable(line) for text in lines for line in text.rstrip().split("\n")]


def server_name(server: Server) -> str:
    """Where a server listens, or did last."""
    return _place(server.stats().address)


def _place(address: AddressInfo | str | None) -> str:
    if isinstance(address, AddressInfo):
        return place_text(address.address, address.port)
    return printable(address) if address else ""


def _text(address: Any) -> str:
    """An address of the system's as text."""
    if type(address) is tuple and type(address[0]) is str:
        return place_text(address[0], address[1])
    return _place(address_info(address)) if address else ""
