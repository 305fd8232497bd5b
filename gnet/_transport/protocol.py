"""What bytes travel on: the interface between a stream and whatever carries it.

A transport never blocks: a call that cannot go on raises :class:`BlockingIOError`, and a watcher
of :meth:`Transport.watch` tells when it is worth another try. Errors are :class:`OSError`, without
``code`` and ``syscall``: the stream adds those. What only some transports can do is said by a
constant of the class, and asked for by that and never by the class.

The conformance suite (:file:`tests/net/test_transports.py`) holds every transport to this.
"""

from __future__ import annotations

import _socket
import errno
import os
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, runtime_checkable

from ..errors import type_error

__all__ = ["READ", "WRITE", "Listener", "Transport", "Watcher", "refuse", "refuse_tls"]

READ = 1
WRITE = 2


class Watcher(Protocol):
    """What ``loop.io()`` is for a descriptor: it calls back in each turn while there is reason.

    :ivar callback: called in the hub; ``None`` while it is stopped. It may be replaced.
    :ivar args: what it is called with.
    """

    __slots__ = ()

    callback: Callable[..., object] | None
    args: tuple[Any, ...]

    @abstractmethod
    def start(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback`` with ``args``, and keep the loop running, until :meth:`stop`."""

    @abstractmethod
    def stop(self) -> None:
        """Call back no more, until it is started again."""

    @abstractmethod
    def close(self) -> None:
        """:meth:`stop` for good. The transport closes those that are left, before itself."""


@runtime_checkable
class Transport(Protocol):
    """One end of a connection. A class that names it as its base can nothing but what it must."""

    __slots__ = ()

    #: It takes TCP's options, by :meth:`set_option`.
    TCP_OPTIONS: bool = False
    #: It can end in a reset: :meth:`reset_on_close`.
    RESET: bool = False
    #: ``recv`` takes ``MSG_PEEK``: what it gives then comes again.
    PEEK: bool = False
    #: Its descriptor tells that the peer has ended while input is still unread.
    PEER_END: bool = False
    #: The kernel can move bytes to and from its descriptor (``splice``, ``sendfile``).
    SPLICE: bool = False
    #: It has the system's calls for messages: ``recvfrom``, ``recvmsg``, ``sendmsg`` with more
    #: than buffers.
    MESSAGES: bool = False
    #: Closed with input unread it loses what the peer has not read yet: that one has to have some
    #: time first.
    UNREAD_RESETS: bool = False
    #: Its end is more than what :meth:`close` sends: :meth:`shutdown` has to come before that.
    FAREWELL: bool = False
    #: What stands in it may be another process' to read.
    SHARED: bool = False

    # -- bytes --------------------------------------------------------------------------------

    @abstractmethod
    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """At most ``size`` bytes; ``b""`` at the end, which stays.

        :param flags: the system's ``MSG_`` flags. Who has none of them refuses what is more than
            a promise not to wait.
        :raises BlockingIOError: there is nothing.
        """

    @abstractmethod
    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0, /) -> int:
        """:meth:`recv` into a buffer; gives the count. ``0`` bytes are as many as fit."""

    @abstractmethod
    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send what is taken of the data at once; gives the count.

        :raises BlockingIOError: nothing is taken now. The next call has to begin with the same
            bytes: a part of them may be under way.
        """

    @abstractmethod
    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0, /) -> int:
        """:meth:`send` for several buffers, one behind the other."""

    def take_owed(self) -> int:
        """Have what is on its way count as sent, and be sent; gives how many bytes that are.

        Most transports count whatever they take. TLS cannot take back a record that was begun:
        what it does not count has to come first in what is offered next; who has no more to offer
        calls this instead.
        """
        return 0

    @abstractmethod
    def at_end(self) -> bool:
        """Whether the peer has ended and nothing stands before that. Nothing is taken.

        :raises BlockingIOError: neither end nor data is there.
        :raises OSError: the connection has failed.
        """

    @abstractmethod
    def sides(self) -> tuple[bool, bool]:
        """Whether it can be read at all, and written."""

    @abstractmethod
    def watch(self, loop: Any, events: int, /) -> Watcher:
        """A watcher for :data:`READ` or :data:`WRITE`, not started.

        An end and a failure are worth a read and a write.
        """

    # -- the end ------------------------------------------------------------------------------

    @abstractmethod
    def shutdown(self, how: int, /) -> None:
        """End one side or both: ``SHUT_WR`` is the peer's end, ``SHUT_RD`` one for this side.

        What has come before stays to be read. Where a side has no end of its own, nothing happens.

        :raises BlockingIOError: the end has to wait for what was sent before; the call is to be
            made again when a watcher tells that it can be written to.
        """

    def hear_out(self) -> None:
        """Take what stands unread and is no data, tickets of TLS, before the descriptor is closed.

        With that unread the close would be a reset. :meth:`close` does so by itself.
        """
        return

    def reset_on_close(self) -> None:
        """Have :meth:`close` send a reset instead of an end. For who has :attr:`RESET`."""
        refuse(errno.EOPNOTSUPP)

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was closed or detached."""

    @abstractmethod
    def close(self) -> None:
        """Close it, behind its watchers; a second time nothing happens."""

    @abstractmethod
    def detach(self) -> int:
        """Give the descriptor away and be closed; ``-1`` where it is closed already.

        :raises OSError: ``ENOTSUP``, it has none that stands for the connection.
        """

    @abstractmethod
    def abandon(self) -> int:
        """In a forked child: let go of it, and leave alone what is shared with the parent.

        :returns: the descriptor, for the child to close; ``-1`` where there is none.
        """

    # -- what is known of it ------------------------------------------------------------------

    @abstractmethod
    def fileno(self) -> int:
        """The descriptor, on Windows the handle; ``-1`` where there is none."""

    @property
    def family(self) -> int:
        """The address family of the system's."""
        return _socket.AF_UNSPEC

    @property
    def proto(self) -> int:
        """The number of the protocol."""
        return 0

    def is_connected(self) -> bool:
        """Whether it has a peer; a socket may be given before it has."""
        return True

    def local_name(self) -> Any:
        """The address at this end in the system's form; ``None`` where there is none."""
        return None

    def remote_name(self) -> Any:
        """The address at the peer's end in the system's form; ``None`` where there is none."""
        return None

    def option(self, level: int, name: int, /, *size: int) -> int | bytes:
        """An option of the socket's, as ``getsockopt()`` gives it: a number, or so many bytes.

        :raises OSError: ``ENOTSOCK``, it is not a socket.
        """
        refuse(errno.ENOTSOCK)

    def set_option(self, level: int, name: int, /, *value: Any) -> None:
        """Set an option of the socket's, as ``setsockopt()`` takes it.

        :raises OSError: ``ENOTSOCK``, it is not a socket.
        """
        refuse(errno.ENOTSOCK)


