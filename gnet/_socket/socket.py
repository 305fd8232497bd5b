"""Socket: one end of a connection, in Node's vocabulary and in that of Python's ``socket``.

From Node's ``net``, *Class: net.Socket*, and Python's ``socket``, *Socket Objects*.
"""

from __future__ import annotations

import errno
import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import ref

from .._core import watchdog
from .._core.dispatcher import dispatcher
from .._core.losing import Redial
from .._core.on_read import OnRead
from .._core.states import CLOSED, CONNECTING, IDLE, OPEN, SENT, SHUT
from .._core.watchdog import Watchdog
from .._core.writing import HIGH_WATER_BYTES
from .._loop.abort_signal import Signal, check_signal
from .._loop.paced_wire import checked_byte_rate, paced
from .._transport import tcp_options
from .._transport.bound_socket import BoundSocket
from .._transport.early_options import EarlyOptions
from .._transport.protocol import Transport, refuse_tls
from .._transport.stream_socket import wire_of_fd
from .._values import arguments, targets
from .._values.suggestions import suggesting
from ..errors import (
    AbortError,
    HandleTypeError,
    SocketClosedError,
    annotate,
    late_import,
    system_error,
    type_error,
)
from .dialling import Dialling, dial
from .facts import PeerCredentials
from .goals import PathTarget
from .options import ConnectOptions, SocketOptions
from .planning import Plan, TcpOptions, plan_of, tcp_options_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._core.block_list import BlockList
    from .._values.reconnect import Reconnect

    # Its events, each with the arguments of its listeners.
    from .socket_events import SocketBase
else:
    SocketBase = Dialling

__all__ = ["PeerCredentials", "Socket"]

Listener = Callable[..., Any]


