"""Handing a listening descriptor over to a successor, while clients go on connecting.

The successor connects to a Unix socket of the predecessor's and is sent the descriptor. From
then on both have it: connections wait in its queue, and none is refused, until the successor
listens. Then the predecessor stops accepting, and ends when its last connection has closed.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import sys
from contextlib import suppress
from typing import Any

from . import _bind, _validate, ipc
from ._acceptor import Acceptor
from ._channel import Channel, Message
from ._wire import Wire
from .errors import annotate, system_error

__all__ = ["Offer", "TakenOver", "take_over"]

#: How long the predecessor may take to say that it has stopped accepting.
ANSWER_SECONDS = 5.0


class Offer:
    """What ``Server.hand_over()`` has begun: it waits for a successor.

    :param server: the listening server.
    :param path: where the successor connects to; only the same user can.
    :raises OSError: ``path`` cannot be bound; ``ENOTSUP`` on Windows.
    """

    def __init__(self, server: Any, path: str) -> None:
        _check_system(path)
        self._server = server
        self._channels: set[Channel] = set()
        options = _bind.ListenOptions(backlog=8, replace_stale=True)
        self._bound = _bind.bind(None, None, path, options)
        loop = server._loop
        self._acceptor = Acceptor(
            loop, self._bound.wire, self._arrived, lambda error: None, lambda error: None
        )

    def _arrived(self, wire: Wire, remote: Any) -> None:
        """In the hub: somebody wants the descriptor."""
        if not _same_user(wire):
            wire.close()
            return
        channel = Channel(
            wire, lambda message: self._asked(channel, message), self._lost, ref=False
        )
        self._channels.add(channel)

    def _asked(self, channel: Channel, message: Message) -> None:
        bound = self._server._bound
        if message.kind == "take" and bound is not None:
            file = bound.file
            channel.answer(
                message,
                bound.wire.fileno(),
                file=None if file is None else [file.path, file.device, file.inode],
            )
        elif message.kind == "taken":
            # Ahead of the answer: then the path is free for the successor's own offer.
            self._server._handed_over()
            channel.answer(message)

    def _lost(self) -> None:
        self._channels = {channel for channel in self._channels if not channel.closed}

    def close(self) -> None:
        """Wait no more."""
        self._acceptor.stop()
        self._bound.close()
        # The last answer may still be on its way: the successor closes the channel.


def _check_system(path: str) -> None:
    if sys.platform == "win32":
        # It has no Unix sockets, and no other way to pass a descriptor on.
        raise system_error(errno.ENOTSUP, "listen", path)


def _same_user(wire: Wire) -> bool:
    option = getattr(_socket, "SO_PEERCRED", None)
    if sys.platform == "win32" or option is None:
        # The permissions of the socket's file are all there is.
        return True
    _, user, _ = struct.unpack("3i", wire.getsockopt(_socket.SOL_SOCKET, option, 12))
    return user in (os.geteuid(), 0)


class TakenOver:
    """A listening descriptor of a predecessor's; :meth:`gnet.Server.listen` takes it.

    As soon as that has been done, the predecessor stops accepting.

    :ivar fd: the descriptor.
    :ivar file: the Unix socket's file, to be removed in the end, or ``None``.
    """

    def __init__(self, fd: int, file: ipc.SocketFile | None, channel: Channel) -> None:
        self.fd = fd
        self.file = file
        self._channel = channel

    def listening(self) -> None:
        """The successor listens."""
        # A predecessor that has gone meanwhile, or hangs, need not hear of it.
        with suppress(OSError):
            self._channel.ask("taken", ANSWER_SECONDS)
        self._channel.close()

    def close(self) -> None:
        """Close the descriptor; the predecessor goes on, unless it has been told."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            _socket.close(fd)
        self._channel.close()


def take_over(path: str, timeout: float | None = 5.0) -> TakenOver:
    """Take a predecessor's listening descriptor over.

    :param path: what the predecessor's :meth:`gnet.Server.hand_over` was given.
    :param timeout: how long to wait for it, in seconds; ``None`` for no limit.
    :returns: what :meth:`gnet.Server.listen` takes.
    :raises OSError: nobody is there, or the predecessor has nothing to give; ``ENOTSUP`` on
        Windows.
    :raises TimeoutError: the time is over.
    """
    path = _validate.path("path", path)
    limit = _validate.limit("timeout", timeout)
    if sys.platform == "win32":
        raise system_error(errno.ENOTSUP, "connect", path)
    wire = Wire.open(_socket.AF_UNIX)
    try:
        wire.connect(ipc.address_of(path))
    except OSError as exc:
        wire.close()
        raise (exc if hasattr(exc, "code") else annotate(exc, "connect", path)) from None
    channel = Channel(wire, lambda message: None, lambda: None)
    try:
        message = channel.ask("take", limit)
        if message.fd is None:
            # It was sent, but this process has no number free for it.
            raise system_error(errno.EMFILE, "recvmsg", path)
    except BaseException:
        channel.close()
        raise
    file = None
    if message.fields["file"] is not None:
        name, device, inode = message.fields["file"]
        file = ipc.SocketFile(name, device, inode, os.getpid())
    return TakenOver(message.fd, file, channel)
