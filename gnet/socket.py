"""Socket: one end of a connection, in Node's vocabulary and in that of Python's ``socket``.

From Node's ``net``, *Class: net.Socket*, and Python's ``socket``, *Socket Objects*.
"""

from __future__ import annotations

import errno
import io
import os
import socket as std_socket
import struct
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import _socket

from . import _target, _validate
from ._reading import OnRead, Reading
from ._signal import Signal
from ._state import Life
from ._wire import AnyWire, FileWire, Wire, wire_of_fd
from ._writing import HIGH_WATER_BYTES
from .address import AddressInfo, is_ip
from .blocklist import BlockList
from .connect import Connector, PathTarget, TcpTarget
from .errors import (
    AbortError,
    HandleTypeError,
    SocketClosedError,
    system_error,
    type_error,
    value_error,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PeerCredentials", "Socket"]

Listener = Callable[..., Any]

# Node sets these two with every keep-alive: ten probes, a second apart.
KEEPALIVE_PROBES = 10
KEEPALIVE_INTERVAL_SECONDS = 1

#: The shortest ``auto_select_family_attempt_timeout``, in seconds; less is raised to it.
MIN_ATTEMPT_SECONDS = 0.01

_FAMILY_NAMES = {_socket.AF_INET: "IPv4", _socket.AF_INET6: "IPv6"}


class Defaults:
    """What a connection uses that was not told otherwise; set by the functions of ``gnet``."""

    auto_select_family = True
    attempt_timeout = 0.25


class PeerCredentials(NamedTuple):
    """The process at the other end of a Unix socket, as it was when it connected."""

    pid: int
    uid: int
    gid: int


class Socket(Reading):
    """A TCP or Unix-domain stream socket that emits events and whose calls block one greenlet.

    It is made by :func:`gnet.create_connection`, given to a server's connection listener, or
    made here and connected with :meth:`connect`.

    Emits ``connect()``, ``ready()``, ``data(chunk)``, ``end()``, ``finish()``, ``drain()``,
    ``timeout()``, ``error(exc)``, ``close(had_error)``, ``lookup(error, address, family,
    host)``, ``connection_attempt(ip, port, family)``, ``connection_attempt_failed(ip, port,
    family, error)``, ``connection_attempt_timeout(ip, port, family)``, ``pipe(source)``,
    ``unpipe(source)``, ``pause()`` and ``resume()``.

    :param fd: the descriptor of a socket, pipe, FIFO or terminal; from then on the socket's
        to close.
    :param handle: a Python socket of any kind, taken over.
    :param allow_half_open: keep the writable side open when the peer has ended; default
        ``False``.
    :param readable: with ``fd``: whether to read; default: what the descriptor allows.
    :param writable: with ``fd``: whether to write; default: what the descriptor allows.
    :param onread: an :class:`~gnet.OnRead`, to read into one buffer instead of emitting
        ``'data'``.
    :param signal: anything of gevent's with ``rawlink``; when it becomes ready the socket is
        destroyed with an :class:`~gnet.errors.AbortError`.
    :param high_water_mark: above so many queued bytes :meth:`write` returns ``False``; default
        65,536.
    :raises TypeError: an argument of the wrong kind.
    :raises ValueError: an argument of the wrong value; ``fd`` is no stream.
    """

    __slots__ = (
        "_attempted", "_close_when_unused", "_connector", "_io_refs", "_local", "_options",
        "_remote", "_reset_when_connected", "_signal",
    )  # fmt: skip

    def __init__(
        self,
        *,
        fd: int | None = None,
        handle: Any = None,
        allow_half_open: bool = False,
        readable: bool | None = None,
        writable: bool | None = None,
        onread: OnRead | None = None,
        signal: Any = None,
        high_water_mark: int = HIGH_WATER_BYTES,
    ) -> None:
        half_open = _validate.flag("allow_half_open", allow_half_open)
        mark = _validate.integer("high_water_mark", high_water_mark, 0, 2**62)
        if onread is not None and not isinstance(onread, OnRead):
            raise _validate.wrong_kind("onread", onread, "a gnet.OnRead")
        wire = _wire_of(fd, handle)
        self._begin(mark)
        self.allow_half_open = half_open
        if onread is not None:
            self._onread = onread
            self._flow = True
        if signal is not None:
            self._signal = Signal(signal, self._aborted)
        if wire is not None:
            self._adopt(wire)
            self._close_sides(wire, readable, writable)

    def _begin(self, high_water_mark: int) -> None:
        Reading.__init__(self, high_water_mark=high_water_mark)
        self._attempted: list[str] | None = None
        self._connector: Connector | None = None
        self._io_refs = 0
        self._close_when_unused = False
        self._local: Any = None
        self._remote: Any = None
        # Settings made before there is a connection to make them on.
        self._options: dict[str, Any] | None = None
        self._reset_when_connected = False
        self._signal: Signal | None = None

    @classmethod
    def _accepted(cls, server: Any, wire: Wire, remote: Any, high_water_mark: int) -> Self:
        """The socket of a connection that a server has accepted."""
        sock = cls.__new__(cls)
        sock._begin(high_water_mark)
        sock.server = server
        sock._remote = remote
        sock._wire = wire
        sock._connected = True
        sock._move("adopt")
        return sock

    def _adopt(self, wire: AnyWire) -> None:
        self._wire = wire
        self._connected = True
        self._move("adopt")
        self._loop.defer(self._rearm)

    def _close_sides(self, wire: AnyWire, readable: bool | None, writable: bool | None) -> None:
        """A side that the descriptor or the program does not have has ended from the start."""
        can_read, can_write = wire.sides() if isinstance(wire, FileWire) else (True, True)
        if not can_read or readable is False:
            self._read_ended = self._end_emitted = True
        if not can_write or writable is False:
            self._ending = self._finished = self._finish_emitted = True

    def __repr__(self) -> str:
        state = "connecting" if self.connecting else self.ready_state
        name = f"{type(self).__module__.partition('.')[0]}.{type(self).__name__}"
        local, remote = self._local_name(), self._remote
        place = "" if local is remote is None else f" {_text(local)} -> {_text(remote)}"
        return f"<{name}{place} {state}>"

    # -- connecting ---------------------------------------------------------------------------

    def connect(
        self,
        target: Any = None,
        host: Any = None,
        connect_listener: Listener | None = None,
        *,
        port: Any = None,
        path: Any = None,
        family: int | str | None = 0,
        hints: int = 0,
        local_address: str | None = None,
        local_port: int | None = None,
        lookup: Callable[..., Any] | None = None,
        no_delay: bool = False,
        keep_alive: bool = False,
        keep_alive_initial_delay: float = 0,
        auto_select_family: bool | None = None,
        auto_select_family_attempt_timeout: float | None = None,
        block_list: BlockList | None = None,
    ) -> Self:
        """Connect in the background; return at once.

        ``'connect'`` is emitted when the connection is made, ``'error'`` and ``'close'`` when
        it fails. ``with``, the blocking calls and ``wait("connect")`` wait for it.
        From Node's ``socket.connect()``.

        :param target: a port, a path, or a ``(host, port)`` tuple.
        :param host: the host, default ``"localhost"``.
        :param connect_listener: added as a listener of ``'connect'``, once.
        :param port: the port, by keyword.
        :param path: the path of a Unix socket, by keyword. The options below are TCP's.
        :param family: ``4``, ``6``, or ``0`` for both.
        :param hints: flags of :mod:`gnet.dns` for the lookup.
        :param local_address: the IP address to connect from.
        :param local_port: the port to connect from.
        :param lookup: a hook of the form of :func:`gnet.dns.lookup`, its default.
        :param no_delay: as :meth:`set_no_delay`.
        :param keep_alive: as :meth:`set_keep_alive`.
        :param keep_alive_initial_delay: in seconds, as for :meth:`set_keep_alive`.
        :param auto_select_family: race the host's addresses (RFC 8305); the default is
            :func:`gnet.get_default_auto_select_family`. Not with a ``family`` or
            ``local_address``.
        :param auto_select_family_attempt_timeout: how long the race waits for an attempt before
            it starts the next beside it, in seconds, 0.01 or more; the default is
            :func:`gnet.get_default_auto_select_family_attempt_timeout`.
        :param block_list: a :class:`~gnet.BlockList` of addresses not to connect to.
        :returns: the socket.
        :raises TypeError: an argument of the wrong kind, or no address at all.
        :raises ValueError: an argument of the wrong value.
        :raises OSError: the socket is connected or connecting already.
        """
        place = _target.parse(target, host, connect_listener, port=port, path=path)
        flag = _validate.flag
        settings = {
            "no_delay": flag("no_delay", no_delay),
            "keep_alive": flag("keep_alive", keep_alive),
            "delay": _validate.seconds("keep_alive_initial_delay", keep_alive_initial_delay) or 0,
        }
        goal: PathTarget | TcpTarget
        if place.path is not None:
            goal = PathTarget(place.path)
        elif place.port is None:
            raise type_error('The "port" or "path" argument must be specified', "ERR_MISSING_ARGS")
        else:
            select = Defaults.auto_select_family if auto_select_family is None else flag(
                "auto_select_family", auto_select_family
            )  # fmt: skip
            goal = TcpTarget(
                place.host or "localhost",
                place.port,
                _validate.family(family),
                _validate.integer("hints", hints, 0, 2**31 - 1),
                _local_address(local_address),
                0 if local_port is None else _validate.port(local_port, "local_port"),
                _validate.optional_function("lookup", lookup),
                select,
                _attempt_timeout(auto_select_family_attempt_timeout),
                _block_list(block_list),
            )
        self._check_idle()
        self._connect(goal, settings, place.listener)
        return self

    def _check_idle(self) -> None:
        if self._life is Life.CONNECTING:
            raise system_error(errno.EALREADY, "connect")
        if self._life is Life.OPEN:
            raise system_error(errno.EISCONN, "connect")
        if self._life is Life.CLOSED and not self._close_emitted:
            raise SocketClosedError("connect() may be called again from 'close' on")

    def _connect(
        self, goal: PathTarget | TcpTarget, settings: dict[str, Any], listener: Listener | None
    ) -> None:
        if self._life is Life.CLOSED:
            self._begin_again()
        if settings["no_delay"]:
            self.set_no_delay(True)
        if settings["keep_alive"]:
            self.set_keep_alive(True, settings["delay"])
        if listener is not None:
            self.once("connect", listener)
        connector = self._connector = Connector(goal, self._loop, self._report_later)
        racing = isinstance(goal, TcpTarget) and goal.auto_select_family
        self._attempted = connector.attempted if racing else None
        self._move("connect")
        if self._timeout is not None:
            self._start_idle_timer(self._timeout)
        self._loop.defer(partial(self._connect_in_background, connector))

    def _begin_again(self) -> None:
        """Dial a second time: listeners, encoding and settings stay, all else is new."""
        kept = (
            "_listeners", "_decoder", "_onread", "_options", "_timeout", "_refed", "_signal",
            "allow_half_open",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in kept}
        self._begin(self.high_water_mark)
        for name, value in values.items():
            setattr(self, name, value)
        if "data" in self._listeners or self._onread is not None:
            self._flow = True

    def _connect_in_background(self, connector: Connector) -> None:
        if connector.aborted:
            return
        try:
            wire, remote = connector.connect()
        except BaseException as exc:
            if not connector.aborted:
                if isinstance(exc, self._loop.hub.SYSTEM_ERROR):
                    self._shut(None)
                    raise
                self._fail(exc)
            return
        if connector.aborted:
            wire.close()
            return
        self._open(wire, remote)

    def _open(self, wire: Wire, remote: Any) -> None:
        """The connection is made."""
        self._connector = None
        self._wire = wire
        self._remote = remote
        self._connected = True
        self._apply_options()
        self._move("connected")
        if self._reset_when_connected:
            wire.reset_on_close()
            self._shut(None)
            return
        self._touch()
        self._loop.defer(self._emit_connect)
        self._wake()
        if self._out is not None or self._ending:
            self._flush()
        self._loop.defer(self._rearm)

    def _emit_connect(self) -> None:
        self._deliver("connect")
        self._deliver("ready")

    def _aborted(self) -> None:
        """In the hub: the signal has become ready."""
        self.destroy(AbortError())

    def _teardown(self) -> list[Callable[..., object]]:
        if self._connector is not None:
            self._connector.abort()
            self._connector = None
        if self._signal is not None:
            self._signal.unlink()
        # 'close' listeners may ask for the address when the descriptor is gone.
        self._local_name()
        return super()._teardown()

    # -- addresses ----------------------------------------------------------------------------

    def _local_name(self) -> Any:
        if self._local is None and isinstance(self._wire, Wire):
            try:
                self._local = self._wire.getsockname()
            except OSError:
                return None
        return self._local

    def _remote_name(self) -> Any:
        if self._remote is None and isinstance(self._wire, Wire):
            try:
                self._remote = self._wire.getpeername()
            except OSError:
                return None
        return self._remote

    @property
    def local_address(self) -> str | None:
        """The IP address at this end, or ``None``."""
        return _part(self._local_name(), 0)

    @property
    def local_port(self) -> int | None:
        """The port at this end, or ``None``."""
        return _part(self._local_name(), 1)

    @property
    def local_family(self) -> str | None:
        """``"IPv4"``, ``"IPv6"``, or ``None``."""
        return _family_name(self._local_name())

    @property
    def remote_address(self) -> str | None:
        """The IP address at the peer's end, or ``None``."""
        return _part(self._remote_name(), 0)

    @property
    def remote_port(self) -> int | None:
        """The port at the peer's end, or ``None``."""
        return _part(self._remote_name(), 1)

    @property
    def remote_family(self) -> str | None:
        """``"IPv4"``, ``"IPv6"``, or ``None``."""
        return _family_name(self._remote_name())

    def address(self) -> AddressInfo | str | None:
        """The local address: an :class:`~gnet.AddressInfo`, a path, or ``None``."""
        return address_info(self._local_name())

    @property
    def auto_select_family_attempted_addresses(self) -> list[str] | None:
        """The addresses that the race has tried, as ``host:port``; ``None`` without a race."""
        return self._attempted

    @property
    def peer_credentials(self) -> PeerCredentials:
        """Who is at the other end of a Unix socket: process, user and group.

        :raises OSError: the socket is not open, not a Unix socket, or the system cannot tell.
        """
        wire = self._open_wire()
        option = getattr(_socket, "SO_PEERCRED", None)
        if option is None or wire.family != _socket.AF_UNIX:
            raise system_error(errno.EOPNOTSUPP, "getsockopt")
        size = struct.calcsize("3i")
        return PeerCredentials(*struct.unpack("3i", wire.getsockopt(_socket.SOL_SOCKET, option, size)))

    @property
    def ready_state(self) -> str:
        """``"opening"``, ``"open"``, ``"read_only"``, ``"write_only"`` or ``"closed"``.

        A socket that is neither connected nor connecting is ``"closed"``.
        """
        if self._life is Life.CONNECTING:
            return "opening"
        if self._life is not Life.OPEN:
            return "closed"
        if self.readable:
            return "open" if self.writable else "read_only"
        return "write_only" if self.writable else "closed"

    @property
    def buffer_size(self) -> int:
        """Deprecated: :attr:`writable_length`."""
        warnings.warn(
            "Socket.buffer_size is deprecated; use writable_length", DeprecationWarning, 2
        )
        return self.writable_length

    # -- settings -----------------------------------------------------------------------------

    def set_no_delay(self, no_delay: bool = True) -> Self:
        """Send small writes at once (``TCP_NODELAY``) instead of gathering them (Nagle).

        From Node's ``socket.setNoDelay()``. Before the connection it is remembered.

        :returns: the socket.
        """
        return self._set_option("no_delay", _validate.flag("no_delay", no_delay))

    def set_keep_alive(self, enable: bool = False, initial_delay: float = 0) -> Self:
        """Probe an idle connection: ``SO_KEEPALIVE``, ten probes a second apart.

        From Node's ``socket.setKeepAlive()``. Before the connection it is remembered.

        :param enable: whether to probe.
        :param initial_delay: after how many idle seconds the first probe is sent; below one
            second the system's delay stays.
        :returns: the socket.
        """
        delay = _validate.seconds("initial_delay", initial_delay) or 0
        return self._set_option("keep_alive", (_validate.flag("enable", enable), int(delay)))

    def set_type_of_service(self, tos: int) -> Self:
        """Set the type of service of what is sent (``IP_TOS``, ``IPV6_TCLASS``).

        From later Node's ``socket.setTypeOfService()``. Before the connection it is remembered.

        :param tos: from 0 to 255.
        :returns: the socket.
        """
        return self._set_option("tos", _validate.integer("tos", tos, 0, 255))

    def get_type_of_service(self) -> int:
        """The type of service: the connection's, or the one to be set on it."""
        if isinstance(self._wire, Wire) and self._wire.is_tcp:
            return self._wire.getsockopt(*_tos_option(self._wire))
        return int((self._options or {}).get("tos", 0))

    def _set_option(self, name: str, value: Any) -> Self:
        if self._options is None:
            self._options = {}
        self._options[name] = value
        if self._life is Life.OPEN:
            self._apply_options()
        return self

    def _apply_options(self) -> None:
        wire = self._wire
        if not self._options or not isinstance(wire, Wire) or not wire.is_tcp:
            return
        for name, value in self._options.items():
            try:
                _SETTERS[name](wire, value)
            except OSError:
                # A peer that has reset: the next read or write says so.
                pass

    # -- ends ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Send what is queued, end the writable side, and let go of the socket; return at once.

        The descriptor goes when the peer has ended as well, or two seconds after everything was
        sent; what arrives until then is discarded. Greenlets that are blocked on the socket
        raise :class:`~gnet.errors.SocketClosedError`. While a file of :meth:`makefile` is open,
        it takes effect when the last one is closed.
        """
        if self._io_refs:
            self._close_when_unused = True
        else:
            self._give_up()

    def _decref_socketios(self) -> None:
        # Called by the standard library's SocketIO when it is closed.
        if self._io_refs:
            self._io_refs -= 1
        if self._close_when_unused:
            self._close_when_unused = False
            self.close()

    def destroy_soon(self) -> Self:
        """Destroy the socket when everything queued has been sent. From ``destroySoon()``.

        :returns: the socket.
        """
        if self._finished or self._life is Life.IDLE:
            return self.destroy()
        self.once("finish", self.destroy)
        self._end()
        return self

    def reset_and_destroy(self) -> Self:
        """Close the connection with a reset (RST); while connecting, as soon as it is made.

        From Node's ``socket.resetAndDestroy()``.

        :returns: the socket.
        :raises HandleTypeError: the socket is not TCP's; ``code``
            ``"ERR_INVALID_HANDLE_TYPE"``.
        """
        wire = self._wire
        if self._life is Life.OPEN:
            if not isinstance(wire, Wire) or not wire.is_tcp:
                raise HandleTypeError("Only a TCP socket can be reset")
            wire.reset_on_close()
            return self.destroy()
        if self._life is Life.CONNECTING:
            if self._connector is not None and isinstance(self._connector.target, PathTarget):
                raise HandleTypeError("Only a TCP socket can be reset")
            self._reset_when_connected = True
            return self
        return self.destroy(SocketClosedError())

    def detach(self) -> int:
        """Give the descriptor away: the socket is closed, the connection is not.

        From Python's ``socket.detach()``.

        :returns: the descriptor, in non-blocking mode; ``-1`` if there is none.
        """
        if self._wire is None or self._given_up:
            return -1
        self._local_name(), self._remote_name()
        fd = self._wire.detach()
        self.destroy()
        return fd

    # -- Python's socket ----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._blocking_style = True
        if self._life is not Life.IDLE:
            self._await_connection()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def _open_wire(self) -> Any:
        """The wire, for what needs a descriptor.

        :raises OSError: the socket is not open; it has failed.
        """
        if self._wire is None or self._given_up:
            if self._life is Life.OPEN:
                raise self._closed_error()
            self._raise_unless_open()
        return self._wire

    def fileno(self) -> int:
        """The descriptor; ``-1`` when there is none."""
        return self._wire.fileno() if self._wire is not None and not self._given_up else -1

    @property
    def family(self) -> std_socket.AddressFamily:
        """The address family, as Python's ``socket.family``."""
        wire = self._wire
        family = wire.family if isinstance(wire, Wire) else _socket.AF_UNSPEC
        return std_socket.AddressFamily(family)

    @property
    def type(self) -> std_socket.SocketKind:
        """The kind of socket, as Python's ``socket.type``."""
        return std_socket.SOCK_STREAM

    @property
    def proto(self) -> int:
        """The protocol, as Python's ``socket.proto``."""
        return self._wire.proto if isinstance(self._wire, Wire) else 0

    def getsockname(self) -> Any:
        """The local address in the system's form, as Python's ``socket.getsockname()``."""
        return self._open_wire().getsockname()

    def getpeername(self) -> Any:
        """The peer's address in the system's form, as Python's ``socket.getpeername()``."""
        return self._open_wire().getpeername()

    def getsockopt(self, *args: int) -> Any:
        """As Python's ``socket.getsockopt()``."""
        return self._open_wire().getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        """As Python's ``socket.setsockopt()``."""
        self._open_wire().setsockopt(*args)

    def settimeout(self, value: float | None) -> None:
        """:meth:`set_timeout` under Python's name.

        :param value: seconds, or ``None``.
        :raises ValueError: ``0`` or less: there is no non-blocking mode.
        """
        if value is not None and not isinstance(value, bool) and value == 0:
            raise value_error(
                "a gnet.Socket has no non-blocking mode: its calls block one greenlet only, and "
                "its events tell when something has come. Use None for no timeout"
            )
        self.set_timeout(value)

    def gettimeout(self) -> float | None:
        """The idle timeout in seconds, or ``None``."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """``setblocking(True)`` is ``settimeout(None)``; ``False`` raises, as there."""
        self.settimeout(None if flag else 0)

    def getblocking(self) -> bool:
        """Always ``True``: a call blocks its greenlet."""
        return True

    def shutdown(self, how: int) -> None:
        """End one side or both. From Python's ``socket.shutdown()``.

        :param how: ``SHUT_RD``, ``SHUT_WR`` (what is queued is sent first) or ``SHUT_RDWR``.
        :raises OSError: ``ENOTCONN``, the socket is not connected.
        """
        how = _validate.integer("how", how, _socket.SHUT_RD, _socket.SHUT_RDWR)
        if self._life is Life.CONNECTING:
            self._await_connection()
        wire = self._open_wire()
        if how != _socket.SHUT_WR:
            wire.shutdown(_socket.SHUT_RD)
            self._more = True
        if how != _socket.SHUT_RD:
            self._end()

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """A file of the socket's stream. From Python's ``socket.makefile()``.

        :param mode: ``"r"``, ``"w"`` or ``"rw"``, and ``"b"`` for bytes.
        :param buffering: the size of the buffer in bytes; ``0`` for none (bytes only).
        :param encoding: for text; with ``errors`` and ``newline`` as for :func:`open`.
        :returns: the file. :meth:`close` takes effect when the last one is closed.
        """
        letters = set(_validate.string("mode", mode))
        if not letters <= {"r", "w", "b"} or not letters & {"r", "w"}:
            raise _validate.wrong_value("mode", mode, "made of 'r', 'w' and 'b'")
        binary = "b" in letters
        raw_mode = ("r" if "r" in letters else "") + ("w" if "w" in letters else "")
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0 and not binary:
            raise _validate.wrong_value("buffering", buffering, "above 0 for text")
        # The standard library's own class: it asks for no more than a socket has.
        raw: Any = std_socket.SocketIO(self, raw_mode)  # type: ignore[arg-type]
        self._io_refs += 1
        if buffering == 0:
            return raw
        buffered: Any
        if raw_mode == "rw":
            buffered = io.BufferedRWPair(raw, raw, buffering)
        elif raw_mode == "r":
            buffered = io.BufferedReader(raw, buffering)
        else:
            buffered = io.BufferedWriter(raw, buffering)
        if binary:
            return buffered
        text: Any = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode
        return text


# -- arguments --------------------------------------------------------------------------------


def _wire_of(fd: Any, handle: Any) -> AnyWire | None:
    """The wire for the ``fd`` or ``handle`` of a new socket."""
    if handle is not None:
        if fd is not None:
            raise type_error("give fd or handle, not both")
        if not callable(getattr(handle, "detach", None)):
            raise _validate.wrong_kind("handle", handle, "a socket")
        check_stream(handle)
        return wire_of_fd(handle.detach())
    if fd is None:
        return None
    return wire_of_fd(_validate.integer("fd", fd, 0, 2**31 - 1))


def check_stream(handle: Any, listening: bool = False) -> None:
    """Refuse a Python socket that is no stream, or that listens and should not."""
    if getattr(handle, "type", _socket.SOCK_STREAM) & 0xF != _socket.SOCK_STREAM:
        raise value_error(f"{handle!r} is no stream socket", "ERR_INVALID_FD_TYPE")
    if not listening and handle.fileno() < 0:
        raise value_error(f"{handle!r} is closed", "ERR_INVALID_ARG_VALUE")


def _local_address(value: Any) -> str | None:
    if value is None:
        return None
    address = _validate.string("local_address", value)
    if not is_ip(address):
        raise _validate.wrong_value(
            "local_address", value, "an IP address", "ERR_INVALID_IP_ADDRESS"
        )
    return address


def _attempt_timeout(value: Any) -> float:
    if value is None:
        return Defaults.attempt_timeout
    name = "auto_select_family_attempt_timeout"
    return max(MIN_ATTEMPT_SECONDS, _validate.positive_seconds(name, value))


def _block_list(value: Any) -> BlockList | None:
    if value is not None and not isinstance(value, BlockList):
        raise _validate.wrong_kind("block_list", value, "a gnet.BlockList")
    return value


# -- system addresses -------------------------------------------------------------------------


def _part(address: Any, index: int) -> Any:
    return address[index] if isinstance(address, tuple) else None


def _family_name(address: Any) -> str | None:
    if not isinstance(address, tuple):
        return None
    return "IPv6" if ":" in address[0] else "IPv4"


def _text(address: Any) -> str:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return path_of(address) or "-"


def path_of(address: Any) -> str | None:
    """The path of a Unix socket's address; ``None`` for one that has no name."""
    if not address or isinstance(address, tuple):
        return None
    return os.fsdecode(address)


def address_info(address: Any) -> AddressInfo | str | None:
    """An address of the system's as ``address()`` gives it."""
    if isinstance(address, tuple):
        return AddressInfo(address[0], _family_name(address), address[1])
    return path_of(address)


# -- setters ----------------------------------------------------------------------------------


def _tos_option(wire: Wire) -> tuple[int, int]:
    if wire.family == _socket.AF_INET6:
        return _socket.IPPROTO_IPV6, _socket.IPV6_TCLASS
    return _socket.IPPROTO_IP, _socket.IP_TOS


def _apply_no_delay(wire: Wire, value: bool) -> None:
    wire.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, value)


def _apply_keep_alive(wire: Wire, value: tuple[bool, int]) -> None:
    enable, delay = value
    wire.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, enable)
    if not enable:
        return
    if delay >= 1:
        idle = getattr(_socket, "TCP_KEEPIDLE", getattr(_socket, "TCP_KEEPALIVE", None))
        if idle is not None:
            wire.setsockopt(_socket.IPPROTO_TCP, idle, delay)
    wire.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    wire.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)


def _apply_tos(wire: Wire, value: int) -> None:
    wire.setsockopt(*_tos_option(wire), value)


_SETTERS: dict[str, Callable[[Wire, Any], None]] = {
    "no_delay": _apply_no_delay,
    "keep_alive": _apply_keep_alive,
    "tos": _apply_tos,
}
