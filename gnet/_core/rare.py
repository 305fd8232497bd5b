"""What only few connections have: one object, made when something of it is needed."""

from __future__ import annotations

from typing import Any

from .._loop.timers import Deadline

__all__ = ["Rare"]


class Rare:
    """What only few connections have.

    :ivar ancillary: ancillary data of a message that is still to be read.
    :ivar attempted: the addresses that a race has tried.
    :ivar close_when_unused: ``close()`` was called under an open file.
    :ivar connect_listener: the listener of ``'connect'`` that came with ``connect()``, as it is
        among the others.
    :ivar connector: what makes the connection.
    :ivar host: the host that ``connect()`` was given.
    :ivar linger_timer: how long the peer has still to end.
    :ivar redial: how the socket dials again when it is lost; ``None``: it does not.
    :ivar open_files: how many files of ``makefile()`` are open.
    :ivar proxy: the address of the proxy that has told of the client.
    :ivar reset: the connection is to be reset as soon as it is made.
    """

    __slots__ = (
        "ancillary", "attempted", "close_when_unused", "connect_listener", "connector", "host",
        "linger_timer", "open_files", "proxy", "redial", "reset",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ancillary: Any = None
        self.attempted: list[str] | None = None
        self.close_when_unused = False
        self.connect_listener: Any = None
        self.connector: Any = None
        self.host: str | None = None
        self.linger_timer: Deadline | None = None
        self.open_files = 0
        self.proxy: Any = None
        self.redial: Any = None
        self.reset = False
