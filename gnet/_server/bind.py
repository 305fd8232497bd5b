"""Listening: from what ``listen()`` was told to a bound wire, and back."""

from __future__ import annotations

import _socket
import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .. import dns
from .._transport import binding, unix_path
from .._transport.bound_socket import BoundSocket
from .._transport.early_options import NOTHING, EarlyOptions
from .._transport.protocol import Listener, refuse_tls
from .._transport.stream_socket import Wire
from .._values.addresses import AddressInfo, is_ip
from ..errors import annotate, system_error

__all__ = ["Bound", "ListenOptions", "adopt", "bind", "take_over"]

# The system reads the backlog as 16 bits in places; a larger one would wrap to a small one.
MAX_BACKLOG = 65535

# Whether connections have TCP's options from the socket that they were accepted from, which saves
# a system call for each.
INHERITED = sys.platform == "linux"


class ListenOptions(NamedTuple):
    """The options of ``listen()``. Every field has been validated."""

    backlog: int
    ipv6_only: bool = False
    reuse_port: bool = False
    readable_all: bool = False
    writable_all: bool = False
    replace_stale: bool = False


class Share(Protocol):
    """A worker's share in a handle of its cluster."""

    def listening(self) -> None:
        """This process listens there."""

    def close(self) -> None:
        """This process does not listen there any more."""

    def count_connections(self) -> int:
        """Block for the number of connections that the servers of all workers have."""


@runtime_checkable
class SuccessorHandle(Protocol):
    """A handle whose former owner waits to hear that it is listened on."""

    fd: int

    def listening(self) -> None: ...


class Bound(NamedTuple):
    """A listening wire, and what goes with it.

    :ivar wire: the wire.
    :ivar file: the file that was made for it, to be removed with it.
    :ivar owner: the Python socket that has the descriptor as well, to be closed with it.
    :ivar share: what other processes that accept from it have to do with it.
    :ivar no_delay: whether what is accepted from it begins with ``TCP_NODELAY``.
    """

    wire: Listener
    file: unix_path.SocketFile | None = None
    owner: Any = None
    share: Share | None = None
    no_delay: bool = False

    def close(self) -> None:
        """Close the descriptor. The file goes first: see :meth:`ipc.SocketFile.remove`."""
        if self.share is not None:
            self.share.close()
        removed = self.file is None or self.file.remove()
        if self.owner is not None:
            self.wire.detach()
            self.owner.close()
        else:
            self.wire.close()
        if self.file is not None and not removed:
            # There is a descriptor for it now.
            self.file.remove()


#: In a cluster's worker: asks the primary for a handle. The arguments are the server, and host,
#: port, path, descriptor and options as ``listen()`` has them.
ask_primary: Callable[..., Bound] | None = None


def bind(
    host: str | None,
    port: int | None,
    path: str | None,
    options: ListenOptions,
    early: EarlyOptions = NOTHING,
    no_delay: bool = False,
) -> Bound:
    """A listening wire on a path, or on a port of a host.

    :param early: what is set on it before.
    :param no_delay: whether its connections are to begin with ``TCP_NODELAY``; see
        :attr:`Bound.no_delay` for whether they do.
    :raises OSError: annotated with syscall ``"listen"``, or the lookup's error.
    """
    if path is not None:
        return _bind_path(path, options, early)
    port = port or 0
    if host is None:
        return _bind_unspecified(port, options, early, no_delay)
    literal = is_ip(host)
    if not literal:
        host, literal = dns.lookup(host)
    return _bind_tcp(host, literal, port, options, early, no_delay)


def _bind_unspecified(
    port: int, options: ListenOptions, early: EarlyOptions, no_delay: bool
) -> Bound:
    """``::``, which takes IPv4 as well; ``0.0.0.0`` where there is no IPv6."""
    try:
        return _bind_tcp("::", 6, port, options, early, no_delay)
    except OSError as exc:
        if exc.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EINVAL):
            raise
    return _bind_tcp("0.0.0.0", 4, port, options, early, no_delay)