class Socket(SocketBase):
    """A TCP or Unix-domain stream socket that emits events and whose calls block one greenlet.

    :func:`gnet.create_connection` makes one, and a server gives one to its connection listener.
    One that is made here is connected with :meth:`connect`.

    Emits ``connect()``, ``ready()``, ``data(chunk)``, ``end()``, ``peer_end()``, ``finish()``,
    ``drain()``, ``timeout()``, ``error(exc)``, ``close(had_error)``, ``lookup(error, address,
    family, host)``, ``connection_attempt(ip, port, family)``, ``connection_attempt_failed(ip,
    port, family, error)``, ``connection_attempt_timeout(ip, port, family)``, ``pipe(source)``,
    ``unpipe(source)``, ``pause()`` and ``resume()``; with ``reconnect``
    ``reconnecting(attempt, delay, error)``; over TLS ``secure_connect()`` and
    ``session(session)``; over a Unix socket ``fds(fds)``. On Linux ``'peer_end'`` comes although
    input is still unread; other systems do not tell.

    :param fd: the descriptor of a socket, pipe, FIFO or terminal; the socket closes it in the
        end. A pipe, FIFO or terminal that other processes have as well is opened anew if it has
        a name; otherwise threads of its own read and write it, one for each direction that is
        used. For the others it blocks as before, and they keep what is unread at :meth:`close`.
    :param handle: a Python socket of any kind, which is taken over; or a
        :class:`~gnet.BoundSocket`, for :meth:`connect` to connect from.
    :param allow_half_open: keep the writable side open when the peer has ended; default
        ``False``.
    :param readable: with ``fd``: whether to read; default: what the descriptor allows.
    :param writable: with ``fd``: whether to write; default: what the descriptor allows.
    :param onread: an :class:`~gnet.OnRead`, to read into one buffer instead of emitting
        ``'data'``.
    :param signal: anything of gevent's with ``rawlink``; when it becomes ready the socket is
        destroyed with an :class:`~gnet.errors.AbortError`.
    :param high_water_mark: :meth:`write` returns ``False`` while this many bytes or more are
        queued; default 65,536.
    :param write_limit: the maximum of bytes that ``write()`` may queue; ``None``, the default,
        for no limit. One message is always taken.
    :param when_over: what a ``write()`` beyond that does: ``"destroy"``, the default, destroys
        the connection with a :class:`~gnet.errors.WriteLimitError`, ``"raise"`` raises that
        error, ``"block"`` blocks the greenlet until there is room.
    :param first_byte_timeout: destroy the connection when the peer has sent nothing for this
        many seconds from its beginning.
    :param write_timeout: destroy the connection when the peer has taken nothing of what is
        queued for this many seconds.
    :param lifetime: destroy the connection this many seconds after its beginning.
    :param tls_strict: whether a TLS connection that ends without TLS' own end has failed with an
        :class:`ssl.SSLEOFError`; default ``False``: it has ended, and is :attr:`truncated`.
    :param type_of_service: as :meth:`set_type_of_service`.
    :param user_timeout: how long what was sent may stay unacknowledged before the kernel takes
        the connection for dead (``TCP_USER_TIMEOUT``), in seconds; ``None``, the default, and
        ``0`` leave the system's. Like ``type_of_service`` and ``congestion`` it is for TCP.
    :param congestion: the name of an algorithm of congestion control (``TCP_CONGESTION``), for
        example ``"bbr"``; default: the system's. With an algorithm that the system does not
        have, the connection fails.
    :param rate: the maximum of bytes that the connection sends in a second, and also the maximum
        that it receives; with TLS, of encrypted bytes. ``None``, the default, for no limit.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value, or ``fd`` is not a stream.
    :raises OSError: ``ENOTSUP``, the system has no such option.
    """

    __slots__ = ()

    @suggesting("Socket()", SocketOptions)
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
        write_limit: int | None = None,
        when_over: str = "destroy",
        first_byte_timeout: float | None = None,
        write_timeout: float | None = None,
        lifetime: float | None = None,
        tls_strict: bool = False,
        type_of_service: int | None = None,
        user_timeout: float | None = None,
        congestion: str | None = None,
        rate: float | None = None,
    ) -> None:
        # By the defaults alone, as 0 is False.
        if (
            allow_half_open is tls_strict is False and readable is writable is None
            and onread is signal is None and congestion is None
            and write_limit is first_byte_timeout is write_timeout is lifetime is None
            and type_of_service is user_timeout is rate is None
            and high_water_mark is HIGH_WATER_BYTES and when_over == "destroy"
        ):  # fmt: skip
            self._begin(dispatcher(), HIGH_WATER_BYTES)
        else:
            self._begin_with(
                allow_half_open, high_water_mark, onread, readable, writable, signal, tls_strict,
                write_limit, when_over, first_byte_timeout, write_timeout, lifetime,
                type_of_service, user_timeout, congestion, rate,
            )  # fmt: skip
        # Behind whatever refuses an argument, or the object: they stay their owner's.
        wire = None if fd is handle is None else _wire_of(fd, handle)
        if signal is not None:
            self._signal = Signal(signal, self._aborted)
        if wire is not None:
            self._adopt(wire)
            if self._life == OPEN:
                self._close_sides(wire, readable, writable)

    def _begin_with(
        self,
        allow_half_open: Any,
        high_water_mark: Any,
        onread: Any,
        readable: Any,
        writable: Any,
        signal: Any,
        tls_strict: Any,
        *rest: Any,
    ) -> None:
        """Check the options of a new socket, and begin with them."""
        half_open = arguments.flag("allow_half_open", allow_half_open)
        mark = arguments.integer("high_water_mark", high_water_mark, 0, 2**62)
        if onread is not None and not isinstance(onread, OnRead):
            raise arguments.wrong_kind("onread", onread, "a gnet.OnRead")
        limits = watchdog.limits(*rest[:5])
        for name, value in (("readable", readable), ("writable", writable)):
            if value is not None:
                arguments.flag(name, value)
        if signal is not None:
            check_signal(signal)
        strict = arguments.flag("tls_strict", tls_strict)
        *settings, rate = rest[5:]
        remembered = tcp_options.checked(*settings)
        if rate is not None:
            remembered = (*remembered, ("rate", checked_byte_rate("rate", rate)))
        self._begin(dispatcher(), mark)
        self._remembered = remembered
        self.allow_half_open = half_open
        if strict:
            self._need_tls().strict = True
        if limits is not None:
            self._watchdog = Watchdog(self, limits)
        if onread is not None:
            self._onread = onread
            self._flow = True

    def _adopt(self, wire: Transport) -> None:
        self._wire = wire
        if not wire.is_connected():
            # It is connect()'s to use.
            return
        self._wire = paced(wire, self._remembered)
        self._begins()
        self._step("adopt")
        if self._watchdog is not None:
            self._watchdog.opened()
        self._loop.defer(self._settle)
        if self._remembered:
            try:
                tcp_options.apply_strictly(wire, self._remembered)
            except OSError as exc:
                self.destroy(annotate(exc, "setsockopt"))
                return
            self._apply_options()

    def _close_sides(self, wire: Transport, readable: bool | None, writable: bool | None) -> None:
        """A side that the descriptor or the program does not have has ended from the start."""
        can_read, can_write = wire.sides()
        if not can_read or readable is False:
            self._step("without_reading")
        if not can_write or writable is False:
            self._step("without_writing")

    def __repr__(self) -> str:
        state = "connecting" if self.connecting else self.ready_state
        name = f"{type(self).__module__.partition('.')[0]}.{type(self).__name__}"
        local, remote = self._local_name(), self._remote
        place = "" if local is remote is None else (
            f" {tcp_options.address_text(local)} -> {tcp_options.address_text(remote)}"
        )  # fmt: skip
        return f"<{name}{place} {state}>"

    # -- connecting ---------------------------------------------------------------------------

    @suggesting("Socket.connect()", ConnectOptions)
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
        connect_timeout: float | None = None,
        options: Sequence[tuple[int, int, int | bytes]] | None = None,
        control: Callable[[int], object] | None = None,
        mptcp: bool = False,
        tls: Any = None,
        server_hostname: str | None = None,
        session: Any = None,
        handshake_timeout: float | None = 10.0,
        srv: str | None = None,
        resolver: Any = None,
        reconnect: Reconnect | None = None,
    ) -> Self:
        """Connect in the background; return at once.

        ``'connect'`` is emitted when the connection is made, ``'error'`` and ``'close'`` when
        it fails. ``with``, the blocking calls and ``wait("connect")`` wait for it.
        From Node's ``socket.connect()``.

        :param target: a port, a path, or a ``(host, port)`` tuple; or a list of targets, which
            are tried as one race: when one takes longer than
            ``auto_select_family_attempt_timeout``, the next one starts beside it, and when it
            fails, at once. In a list a ``str`` is ``"host:port"``, ``"[IPv6]:port"`` or
            ``"unix:path"``. When all of several fail, the error is a
            :class:`~gnet.AggregateError` in their order.
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
        :param keep_alive: as :meth:`set_keep_alive`, with ten probes a second apart, as in Node.
        :param keep_alive_initial_delay: in seconds, as for :meth:`set_keep_alive`.
        :param auto_select_family: race the host's addresses (RFC 8305), the first 32 of
            them; the default is :func:`gnet.get_default_auto_select_family`. Not with a
            ``family`` or ``local_address``.
        :param auto_select_family_attempt_timeout: how long the race waits for an attempt before
            it starts the next beside it, in seconds, 0.01 or more; the default is
            :func:`gnet.get_default_auto_select_family_attempt_timeout`.
        :param block_list: a :class:`~gnet.BlockList` of addresses not to connect to.
        :param connect_timeout: how long the lookup, all attempts and the handshake may take
            together, in seconds; then the connection fails with a
            :class:`~gnet.errors.DeadlineError`.
        :param options: what ``setsockopt()`` sets on the socket of each attempt before it is
            bound and connected: a list of ``(level, name, value)``. They are for a path, too.
        :param control: called with the descriptor of each attempt after that. It may block; what
            it raises is the attempt's error, or the connection's if it is no :class:`OSError`.
        :param mptcp: use Multipath TCP; plain TCP where the system has none.
        :param tls: speak TLS: an :class:`ssl.SSLContext`; ``True`` for the system's authorities,
            by one :func:`ssl.create_default_context` a process. ``'connect'`` is still emitted
            when the peer is reached, ``'secure_connect'`` and ``'ready'`` when the handshake is
            done; until then what is written waits, and so do the blocking calls. The
            ``connect_listener`` is one of ``'secure_connect'``.
        :param server_hostname: the name that the server's certificate must have, if it is not
            the host; ``""`` for no name, which needs a context with ``check_hostname=False``.
        :param session: a :class:`gnet.tls.Session` with the same server, to be resumed.
        :param handshake_timeout: how long the handshake may take, in seconds; default 10, and
            ``None`` for no limit.
        :param srv: the name of a service, ``"_redis._tcp.example.com"``, in the place of a
            target: the hosts of its SRV records are tried as those of a list, by priority and
            weight (RFC 2782). ``ENOTFOUND`` if there is none. With ``tls`` the certificate of a
            host inside the domain must have the host's name, and any other the domain's.
        :param resolver: the :class:`gnet.dns.Resolver` that is asked for the service, and keeps
            the answer for its time to live; default: the one whose ``lookup`` was given, else
            one of the process'. The hosts are looked up by it, too, unless there is a
            ``lookup``.
        :param reconnect: a :class:`~gnet.Reconnect`: connect again after the network's errors
            and ends, until :meth:`close`, :meth:`destroy` or :meth:`end`. ``'reconnecting'`` is
            emitted ahead of each try, and ``'connect'`` again.
        :returns: the socket.
        :raises TypeError: an argument is of the wrong kind, or there is no address.
        :raises ValueError: an argument has a wrong value.
        :raises OSError: the socket is connected or connecting already.
        """
        self._check_thread()
        if srv is None and resolver is not None:
            raise type_error('The "resolver" argument needs the option srv=')
        if isinstance(target, list) or srv is not None:
            self._check_no_handle()
            places, listener = targets.parse_several(
                target, host, connect_listener, port=port, path=path, srv=srv
            )
        else:
            place = targets.parse(
                target, host, connect_listener,
                port=port, path=path, listener_name="connect_listener",
            )  # fmt: skip
            places, listener = [place], place.listener
        settings = (
            arguments.flag("no_delay", no_delay),
            arguments.flag("keep_alive", keep_alive),
            arguments.keep_alive_delay("keep_alive_initial_delay", keep_alive_initial_delay),
        )
        limit = arguments.seconds("connect_timeout", connect_timeout)
        early = EarlyOptions.parse(options, control, mptcp, self._remembered)
        # Those of TCP: nobody looks at them where there is but a path.
        of_tcp: TcpOptions | None = None
        if len(places) != 1 or places[0].path is None:
            of_tcp = tcp_options_of(
                early, family, hints, local_address, local_port, lookup, auto_select_family,
                auto_select_family_attempt_timeout, block_list,
            )  # fmt: skip
        if reconnect is not None:
            self._check_reconnect(reconnect)
        plan = plan_of(
            places, of_tcp, early, srv, resolver, tls, server_hostname, session, handshake_timeout
        )
        if self._wire is not None and (local_address is not None or local_port):
            _check_unbound(self._wire)
        self._check_idle()
        self._connect(plan, settings, listener, limit, reconnect)
        return self

    def _check_reconnect(self, reconnect: Any) -> None:
        # Whoever has a policy has imported it.
        with late_import():
            from .._values.reconnect import Reconnect

        if not isinstance(reconnect, Reconnect):
            raise arguments.wrong_kind("reconnect", reconnect, "a gnet.Reconnect")
        if self.server is not None:
            raise type_error(
                'The "reconnect" argument is for a client, and this connection was accepted'
            )
        if self._has_handle():
            raise type_error('The "reconnect" argument is for a socket without fd= or handle=')

    def _has_handle(self) -> bool:
        """Whether it was given the descriptor that it connects with."""
        return self._wire is not None and self.pending

    def _check_no_handle(self) -> None:
        """Refuse several targets for the one descriptor that a socket has been given."""
        if self._has_handle():
            text = "a socket with fd= or handle= connects to one target, and not to several"
            raise type_error(text)

    def _check_idle(self) -> None:
        if self._life == CONNECTING:
            raise system_error(errno.EALREADY, "connect")
        if self._life == OPEN:
            raise system_error(errno.EISCONN, "connect")
        if self._life == SHUT:
            raise SocketClosedError("connect() may be called again from 'close' on")

    def _connect(
        self,
        plan: Plan,
        settings: tuple[bool, bool, float],
        listener: Listener | None,
        limit: float | None,
        reconnect: Reconnect | None,
    ) -> None:
        if self._life == CLOSED:
            self._begin_again()
        rare = self._need_rare()
        no_delay, keep_alive, delay = settings
        if no_delay:
            self._set_option("no_delay", True)
        if keep_alive:
            self.set_keep_alive(True, delay, *tcp_options.NODES_KEEP_ALIVE)
        if listener is not None:
            event: Literal["connect", "secure_connect"]
            event = "connect" if plan.tls[0] is None else "secure_connect"
            self.once(event, listener)
            rare.connect_listener = self._entries(event)[-1]
        wire, self._wire = self._wire, None
        if reconnect is not None:
            from .._values.reconnect import Tries

            # By the object: a method would make a circle, which keeps the socket.
            rare.redial = Redial(Tries(reconnect), partial(dial, ref(self), plan, limit))
        self._dial(plan, limit, wire)
        self._step("connect")
        if self._timeout:
            self._start_idle_timer(self._timeout)

    def _aborted(self) -> None:
        """In the hub: the signal has become ready."""
        self.destroy(AbortError())

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

        From Node's ``socket.setNoDelay()``. A call before the connection is remembered.

        :returns: the socket.
        """
        return self._set_option("no_delay", arguments.flag("no_delay", no_delay))

    def set_keep_alive(
        self,
        enable: bool = False,
        initial_delay: float = 0,
        interval: float | None = None,
        count: int | None = None,
    ) -> Self:
        """Probe an idle connection (``SO_KEEPALIVE``), so that a peer that is gone is noticed.

        From Node's ``socket.setKeepAlive()``. A call before the connection is remembered. Times
        are whole seconds to the system; below one second, or below zero, its own stays.

        :param enable: whether to probe.
        :param initial_delay: after how many idle seconds the first probe is sent.
        :param interval: how many seconds are between two probes; ``None``, the default, leaves the
            system's.
        :param count: after how many probes without an answer the connection has failed; ``None``,
            the default, and ``0`` leave the system's. Windows before its version 1709 always
            sends ten.
        :returns: the socket.
        """
        delay = arguments.keep_alive_delay("initial_delay", initial_delay)
        between = int(arguments.keep_alive_delay("interval", interval)) or None
        probes = None if count is None else arguments.keep_alive_count("count", count)
        enabled = arguments.flag("enable", enable)
        return self._set_option("keep_alive", (enabled, int(delay), between, probes or None))

    def set_type_of_service(self, tos: int) -> Self:
        """Set the type of service of what is sent (``IP_TOS``, ``IPV6_TCLASS``).

        From later Node's ``socket.setTypeOfService()``. A call before the connection is
        remembered.

        :param tos: from 0 to 255.
        :returns: the socket.
        """
        return self._set_option("tos", arguments.integer("tos", tos, 0, 255))

    def get_type_of_service(self) -> int:
        """The type of service: the connection's, or the one to be set on it."""
        if self._wire is not None and self._wire.TCP_OPTIONS:
            return tcp_options.type_of_service(self._wire)
        return int(dict(self._remembered).get("tos", 0))

    def _set_option(self, name: str, value: Any) -> Self:
        self._check_thread()
        self._remembered = tcp_options.with_setting(self._remembered, name, value)
        if self._life == OPEN and self._wire is not None:
            tcp_options.apply(self._wire, ((name, value),))
        return self

    # -- ends ---------------------------------------------------------------------------------

    def destroy_soon(self) -> Self:
        """Destroy the socket when everything queued has been sent. From ``destroySoon()``.

        :returns: the socket.
        """
        self._check_thread()
        if self._sending >= SENT or self._life == IDLE:
            return self.destroy()
        self._destroy_when_sent = True
        self._step("end")
        return self

    def reset_and_destroy(self) -> Self:
        """Close the connection with a reset (RST); while connecting, as soon as it is made.

        From Node's ``socket.resetAndDestroy()``.

        :returns: the socket.
        :raises HandleTypeError: this is not a TCP socket; ``code``
            ``"ERR_INVALID_HANDLE_TYPE"``.
        """
        self._check_thread()
        wire = self._wire
        if self._life == OPEN:
            if wire is None or not wire.RESET:
                raise HandleTypeError("Only a TCP socket can be reset")
            wire.reset_on_close()
            return self.destroy()
        if self._life == CONNECTING:
            rare = self._need_rare()
            if rare.connector is None:
                return self.destroy()
            if isinstance(rare.connector.target, PathTarget):
                raise HandleTypeError("Only a TCP socket can be reset")
            rare.reset = True
            return self
        return self.destroy(SocketClosedError())