class Listener(Protocol):
    """What connections are accepted from."""

    __slots__ = ()

    @abstractmethod
    def accept_wire(self) -> tuple[Transport, Any]:
        """The next connection and its peer's address; :class:`BlockingIOError` if none waits."""

    @abstractmethod
    def watch(self, loop: Any, events: int, /) -> Watcher:
        """A watcher for :data:`READ`: connections wait."""

    @abstractmethod
    def local_name(self) -> Any:
        """Where it listens, in the system's form."""

    @abstractmethod
    def fileno(self) -> int:
        """The descriptor; ``-1`` where none stands for it."""

    @abstractmethod
    def duplicate(self) -> Listener:
        """Another listener of the same connections."""

    @abstractmethod
    def detach(self) -> int:
        """Give the descriptor away."""

    @abstractmethod
    def close(self) -> None:
        """Listen no more."""


def refuse(number: int) -> NoReturn:
    """Fail as the system does; :class:`BlockingIOError` is one of those, by its number.

    :param number: an ``errno``.
    """
    raise OSError(number, os.strerror(number))


def refuse_tls(name: str, handle: Any) -> None:
    """Refuse a socket of Python's ``ssl``, or of another library that has made it that way.

    Its descriptor alone would go on in the clear.

    :param name: what the caller calls it.
    :raises TypeError: it is one.
    """
    if getattr(handle, "encrypted", None) is False:
        # A socket of gnet's has all these names, encrypted or not.
        return
    if all(callable(getattr(handle, each, None)) for each in ("unwrap", "cipher", "fileno")):
        raise type_error(
            f'The "{name}" argument must be a socket without TLS, since what is sent by its '
            "descriptor is not encrypted. Give the plain socket, and have gnet do the TLS: with "
            f"the option tls=, or by start_tls(). Received {handle!r}"
        )