def _bind_tcp(
    address: str,
    family: int,
    port: int,
    options: ListenOptions,
    early: EarlyOptions,
    no_delay: bool,
) -> Bound:
    wire = binding.open_tcp(
        address, family, port, options.ipv6_only, options.reuse_port, early, "listen"
    )
    try:
        inherited = no_delay and INHERITED and not wire.proto
        if inherited:
            # Ahead of listen(): a connection has what was set when it came.
            wire.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        # With SO_REUSEADDR it is listen() that finds the port in use.
        _listen(wire, options)
    except BaseException as exc:
        wire.close()
        if isinstance(exc, OSError):
            raise annotate(exc, "listen", address, port) from None
        raise
    return Bound(wire, no_delay=inherited)


def _bind_path(path: str, options: ListenOptions, early: EarlyOptions) -> Bound:
    if sys.platform == "win32":
        if early.options or early.control is not None:
            raise pipe_names.no_options("listen", path)
        return _bind_pipe(path, options)
    with binding.claimed(path, options.replace_stale, "listen"):
        made = Bound(
            *binding.open_path(path, options.readable_all, options.writable_all, early, "listen")
        )
        try:
            _listen(made.wire, options)
        except BaseException:
            made.close()
            raise
    return made


def _listen(wire: Any, options: ListenOptions) -> None:
    wire.listen(min(options.backlog, MAX_BACKLOG))


def adopt(socket: BoundSocket, options: ListenOptions) -> Bound:
    """A listening wire of a socket that was bound before; the socket is the server's then.

    :raises OSError: it cannot listen, and stays its owner's.
    """
    wire, file = socket.look()
    try:
        wire.allow_restart()
        _listen(wire, options)
    except OSError as exc:
        address = socket.address()
        place = address[::2] if isinstance(address, AddressInfo) else (address,)
        raise annotate(exc, "listen", *place) from None
    socket.give_away()
    return Bound(wire, file)


def take_over(handle: Any, fd: int, options: ListenOptions) -> Bound:
    """A listening wire of a descriptor that is bound already.

    :param handle: what has the descriptor: it is closed with the server. ``None`` for a bare
        number.
    :raises OSError: the descriptor is not open, is not a stream socket (``EINVAL``, as in Node),
        or cannot listen.
    :raises TypeError: the handle is a socket with TLS.
    """
    if handle is not None:
        refuse_tls("target", handle)
    _check_socket(fd)
    try:
        wire = Wire.of(fd)
    except OSError as exc:
        raise annotate(exc, "listen") from None
    try:
        if wire.type & 0xF != _socket.SOCK_STREAM:
            raise OSError(errno.EINVAL, "")
        wire.listen(min(options.backlog, MAX_BACKLOG))
        wire.prepare()
    except BaseException as exc:
        # It is still its owner's: nothing was taken over.
        wire.detach()
        if isinstance(exc, OSError):
            raise annotate(exc, "listen") from None
        raise
    owner = handle if callable(getattr(handle, "close", None)) else None
    return Bound(wire, getattr(handle, "file", None), owner)


def _check_socket(fd: int) -> None:
    if sys.platform == "win32":
        # What is a descriptor elsewhere is a handle there, which fstat() does not know.
        return
    try:
        mode = os.fstat(fd).st_mode
    except OSError as exc:
        raise annotate(exc, "listen") from None
    if not stat.S_ISSOCK(mode):
        raise system_error(errno.EINVAL, "listen")


def duplicate(wire: Listener, syscall: str = "listen") -> Listener:
    """A second descriptor of a listening wire, for another server."""
    try:
        return wire.duplicate()
    except OSError as exc:
        raise annotate(exc, syscall) from None


if sys.platform == "win32":
    from .._transport.windows import named_pipe, pipe_names

    def _bind_pipe(path: str, options: ListenOptions) -> Bound:
        if options.replace_stale:
            # A pipe goes with its process: there are no stale ones.
            raise system_error(errno.ENOTSUP, "listen", path)
        return Bound(
            named_pipe.listen(path, options.backlog, options.readable_all, options.writable_all)
        )
