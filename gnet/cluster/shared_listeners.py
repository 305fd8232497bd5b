"""The listening handles that a cluster's primary owns, and which of its workers use them.

The workers have duplicates. A handle is closed when the last worker that uses it says that it
does not any more, and not when that worker dies: its replacement is to find the connections that
have queued up meanwhile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .._processes.kinds import Between, Fields, Parts
from .._server import bind
from .._transport.tcp_options import address_info
from .._values import arguments
from .._values.addresses import AddressInfo
from ..errors import coded, system_error, value_error

__all__ = ["ERROR", "OPTIONS", "PLACE", "Handle", "Handles", "Place", "error_fields", "error_of"]


class Place(NamedTuple):
    """Where a worker wants to listen.

    :ivar host: the IP address, or ``None`` for all.
    :ivar port: the port; ``0`` for a free one.
    :ivar path: the path of a Unix socket.
    :ivar fd: a descriptor of the primary's.
    :ivar number: how often the worker listens there already. Two servers of one worker cannot
        have one port; and each port 0 is another, but the same in every worker.
    """

    host: str | None
    port: int | None
    path: str | None
    fd: int | None
    number: int


_TEXT = (str, type(None))
_MOST = 2**31 - 1

#: A :class:`Place` in a message.
PLACE = Parts(
    _TEXT,
    (Between(0, arguments.MAX_PORT), type(None)),
    _TEXT,
    (Between(0, _MOST), type(None)),
    Between(0, _MOST),
)
#: And the options of ``listen()``.
OPTIONS = Parts(Between(0, _MOST), bool, bool, bool, bool, bool)
#: And what :func:`error_fields` gives.
ERROR = Fields(
    {
        "errno": (int, type(None)),
        "syscall": _TEXT,
        "address": _TEXT,
        "port": (int, type(None)),
        "code": _TEXT,
        "message": str,
    }
)


class Handle:
    """A listening handle.

    :ivar bound: the socket, and its file.
    :ivar users: the ids of the workers that have a duplicate.
    :ivar listeners: those of them whose server listens on it.
    """

    __slots__ = ("bound", "listeners", "users")

    def __init__(self, bound: bind.Bound) -> None:
        self.bound: bind.Bound = bound
        self.users: set[int] = set()
        self.listeners: set[int] = set()

    def forget(self, user: int) -> None:
        """A worker does not use it any more."""
        self.users.discard(user)
        self.listeners.discard(user)

    @property
    def address(self) -> AddressInfo | str | None:
        """The bound address, as :meth:`gnet.Server.address` gives it."""
        return address_info(self.bound.wire.local_name())


class Handles:
    """The handles, by place."""

    def __init__(self) -> None:
        self._handles: dict[Place, Handle] = {}

    def take(self, user: int, place: Place, options: bind.ListenOptions) -> Handle:
        """The handle for a place, opened with the options of the first to ask for it.

        :raises OSError: the place cannot be bound.
        :raises ValueError: the descriptor is not that of a stream socket.
        """
        handle = self._handles.get(place)
        if handle is None:
            if place.fd is not None:
                bound = bind.take_over(None, place.fd, options)
            else:
                bound = bind.bind(place.host, place.port, place.path, options)
            handle = self._handles[place] = Handle(bound)
        handle.users.add(user)
        return handle

    def listening(self, user: int, place: Place) -> Handle | None:
        """A worker's server listens there; ``None`` if it has not got the handle."""
        handle = self._handles.get(place)
        if handle is None or user not in handle.users:
            return None
        handle.listeners.add(user)
        return handle

    def give_back(self, user: int, place: Place) -> None:
        """A worker does not listen there any more."""
        handle = self._handles.get(place)
        if handle is not None:
            handle.forget(user)
            if not handle.users:
                self._close(place)

    def forget(self, user: int) -> None:
        """A worker has died."""
        for handle in self._handles.values():
            handle.forget(user)

    def listened_by(self, user: int) -> set[Place]:
        """Where a worker listens."""
        return {place for place, handle in self._handles.items() if user in handle.listeners}

    def close_unused(self) -> None:
        """Close those that no worker has come back to."""
        for place, handle in list(self._handles.items()):
            if not handle.users:
                self._close(place)

    def close(self) -> None:
        """Close them all."""
        for place in list(self._handles):
            self._close(place)

    def _close(self, place: Place) -> None:
        self._handles.pop(place).bound.close()


def error_fields(error: OSError | ValueError) -> dict[str, Any]:
    """What a worker must know of an error, to raise it itself."""
    names = ("errno", "syscall", "address", "port", "code")
    fields = {name: getattr(error, name, None) for name in names}
    return {**fields, "message": getattr(error, "strerror", None) or str(error)}


def error_of(fields: dict[str, Any]) -> OSError | ValueError:
    """The error that :func:`error_fields` was given."""
    if fields["errno"] is None:
        return value_error(fields["message"], fields["code"])
    if fields["syscall"] is None:
        return coded(OSError(fields["errno"], fields["message"]), fields["code"])
    return system_error(fields["errno"], fields["syscall"], fields["address"], fields["port"])
