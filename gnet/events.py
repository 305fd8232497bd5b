"""Events of a whole process, for logging and metrics, published through ``zope.event``.

A subscriber is a function in ``zope.event.subscribers``. It gets every event, in a greenlet, and
should not block for long. Events cost nothing while there is no subscriber. A subscriber that
raises harms no connection: the hub reports the exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "CertificateFailed",
    "ConnectionAccepted",
    "ConnectionClosed",
    "ConnectionDropped",
    "ConnectionFailed",
    "ConnectionOpened",
    "HandlerFailed",
    "HandshakeFailed",
    "LookupFinished",
    "SecureConnected",
    "ServerClosed",
    "ServerListening",
]


@dataclass(frozen=True)
class ServerListening:
    """A server has been bound.

    :ivar server: the :class:`gnet.Server`.
    :ivar address: what its ``address()`` gives.
    """

    server: Any
    address: Any


@dataclass(frozen=True)
class ServerClosed:
    """A server has closed, and so has its last connection.

    :ivar server: the :class:`gnet.Server`.
    """

    server: Any


@dataclass(frozen=True)
class ConnectionAccepted:
    """A server has accepted a connection.

    :ivar server: the :class:`gnet.Server`.
    :ivar socket: the connection's :class:`gnet.Socket`.
    """

    server: Any
    socket: Any


@dataclass(frozen=True)
class ConnectionDropped:
    """A server has closed a connection instead of accepting it.

    :ivar server: the :class:`gnet.Server`.
    :ivar reason: the ``reason`` of ``info``.
    :ivar info: the :class:`gnet.DropInfo` that ``'drop'`` was emitted with.
    """

    server: Any
    reason: str
    info: Any


@dataclass(frozen=True)
class ConnectionOpened:
    """A socket has connected.

    :ivar socket: the :class:`gnet.Socket`.
    """

    socket: Any


@dataclass(frozen=True)
class ConnectionFailed:
    """A socket could not connect.

    :ivar socket: the :class:`gnet.Socket`.
    :ivar error: the reason; ``None`` if the socket was destroyed meanwhile.
    """

    socket: Any
    error: BaseException | None


@dataclass(frozen=True)
class ConnectionClosed:
    """A connection has closed.

    :ivar socket: the :class:`gnet.Socket`.
    :ivar error: the error that has ended it, or ``None``.
    """

    socket: Any
    error: BaseException | None


@dataclass(frozen=True)
class LookupFinished:
    """The lookup of a host name has ended.

    :ivar socket: the :class:`gnet.Socket` that connects.
    :ivar hostname: the name.
    :ivar addresses: (address, family) pairs; empty when the lookup has failed.
    :ivar error: the error that it has failed with, or ``None``.
    :ivar seconds: how long it took.
    """

    socket: Any
    hostname: str
    addresses: tuple[tuple[str, int], ...]
    error: BaseException | None
    seconds: float


@dataclass(frozen=True)
class SecureConnected:
    """A TLS handshake is done.

    :ivar socket: the :class:`gnet.Socket`.
    :ivar seconds: how long it took.
    :ivar protocol: the version, for example ``"TLSv1.3"``.
    :ivar resumed: whether a former session was resumed.
    """

    socket: Any
    seconds: float
    protocol: str
    resumed: bool


@dataclass(frozen=True)
class HandshakeFailed:
    """A TLS handshake has failed.

    :ivar socket: the :class:`gnet.Socket`; ``None`` for a connection that a server has not let in.
    :ivar error: why.
    :ivar server: the :class:`gnet.Server`; ``None`` for a client's connection.
    :ivar info: the :class:`gnet.DropInfo` of a connection that a server has not let in.
    """

    socket: Any
    error: BaseException
    server: Any = None
    info: Any = None


@dataclass(frozen=True)
class HandlerFailed:
    """An exception has left a listener, a callback or an application: a bug, most likely.

    The connection's own error, which the network has made, is none. This is the hook for error
    trackers.

    :ivar socket: the :class:`gnet.Socket` whose listener it was; ``None`` where none is concerned.
    :ivar error: the exception, with its traceback.
    """

    socket: Any
    error: BaseException


@dataclass(frozen=True)
class CertificateFailed:
    """A certificate of a :class:`gnet.tls.Certificates` cannot be used; the former one stays.

    :ivar certificates: the :class:`gnet.tls.Certificates`.
    :ivar path: the file, or the folder where it is that which cannot be read.
    :ivar error: why.
    """

    certificates: Any
    path: str
    error: BaseException
