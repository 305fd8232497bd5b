"""An attempt to connect to one place: to an IP address, or to a path."""

from __future__ import annotations

import _socket
import errno
import sys
from collections.abc import Callable
from typing import Any

from .._transport import unix_path
from .._transport.protocol import WRITE, Transport, Watcher
from .._transport.stream_socket import Wire
from ..errors import annotate, system_error
from .goals import PathTarget

if sys.platform == "win32":
    from .._transport.windows import pipe_names
    from .._transport.windows.pipe_wire import PipeWire

__all__ = ["Attempt", "PathAttempt"]

# A handshake with the same machine is over when connect() returns, which says that it goes on.
# Linux tells when it is asked again; others take that for another connection.
_ASKS_AGAIN = sys.platform == "linux"
_GOES_ON = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)


class Attempt:
    """One address being connected to.

    :param address: an IP address; or a path, which has no port.
    :param family: ``4`` or ``6``; of a path ``0``.
    :ivar wire: what connects; ``None`` where it has failed, or somebody else has it.
    :ivar local: the address that it connects from, where that was bound.
    :ivar settled: whether it is over.
    :ivar error: what it has failed with.
    """

    __slots__ = ("_watcher", "address", "error", "family", "local", "port", "settled", "wire")

    def __init__(self, address: str, family: int, port: int | None) -> None:
        self.address = address
        self.family = family
        self.port = port
        self.wire: Any = None
        self.local: tuple[str, int] | None = None
        self.error: BaseException | None = None
        self.settled = False
        self._watcher: Watcher | None = None

    def connect(self, address: Any, at_once: bool) -> None:
        """Have the wire connect.

        :param address: in the system's form.
        :param at_once: whether it may be over when this returns, although there was no error.
        """
        number = self.wire.connect_ex(address)
        if number == errno.EINPROGRESS and at_once and _ASKS_AGAIN:
            number = self.wire.connect_ex(address)
        if number not in _GOES_ON:
            self.settle(0 if number == errno.EISCONN else number)

    def watch(self, loop: Any, callback: Callable[[Attempt], object]) -> None:
        """Have a function be called, in the hub, when the kernel knows how it has ended."""
        self._watcher = self.wire.watch(loop, WRITE)
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._watcher.start(loop.run_callback, callback, self)

    def look(self) -> None:
        """The kernel knows how it has ended."""
        self.settle(self.wire.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR))

    def settle(self, number: int, exc: OSError | None = None) -> None:
        """It is over.

        :param number: the error's, or ``0``.
        :param exc: the error, where there is one already.
        """
        self.settled = True
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if not number:
            return
        if exc is None:
            self.error = system_error(number, "connect", self.address, self.port, local=self.local)
        elif hasattr(exc, "code"):
            self.error = exc
        else:
            self.error = annotate(exc, "connect", self.address, self.port, local=self.local)
        self.close()

    def take(self) -> Transport:
        """The wire, which is the caller's from now on."""
        wire: Transport
        wire, self.wire = self.wire, None
        return wire

    def close(self) -> None:
        """Give up, or be rid of what has failed."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self.wire is not None:
            self.wire.close()
            self.wire = None


class PathAttempt(Attempt):
    """A path being connected to, by tries that end at once: the kernel has no queue for them.

    :param target: where, and what is set before.
    :param wire: the unconnected wire to use, if there is one.
    """

    __slots__ = ("_address", "_target")

    _address: Any

    def __init__(self, target: PathTarget, wire: Transport | None) -> None:
        super().__init__(target.path, 0, None)
        self._target = target
        self.wire = wire if isinstance(wire, Wire) else None

    def begin(self) -> None:
        """Make the first try."""
        early = self._target.early
        try:
            if sys.platform == "win32":
                if early.options or early.control is not None:
                    raise pipe_names.no_options("connect", self.address)
                self._address = pipe_names.address_of(self.address, "connect")
            else:
                self._address = unix_path.address_of(self.address)
                if self.wire is None:
                    self.wire = Wire.open(_socket.AF_UNIX)
                early.apply(self.wire)
        except OSError as exc:
            self.settle(exc.errno or errno.EINVAL, exc)
        else:
            self.proceed()

    def proceed(self) -> None:
        """Try; it is not settled where all the places are taken that the listener has."""
        if sys.platform == "win32":
            try:
                self.wire = PipeWire.connect(self._address)
            except BlockingIOError:
                return
            except OSError as exc:
                self.settle(exc.errno or errno.EINVAL, exc)
            else:
                self.settle(0)
        else:
            self.connect(self._address, at_once=True)