class Rehearsal(Socket):
    """A socket whose ``connect()`` only checks its arguments."""

    __slots__ = ()

    def _connect(self, *goal: Any) -> None:
        """Do nothing: every argument is right."""


class HandleRehearsal(Rehearsal):
    """The same for a socket that is to be given its descriptor."""

    __slots__ = ()

    def _has_handle(self) -> bool:
        return True


# -- arguments --------------------------------------------------------------------------------


def _wire_of(fd: Any, handle: Any) -> Transport | None:
    """The wire for the ``fd`` or ``handle`` of a new socket."""
    if handle is not None:
        if fd is not None:
            raise type_error("give fd or handle, not both")
        if isinstance(handle, BoundSocket):
            return handle.to_connect()
        if isinstance(handle, Transport):
            return handle
        fd = _descriptor_of(handle)
        if fd < 0:
            raise arguments.wrong_value("handle", handle, "open")
        wire = wire_of_fd(fd)
        handle.detach()
        return wire
    if fd is None:
        return None
    return wire_of_fd(arguments.integer("fd", fd, 0, 2**31 - 1))


def _descriptor_of(handle: Any) -> int:
    """The descriptor of a Python socket."""
    refuse_tls("handle", handle)
    # detach() of a file gives another file, which would close the descriptor.
    methods = (getattr(handle, name, None) for name in ("fileno", "detach"))
    if isinstance(handle, (type, io.IOBase)) or not all(map(callable, methods)):
        raise arguments.wrong_kind("handle", handle, "a socket")
    return int(handle.fileno())


def _check_unbound(wire: Transport) -> None:
    """Refuse another local address where there is one."""
    name = wire.local_name()
    if isinstance(name, tuple) and name[1]:
        raise type_error(
            'The "local_address" and "local_port" arguments are for a socket that is not bound yet'
        )
