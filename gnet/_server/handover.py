"""Handing a listening descriptor over to a successor, while clients go on connecting.

The successor connects to a Unix socket of the predecessor's and is sent the descriptor. From
then on both have it: connections wait in its queue, and none is refused, until the successor
listens. Then the predecessor stops accepting, and ends when its last connection has closed.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys
from contextlib import suppress
from typing import Any

from .._core.acceptor import Acceptor
from .._processes.channel import Channel, Message
from .._transport import unix_path
from .._transport.protocol import Transport
from .._transport.stream_socket import Wire
from .._values import arguments
from ..errors import annotate, system_error
from . import bind

__all__ = ["Offer", "TakenOver", "take_over"]

#: How long the predecessor may take to say that it has stopped accepting.
ANSWER_SECONDS = 5.0

# What a successor says, and the longest message: it has a path.
_KINDS = {"take": {"number": int}, "taken": {"number": int}}
_MAX_BYTES = 65536


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
        options = bind.ListenOptions(backlog=8, replace_stale=True)
        self._bound = bind.bind(None, None, path, options)
        loop = server._loop
        self._acceptor = Acceptor(
            loop, self._bound.wire, self._arrived, lambda error: None, lambda error: None
        )

    def _arrived(self, wire: Transport, remote: Any) -> None:
        """In the hub: somebody wants the descriptor."""
        if not _same_user(wire):
            wire.close()
            return
        # Descriptors go over a Unix socket, which its listener has accepted.
        assert isinstance(wire, Wire)
        channel = Channel(
            wire,
            lambda message: self._asked(channel, message),
            self._lost,
            ref=False,
            kinds=_KINDS,
            max_bytes=_MAX_BYTES,
        )
        self._channels.add(channel)

    def _asked(self, channel: Channel, message: Message) -> None:
        bound = self._server._bound
        if bound is None:
            # There is nothing to give any more.
            channel.close()
            self._lost()
        elif message.kind == "take":
            file = bound.file
            named = None if file is None else [file.path, file.device, file.inode]
            try:
                channel.answer(message, bound.wire.fileno(), file=named)
            except OSError:
                # No number is free for a copy. The successor fails as if it had none itself.
                channel.answer(message)
        else:
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


def _same_user(wire: Transport) -> bool:
    """Whether the process at the other end is this user's, or root's."""
    return unix_path.is_peer_trusted(wire)


class TakenOver:
    """A listening descriptor of a predecessor's; :meth:`gnet.Server.listen` takes it.

    As soon as that has been done, the predecessor stops accepting.

    :ivar fd: the descriptor.
    :ivar file: the Unix socket's file, to be removed in the end, or ``None``.
    """

    def __init__(self, fd: int, file: unix_path.SocketFile | None, channel: Channel) -> None:
        self.fd: int = fd
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
    :raises OSError: nobody is there, or the predecessor has nothing to give; ``EPROTO``, what
        answers is not a predecessor; ``ENOTSUP`` on Windows.
    :raises PermissionError: ``EACCES``, the process that answers belongs neither to this user nor
        to root: nothing is taken from it.
    :raises TimeoutError: the time is over.
    """
    path = arguments.path("path", path)
    limit = arguments.limit("timeout", timeout)
    if sys.platform == "win32":
        raise system_error(errno.ENOTSUP, "connect", path)
    wire = Wire.open(_socket.AF_UNIX)
    try:
        wire.connect(unix_path.address_of(path))
        if not _same_user(wire):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as exc:
        wire.close()
        raise (exc if hasattr(exc, "code") else annotate(exc, "connect", path)) from None
    channel = Channel(wire, lambda message: None, lambda: None, kinds={}, max_bytes=_MAX_BYTES)
    try:
        message = channel.ask("take", limit)
        if message.fd is None:
            # One of the two processes has no number free for it.
            raise system_error(errno.EMFILE, "recvmsg", path)
        try:
            _check_listener(message.fd, path)
            file = _file(message.fields.get("file"), path)
        except BaseException:
            message.drop()
            raise
    except BaseException:
        channel.close()
        raise
    return TakenOver(message.fd, file, channel)


def _check_listener(fd: int, path: str) -> None:
    """Refuse what is no listening stream socket."""
    try:
        found = Wire.adopt(fd)
    except OSError:
        raise system_error(errno.EPROTO, "recvmsg", path) from None
    try:
        listens = found.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
        if not listens or found.type & 0xF != _socket.SOCK_STREAM:
            raise system_error(errno.EPROTO, "recvmsg", path)
    finally:
        found.detach()


def _file(named: Any, path: str) -> unix_path.SocketFile | None:
    """The file that the predecessor names as the socket's, if it is one to be removed."""
    if named is None:
        return None
    if not isinstance(named, list) or [type(each) for each in named] != [str, int, int]:
        raise system_error(errno.EPROTO, "recvmsg", path)
    file = unix_path.SocketFile(named[0], named[1], named[2], os.getpid())
    return file if file.is_ours() else None
