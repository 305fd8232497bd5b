"""What ``listen()`` was asked for: parsed and checked, ahead of anything that is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .._transport import unix_path
from .._transport.bound_socket import BoundSocket
from .._transport.early_options import NOTHING, EarlyOptions
from .._values import arguments, targets
from . import bind

__all__ = ["BACKLOG", "ListenRequest", "Sharing"]

#: How many connections may wait to be accepted, unless ``listen()`` is told.
BACKLOG = 511


@runtime_checkable
class Sharing(Protocol):
    """A server, of whose handle another one may have a duplicate."""

    def _duplicate_bound(self) -> bind.Bound: ...


class ListenRequest(NamedTuple):
    """Where to listen, and how.

    :ivar place: an address or a path; and the listener of ``'listening'``.
    :ivar handle: what has the descriptor of a bound socket, or ``None``.
    :ivar fd: the bare descriptor of one, or ``None``.
    :ivar exclusive: not to be shared with a cluster's other workers.
    :ivar options: how.
    :ivar early: what is set on a socket that is opened for it.
    """

    place: targets.Target
    handle: Any
    fd: int | None
    exclusive: bool
    options: bind.ListenOptions
    early: EarlyOptions = NOTHING

    @classmethod
    def parse(
        cls,
        target: Any,
        host: Any,
        backlog: Any,
        listening_listener: Any,
        *,
        port: Any,
        path: Any,
        fd: Any,
        exclusive: Any,
        options: Any = None,
        control: Any = None,
        mptcp: Any = False,
        **others: Any,
    ) -> ListenRequest:
        """Make sense of the arguments of ``listen()``.

        :param others: the flags of :class:`~gnet._server.bind.ListenOptions`; the other
            parameters are those of :meth:`gnet.Server.listen`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: an argument has a wrong value.
        """
        handle = target if _is_handle(target) else None
        if isinstance(host, int) and (handle is not None or unix_path.is_path(target)):
            # Node's listen(path, backlog) and listen(handle, backlog).
            host, backlog, listening_listener = None, host, listening_listener or backlog
        elif callable(backlog):
            backlog, listening_listener = None, backlog
        place = targets.parse(
            None if handle is not None else target, host, listening_listener,
            port=port, path=path, listener_name="listening_listener",
        )  # fmt: skip
        alone = arguments.flag("exclusive", exclusive)
        waiting = BACKLOG if backlog is None else arguments.integer(
            "backlog", backlog, 0, 2**31 - 1
        )  # fmt: skip
        flags = {name: arguments.flag(name, value) for name, value in others.items()}
        early = EarlyOptions.parse(options, control, mptcp)
        if fd is not None:
            arguments.integer("fd", fd, 0, 2**31 - 1)
        return cls(place, handle, fd, alone, bind.ListenOptions(waiting, **flags), early)

    def open(self, server: Any) -> bind.Bound:
        """Open what was asked for, or get it from the primary of a cluster.

        :param server: who asks.
        :raises OSError: it cannot be bound.
        :raises TypeError: the handle is none that can listen.
        """
        host, port, path = self.place.host or None, self.place.port, self.place.path
        # What is set on the socket is not told to the primary: control() is this process'.
        own = self.options.reuse_port or self.early != NOTHING
        alone = self.exclusive or own or self.handle is not None
        ask = None if alone else bind.ask_primary
        if ask is not None:
            return ask(server, host, port, path, self.fd, self.options)
        if isinstance(self.handle, BoundSocket):
            return bind.adopt(self.handle, self.options)
        if isinstance(self.handle, Sharing):
            return self.handle._duplicate_bound()
        if self.handle is not None:
            fd = _descriptor_of(self.handle)
            return bind.take_over(self.handle, fd, self.options)
        if self.fd is not None:
            return bind.take_over(None, self.fd, self.options)
        return bind.bind(host, port, path, self.options, self.early, server.no_delay)

    def opened(self) -> None:
        """It is listened on: who has handed the handle over is told."""
        if isinstance(self.handle, BoundSocket):
            # Its fd, of which the next line asks, is the server's now.
            return
        if isinstance(self.handle, bind.SuccessorHandle):
            self.handle.listening()


def _is_handle(target: Any) -> bool:
    """Whether ``target`` stands for a descriptor."""
    if isinstance(target, (str, bytes, int, os.PathLike)) or type(target) is tuple:
        return False
    if isinstance(target, (BoundSocket, Sharing)):
        return True
    return hasattr(target, "fd") or hasattr(target, "fileno")


def _descriptor_of(handle: Any) -> int:
    fileno: Callable[[], Any] | None = getattr(handle, "fileno", None)
    fd = fileno() if callable(fileno) else handle.fd
    return arguments.integer("fd", fd, 0, 2**31 - 1)
