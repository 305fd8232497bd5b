"""Server: listens, accepts, and gives each connection to its listener.

From Node's ``net``, *Class: net.Server*.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import AsyncResult
from greenlet import getcurrent

from .._core import watchdog
from .._core.acceptor import Acceptor
from .._core.dispatcher import dispatcher
from .._core.emitter import EventEmitter, Listener
from .._core.reception import Reception
from .._core.runners import Runners
from .._core.writing import HIGH_WATER_BYTES
from .._loop.abort_signal import Signal
from .._loop.paced_wire import checked_byte_rate
from .._loop.signals import signals_heard
from .._loop.timers import Deadline
from .._socket.socket import Socket
from .._transport.protocol import Transport
from .._transport.tcp_options import address_info, common_address
from .._values import arguments
from .._values.addresses import AddressInfo
from .._values.durations import watchers
from .._values.prefix import checked_prefix
from .._values.publish import publish
from .._values.report import guarded
from .._values.suggestions import suggesting
from .._values.token_buckets import SharedRate, checked_rate
from ..errors import (
    AlreadyListeningError,
    NotRunningError,
    coded,
    late_import,
    type_error,
    wait_timeout,
)
from . import bind
from .accepted import Accepted, Arrivals
from .counted import Counted
from .dropped import DropInfo
from .ending import Ending
from .entrance import Entrance, Entrant, Stage
from .limits import Blocked, PerAddress, Rates, Room
from .listen_request import ListenRequest
from .options import ListeningOptions, ServerOptions
from .pacing import Pacing

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._core.block_list import BlockList

    # Its events, each with the arguments of its listeners.
    from .server_events import ServerBase
    from .tls_gate import TLSGate
else:
    ServerBase = Counted

__all__ = ["DropInfo", "Server"]


class Server(ServerBase):
    """A TCP or Unix-domain server.

    Emits ``connection(socket)``, ``listening()``, ``close()``, ``error(exc)``, ``drop(info)`` with
    a :class:`DropInfo`, and ``tls_client_error(exc, info)``.

    :param connection_listener: added as a listener of ``'connection'``.
    :param allow_half_open: keep the writable side of its sockets open when the peer has ended;
        default ``False``.
    :param pause_on_connect: pause its sockets: nothing is read before ``resume()``; default
        ``False``.
    :param no_delay: whether its sockets begin with :meth:`Socket.set_no_delay`; default
        ``False``.
    :param keep_alive: whether its sockets begin with :meth:`Socket.set_keep_alive`, with ten
        probes a second apart, as in Node; default ``False``.
    :param keep_alive_initial_delay: the delay for that, in seconds.
    :param high_water_mark: that of its sockets, in bytes; default 65,536.
    :param block_list: a :class:`~gnet.BlockList` of peers to drop.
    :param max_connections: the maximum of open connections; see :attr:`max_connections`.
    :param when_full: what happens to further connections: ``"drop"``, the default, closes
        them; ``"wait"`` leaves them in the kernel's queue until there is room.
    :param max_connections_per_address: the maximum of open connections from one IP address;
        further ones are dropped. ``None``, the default, for no limit.
    :param max_connection_rate: the maximum of new connections a second; further ones are
        dropped. After a quiet second as many may come at once, and always one. ``None``, the
        default, for no limit.
    :param max_connection_rate_per_address: the same for each IP address; or a
        :class:`gnet.shared.RedisRate`, which servers of several processes share.
    :param rate: the maximum of bytes that each connection sends in a second, and also the maximum
        that it receives; as for :class:`Socket`. ``None``, the default, for no limit.
    :param per_address_prefix: how many bits of an IPv4 and of an IPv6 address count as one
        address for the two limits per address; default ``(32, 64)``, since a client with one
        IPv6 address usually has all of a ``/64``.
    :param end_on_return: each connection has a :class:`gevent.Greenlet` of its own for its
        listener; it is closed when the listener returns, and destroyed when it raises.
    :param write_limit: that of its sockets; this and the next four as for :class:`Socket`.
    :param when_over: that of its sockets.
    :param first_byte_timeout: that of its sockets, in seconds.
    :param write_timeout: that of its sockets, in seconds.
    :param lifetime: that of its sockets, in seconds.
    :param proxy_protocol: ``"require"`` or ``"optional"``: connections begin with a header of
        the PROXY protocol, version 1 or 2, that names the client. ``remote_address`` is then
        the client's, and block list and limits concern the client. A connection is closed when
        its header is malformed, too long, too slow, or from a peer that is not trusted.
    :param trusted_proxies: a :class:`~gnet.BlockList` of the proxies to believe.
    :param tls: speak TLS: an :class:`ssl.SSLContext`, a :class:`gnet.tls.Certificates`, or a pair
        of files ``(certfile, keyfile)``. ``'connection'`` is emitted when the handshake is done,
        and ``'tls_client_error'`` when it fails.
    :param handshake_timeout: how long a handshake may take, in seconds; default 10. ``None`` for
        no limit.
    :param max_handshakes: the maximum of handshakes that go on at once; further ones wait.
        ``None``, the default, for no limit.
    :param sni_callback: called with the name that a client asks for, in lower case and in the
        form of IDNA, or with ``None``; it gives the :class:`ssl.SSLContext` for that client, or
        ``None`` for the server's own. It runs in a greenlet, and may block.
    :param tls_strict: whether a connection that ends without TLS' own end has failed with an
        :class:`ssl.SSLEOFError`; default ``False``: it has ended, and is ``truncated``.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    :raises OSError: a file of ``tls`` cannot be read.
    """

    __slots__ = (
        "_acceptor",
        "_arrivals",
        "_binding",
        "_blocked",
        "_bound",
        "_drop_max_connection",
        "_end_on_return",
        "_ending",
        "_last_grace",
        "_log",
        "_offer",
        "_reception",
        "_room",
        "_signal",
        "allow_half_open",
        "high_water_mark",
        "keep_alive",
        "keep_alive_initial_delay",
        "limits",
        "no_delay",
        "pause_on_connect",
    )  # fmt: skip

    @suggesting("Server()", ServerOptions)
    def __init__(
        self,
        connection_listener: Listener | None = None,
        *,
        allow_half_open: bool = False,
        pause_on_connect: bool = False,
        no_delay: bool = False,
        keep_alive: bool = False,
        keep_alive_initial_delay: float = 0,
        high_water_mark: int = HIGH_WATER_BYTES,
        block_list: BlockList | None = None,
        end_on_return: bool = False,
        max_connections: int | None = None,
        when_full: str = "drop",
        max_connections_per_address: int | None = None,
        max_connection_rate: float | None = None,
        max_connection_rate_per_address: float | SharedRate | None = None,
        rate: float | None = None,
        per_address_prefix: tuple[int, int] = (32, 64),
        write_limit: int | None = None,
        when_over: str = "destroy",
        first_byte_timeout: float | None = None,
        write_timeout: float | None = None,
        lifetime: float | None = None,
        proxy_protocol: str | None = None,
        trusted_proxies: BlockList | None = None,
        tls: Any = None,
        handshake_timeout: float | None = 10.0,
        max_handshakes: int | None = None,
        sni_callback: Callable[[str | None], Any] | None = None,
        tls_strict: bool = False,
    ) -> None:
        super().__init__(dispatcher())
        flag = arguments.flag
        self.allow_half_open: bool = flag("allow_half_open", allow_half_open)
        self.pause_on_connect: bool = flag("pause_on_connect", pause_on_connect)
        self.no_delay: bool = flag("no_delay", no_delay)
        self.keep_alive: bool = flag("keep_alive", keep_alive)
        self.keep_alive_initial_delay: float = arguments.keep_alive_delay(
            "keep_alive_initial_delay", keep_alive_initial_delay
        )
        self.high_water_mark: int = arguments.integer("high_water_mark", high_water_mark, 0, 2**62)
        self._room = Room(max_connections, when_full)
        prefix = checked_prefix("per_address_prefix", per_address_prefix)
        per_address = PerAddress(max_connections_per_address, prefix)
        self._blocked = Blocked(block_list)
        rates = Rates(
            checked_rate("max_connection_rate", max_connection_rate),
            max_connection_rate_per_address
            if isinstance(max_connection_rate_per_address, SharedRate)
            else checked_rate("max_connection_rate_per_address", max_connection_rate_per_address),
            prefix,
        )
        #: What a peer may cost, for its sockets.
        self.limits: watchdog.Limits | None = watchdog.limits(
            write_limit, when_over, first_byte_timeout, write_timeout, lifetime
        )
        self._end_on_return = flag("end_on_return", end_on_return)
        arguments.optional_function("connection_listener", connection_listener)
        # Ahead of a header who comes does not matter, and a client that never says so must not
        # cost anything; behind it the limit may have become another one.
        gate: list[Stage] = []
        if proxy_protocol is not None:
            # As of TLS: few servers have it.
            with late_import():
                from .proxy_gate import ProxyGate

            gate = [self._room, ProxyGate(proxy_protocol, trusted_proxies)]
        strict = flag("tls_strict", tls_strict)
        self._tls_gate = self._gate(tls, sni_callback, handshake_timeout, max_handshakes, strict)
        pacing = Pacing(checked_byte_rate("rate", rate))
        encryption = [] if self._tls_gate is None else [self._tls_gate]
        self._entrance = Entrance(self._loop, self._entered, self._dropped)
        self._entrance.arrange(
            [*gate, self._room, self._blocked, per_address, rates, pacing, *encryption]
        )
        self._arrivals = Arrivals()
        self._bound: bind.Bound | None = None
        self._acceptor: Acceptor | None = None
        self._drop_max_connection = False
        self._binding: object | None = None
        self._signal: Signal | None = None
        self._offer: Any = None
        self._runners = Runners(self._entrance.connections)
        self._reception = Reception(
            self,
            Socket,
            self._entrance,
            self._ledger,
            self._runners,
            self._await_claim,
            self._end_on_return,
            self._tls_gate is not None,
        )
        self._ending = Ending(self._entrance.connections)
        self._last_grace: Deadline | None = None
        if connection_listener is not None:
            self.on("connection", connection_listener)

    def _gate(
        self,
        tls: Any,
        sni_callback: Any,
        timeout: float | None,
        most: int | None,
        strict: bool,
    ) -> TLSGate | None:
        """What shakes hands with the clients; ``None`` without TLS."""
        if tls is None:
            if sni_callback is not None:
                raise type_error('The "sni_callback" argument needs the option tls=')
            return None
        # Not with gnet, whose import it would double.
        with late_import():
            from .tls_gate import TLSGate

        return TLSGate(tls, sni_callback, timeout, most, strict, self._handshake_failed)

    def set_secure_context(self, tls: Any) -> None:
        """Use other certificates, from the next handshake on. Open connections go on.

        From Node's ``server.setSecureContext()``.

        :param tls: as for the option of that name.
        :raises TypeError: the argument is of the wrong kind.
        :raises ValueError: it has a wrong value.
        :raises OSError: a file cannot be read.
        :raises RuntimeError: the server speaks no TLS.
        """
        self._check_thread()
        if self._tls_gate is None:
            raise coded(
                RuntimeError("a server without the option tls= has no secure context"),
                "ERR_TLS_INVALID_CONTEXT",
            )
        self._tls_gate.use(tls)

    def _is_over(self) -> bool:
        return not self.listening

    def _in_use(self) -> bool:
        if getattr(self, "_entrance", None) is None:
            return False
        return self._bound is not None or self._binding is not None or bool(self.connections)

    # -- listening ----------------------------------------------------------------------------

    @suggesting("Server.listen()", ListeningOptions)
    def listen(
        self,
        target: Any = None,
        host: Any = None,
        backlog: Any = None,
        listening_listener: Listener | None = None,
        *,
        port: Any = None,
        path: Any = None,
        fd: int | None = None,
        exclusive: bool = False,
        ipv6_only: bool = False,
        reuse_port: bool = False,
        readable_all: bool = False,
        writable_all: bool = False,
        replace_stale: bool = False,
        options: Sequence[tuple[int, int, int | bytes]] | None = None,
        control: Callable[[int], object] | None = None,
        mptcp: bool = False,
        signal: Any = None,
    ) -> Self:
        """Bind and listen; ``'listening'`` is emitted in the next turn of the loop.

        From Node's ``server.listen()``.

        :param target: a port (``0``, the default, for any free one), a path, a ``(host, port)``
            tuple; a bound socket, another :class:`Server`, or an object with ``fd`` or
            ``fileno()``.
        :param host: the address to bind; default: ``::`` for IPv6 and IPv4, or ``0.0.0.0``.
        :param backlog: how many connections may wait to be accepted; default 511.
        :param listening_listener: added as a listener of ``'listening'``, once.
        :param port: the port, by keyword.
        :param path: the path of a Unix socket, by keyword; ignored beside a port.
        :param fd: the descriptor of a bound socket; the server closes it in the end.
        :param exclusive: do not share the handle with a cluster's other workers.
        :param ipv6_only: bind ``::`` for IPv6 alone.
        :param reuse_port: let other sockets bind the port, too (``SO_REUSEPORT``).
        :param readable_all: make the Unix socket readable for all users.
        :param writable_all: make the Unix socket writable for all users.
        :param replace_stale: take a path over whose file is left from a dead process.
        :param options: what ``setsockopt()`` sets before the socket is bound: a list of ``(level,
            name, value)``. Like the next two it is for a socket that is opened here, which a
            cluster's worker then has for itself.
        :param control: called with the descriptor after that; what it raises is passed on.
        :param mptcp: take Multipath TCP as well as TCP; plain TCP where the system has none.
        :param signal: anything of gevent's with ``rawlink``; when it becomes ready the server
            is closed.
        :returns: the server.
        :raises AlreadyListeningError: the server listens already.
        :raises OSError: the address cannot be bound, and ``'error'`` has no listener.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: an argument has a wrong value.
        """
        self._check_thread()
        if self._loop.gone:
            # It listens in another thread than it did before.
            self._loop = dispatcher()
        request = ListenRequest.parse(
            target, host, backlog, listening_listener,
            port=port, path=path, fd=fd, exclusive=exclusive, ipv6_only=ipv6_only,
            reuse_port=reuse_port, readable_all=readable_all, writable_all=writable_all,
            replace_stale=replace_stale, options=options, control=control, mptcp=mptcp,
        )  # fmt: skip
        if self._bound is not None or self._binding is not None:
            raise AlreadyListeningError()
        self._signal = Signal(signal, self.close) if signal is not None else None
        try:
            bound = self._open(request)
        except OSError as exc:
            if "error" not in self._listeners:
                raise
            self._loop.defer(partial(self._emit_error, exc))
            return self
        if bound is not None:
            if request.place.listener is not None:
                self.once("listening", request.place.listener)
            self._arrivals.most = max(1, request.options.backlog)
            self._start(bound)
            if bound.share is not None:
                bound.share.listening()
            request.opened()
        return self

    def _open(self, request: ListenRequest) -> bind.Bound | None:
        """Open what ``listen()`` was asked for; ``None``: ``close()`` was called meanwhile."""
        # While a name is looked up, close() may be called: it takes the token away.
        binding = self._binding = object()
        try:
            bound = request.open(self)
        except BaseException:
            if self._binding is binding:
                self._binding = None
                self._forget_signal()
            raise
        if self._binding is binding:
            self._binding = None
            return bound
        bound.close()
        return None

    def _duplicate_bound(self) -> bind.Bound:
        """What another server gets that shares the handle."""
        if self._bound is None:
            raise type_error("the server to share with does not listen", "ERR_INVALID_ARG_VALUE")
        return bind.Bound(bind.duplicate(self._bound.wire), no_delay=self._bound.no_delay)

    def _forget_signal(self) -> None:
        if self._signal is not None:
            self._signal.unlink()
            self._signal = None

    def _start(self, bound: bind.Bound) -> None:
        # Not with gnet, whose import it would double; and not when the line is to be written,
        # as no descriptor is left then to read the module with.
        import logging

        self._log = logging.getLogger("gnet")
        self._bound = bound
        self._ending.begin()
        self._entrance.loop = self._loop
        waits = bound.share is not None or self._room.waits
        full = self._leaves_waiting if waits else None
        self._acceptor = Acceptor(
            self._loop,
            bound.wire,
            self._way_in(),
            self._accept_failed,
            self._exhausted,
            full,
            bound.share is not None,
        )
        self._reception.local = common_address(bound.wire.local_name())
        self._reception.inherited = bound.no_delay
        self._begin_counting()
        self._loop.kept.add(self)
        self._update_hold()
        publish(self._loop.defer, "ServerListening", self, self.address())
        self._loop.defer(partial(self._emit_listening, bound))

    def _emit_listening(self, bound: bind.Bound) -> None:
        if self._bound is bound:
            self._deliver("listening")

    @property
    def listening(self) -> bool:
        """Whether the server listens: from ``listen()`` to ``close()``."""
        return self._bound is not None

    def address(self) -> AddressInfo | str | None:
        """The bound address: an :class:`~gnet.AddressInfo`, a path, or ``None``.

        It is there as soon as ``listen()`` has returned, and until ``close()``.
        """
        if self._bound is None:
            return None
        return address_info(self._bound.wire.local_name())

    @property
    def port(self) -> int | None:
        """The bound port; ``None`` for a path, and where the server does not listen."""
        address = self.address()
        return address.port if isinstance(address, AddressInfo) else None

    # -- accepting ----------------------------------------------------------------------------

    def _way_in(self) -> Callable[[Transport, Any], object]:
        """What is called, in the hub, with a connection that was accepted."""
        return self._reception.arrive

    def _entered(self, entrant: Entrant) -> None:
        """Every stage of the entrance has let a connection pass."""
        local = self._reception.local if entrant.local is None else entrant.local
        sock = self._reception.take_in(entrant.wire, local, entrant.remote)
        if entrant.proxy is not None:
            sock._need_rare().proxy = entrant.proxy

    def _await_claim(self, sock: Socket) -> None:
        """A connection has come, and no listener is there for it, so far."""
        self._arrivals.add(sock)
        if self._acceptor is not None:
            self._acceptor.ask(self._leaves_waiting)
        self._loop.defer(partial(self._offer_arrival, sock))

    def _first_listener(self, event: str) -> None:
        if event == "connection":
            # It gets those that wait in the kernel, where nobody has taken the others.
            self._take_again()

    def _offer_arrival(self, sock: Socket) -> None:
        """In a borrowed greenlet: give it to the listeners, or to who iterates."""
        if "connection" not in self._listeners:
            self._arrivals.tell()
        elif self._arrivals.discard(sock):
            self._take_again()
            self._runners.run(sock, self.emit)

    def __iter__(self) -> Iterator[Socket]:
        """The connections, one after another, in blocking style: ``for sock in server``.

        Connections that are accepted before the program asks for them wait unread, at most
        ``backlog`` of them; further ones wait in the kernel. The iteration ends when the server
        stops listening. The program has to close each socket.

        :raises RuntimeError: the server has never listened, has a listener of ``'connection'``,
            or ``end_on_return``.
        """
        if not self._ending.period:
            raise coded(
                RuntimeError("a server has connections to iterate over when it listens"),
                "ERR_SERVER_NOT_RUNNING",
            )
        if self._end_on_return:
            raise coded(
                RuntimeError("with end_on_return the connections are the listener's"),
                "ERR_SERVER_HAS_LISTENER",
            )
        return Accepted(self, self._arrivals, self._take_again)

    def _dropped(self, info: DropInfo) -> None:
        """A connection has not come in, and is closed."""
        self._report_drop(info)
        self._take_again()
        self._close_if_drained()

    def _handshake_failed(self, error: BaseException, info: DropInfo) -> None:
        """In the hub: a client is not let in, as the handshake with it has failed."""
        self._ledger.fail_handshake()
        self._loop.defer(partial(self._deliver, "tls_client_error", error, info))
        publish(self._loop.defer, "HandshakeFailed", None, error, self, info)

    def _report_drop(self, info: DropInfo) -> None:
        self._ledger.refuse(info.reason)
        self._loop.defer(partial(self._deliver, "drop", info))
        publish(self._loop.defer, "ConnectionDropped", self, info.reason, info)

    def _exhausted(self, error: OSError) -> None:
        """In the hub: no descriptor is left for another connection."""
        text = os.strerror(error.errno or 0)
        # A handler of the log may block.
        log = partial(self._log.warning, "%r leaves connections waiting: %s", self, text)
        self._loop.defer(log)
        self._report_drop(DropInfo(reason="emfile"))

    def _leaves_waiting(self) -> bool:
        """Whether the next connection waits for room, or for a cluster's other worker."""
        if self._arrivals.is_full and "connection" not in self._listeners:
            return True
        waits = (self._bound is not None and self._bound.share is not None) or self._room.waits
        if not waits or (self._drop_max_connection and not self._room.waits):
            return False
        return self._room.is_full(self._entrance.present)

    def _take_again(self) -> None:
        """There may be room again for what was left waiting."""
        if self._acceptor is not None:
            self._acceptor.resume()

    # -- events -------------------------------------------------------------------------------

    def _deliver(self, event: str, *args: Any) -> None:
        guarded(self._loop.hub, self, self.emit, event, *args)

    def _accept_failed(self, error: OSError) -> None:
        self._loop.defer(partial(self._emit_error, error))

    def _emit_error(self, error: BaseException) -> None:
        # Without a listener emit() raises it, and the hub reports it.
        self._deliver("error", error)

    # Its types, one for each event, are those of its base.
    if not TYPE_CHECKING:

        def wait(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
            self._check_thread()
            if event == "listening" and self.listening:
                return ()
            if event == "close":
                self._await_close(arguments.limit("timeout", timeout))
                return ()
            return super().wait(event, timeout)

        wait.__doc__ = EventEmitter.wait.__doc__

    def _await_close(self, limit: float | None) -> None:
        """Block until the ``'close'`` of this time of listening, or of a later one."""
        period = self._ending.period
        left, deadline = limit, None if limit is None else monotonic() + limit
        while self._ending.closed_period < period:
            mine = self._runners.connection_of(getcurrent())
            if mine is not None and mine._is_handlers() and not mine.destroyed:
                raise coded(
                    RuntimeError(
                        "a server does not close before this connection listener has returned"
                    ),
                    "ERR_SERVER_WAITS_FOR_ITSELF",
                )
            # That of a former time may still be on its way.
            try:
                super().wait("close", left)
            except TimeoutError:
                raise wait_timeout("close", limit) from None
            left = None if deadline is None else max(0.0, deadline - monotonic())

    def _endings(self, event: str, waiter: AsyncResult[Any]) -> dict[str, Listener]:
        endings = super()._endings(event, waiter)
        if event == "close":
            # One failed accept does not close a server.
            del endings["error"]
        return endings

    # -- connections --------------------------------------------------------------------------

    @property
    def connections(self) -> frozenset[Socket]:
        """The open connections."""
        return frozenset(self._entrance.connections)

    @property
    def max_connections(self) -> int | None:
        """The maximum of open connections; ``None``: no limit; ``0``: every one is dropped."""
        return self._room.most

    @max_connections.setter
    def max_connections(self, value: int | None) -> None:
        self._check_thread()
        self._room.most = value
        self._entrance.update()
        self._take_again()

    @property
    def drop_max_connection(self) -> bool:
        """Whether a cluster's worker closes connections beyond :attr:`max_connections`.

        Otherwise it leaves them to another worker. From Node's ``server.dropMaxConnection``.
        """
        return self._drop_max_connection

    @drop_max_connection.setter
    def drop_max_connection(self, value: bool) -> None:
        self._check_thread()
        self._drop_max_connection = arguments.flag("drop_max_connection", value)
        self._take_again()

    @property
    def block_list(self) -> BlockList | None:
        """The list of peers whose connections are dropped, or ``None``."""
        return self._blocked.block_list

    def _count_connections(self) -> int:
        share = self._bound.share if self._bound is not None else None
        return len(self._entrance.connections) if share is None else share.count_connections()

    def _run_callback(self, callback: Callable[..., object], *args: Any) -> None:
        guarded(self._loop.hub, self, callback, *args)

    def _keep(self, sock: Socket, keep: bool) -> None:
        """Refer to a connection, or leave that to the program."""
        self._entrance.connections.keep(sock, keep)

    def _connection_unused(self, sock: Socket) -> None:
        """Nothing refers to a connection any more. May be called anywhere, from any thread."""
        self._entrance.connections.take_back(sock)

    def _connection_closed(self, sock: Socket) -> None:
        """A connection has emitted its ``'close'``, or is about to."""
        if watchers:
            self._tell_duration(sock)
        entrance = self._entrance
        if entrance.connections.remove(sock) and entrance.stages:
            entrance.release(sock._remote)
        if self._arrivals.sockets:
            self._arrivals.discard(sock)
        if self._acceptor is not None and self._acceptor.waiting:
            self._acceptor.resume()
        ending = self._ending
        if ending.drained is not None:
            ending.wake()
        if ending.closing:
            self._close_if_drained()

    # -- closing ------------------------------------------------------------------------------

    def close(self, callback: Callable[..., object] | None = None) -> Self:
        """Stop accepting; ``'close'`` is emitted when the last connection has closed.

        From Node's ``server.close()``.

        :param callback: called after ``'close'``, with ``None``; or with a
            :class:`~gnet.errors.NotRunningError` if the server was not open.
        :returns: the server.
        """
        self._check_thread()
        arguments.optional_function("callback", callback)
        running = self._bound is not None or self._binding is not None
        if callback is not None:
            error = None if running else NotRunningError()
            self.once("close", lambda: self._run_callback(callback, error))
        self._retire()
        return self

    def _retire(self) -> None:
        """Accept no more; the connections go on, and ``'close'`` follows the last of them."""
        self._stop()
        self._ending.closing = True
        self._close_if_drained()

    def _stop(self) -> None:
        """Listen no more, and close what has not come in yet."""
        self._stop_listening()
        self._entrance.close()

    def _silence(self) -> None:
        """Be closed, without an event: nobody is left to listen."""
        # Also if it listens no more: who has still to say who it is waits there.
        self._stop()
        self._ending.forget()
        self._runners.forget()
        self._last_grace = None
        self._arrivals.forget()
        self._settle_all()

    def _silence_in_child(self) -> None:
        """In a forked child: the same, and leave alone what is the parent's."""
        if self._bound is not None:
            # A worker has given nothing back when its child closes a copy.
            self._bound = self._bound._replace(share=None)
        self._silence()

    def _stop_listening(self) -> None:
        """Give the listening descriptor up."""
        bound, self._bound = self._bound, None
        self._binding = None
        self._forget_signal()
        if bound is None:
            return
        if self._acceptor is not None:
            self._acceptor.stop()
            self._acceptor = None
        self._withdraw_offer()
        self._arrivals.wake()
        bound.close()
        self._update_hold()

    def _close_if_drained(self) -> None:
        if self._ending.closing and not self._entrance.present:
            self._ending.closing = False
            self._loop.defer(partial(self._emit_close, self._ending.period))

    def _emit_close(self, period: int) -> None:
        self._ending.closed_period = period
        if self._last_grace is not None:
            self._last_grace.cancel()
            self._last_grace = None
        if self._bound is None and not self._ending.closing:
            self._loop.kept.discard(self)
        self._end_counting()
        publish(self._loop.defer, "ServerClosed", self)
        self._deliver("close")

    def serve_forever(self) -> None:
        """Block until the server has closed.

        :raises NotRunningError: the server does not listen.
        """
        self._check_thread()
        if self._bound is None and not self._ending.closing:
            raise NotRunningError()
        with signals_heard(self._loop.hub):
            self.wait("close")

    def wait_closed(self, timeout: float | None = None) -> None:
        """Block until the server has closed; return at once if it is.

        :param timeout: how long to wait at the most, in seconds; ``None`` for no limit.
        :raises TimeoutError: the time is over.
        """
        self._check_thread()
        arguments.limit("timeout", timeout)
        if self._is_open():
            self.wait("close", timeout)

    def _is_open(self) -> bool:
        """Whether it has listened, and the ``'close'`` of that is still to come."""
        return self._ending.is_ahead

    def shutdown(self, grace: float | None = None) -> int:
        """Stop accepting, end every connection, and destroy what is left after some time.

        A connection listener that owns its connection (``end_on_return``) reads an end, and may
        still answer. ``shutdown()`` may be called more than once, and from any greenlet. In the
        hub, in a signal handler for example, it does not wait. In a listener of one of the
        server's own connections it waits neither for that connection nor for others whose
        listeners are in ``shutdown()`` themselves; they are destroyed with the others when the
        time is over.

        :param grace: how long the connections have, in seconds; ``None`` for no limit. When it
            is over, :func:`gnet.run` does not wait for the listeners of destroyed connections.
        :returns: how many connections were destroyed.
        """
        self._check_thread()
        limit = arguments.limit("grace", grace)
        ending = self._ending
        if self._bound is not None or ending.closing:
            self._retire()
        elif self not in self._loop.kept:
            return 0
        if getcurrent() is self._loop.hub:
            gevent.spawn(self.shutdown, grace)
            return 0
        for sock in list(self._entrance.connections):
            self._finish_up(sock)
        mine = self._runners.connection_of(getcurrent())
        if mine is None:
            forced = self._force(ending.wait(limit))
            self.wait_closed()
            return forced
        began = monotonic()
        ending.leaving.add(mine)
        ending.wake()
        try:
            return self._force(ending.wait(limit, ending.leaving))
        finally:
            ending.leaving.discard(mine)
            if limit is not None:
                self._limit_rest(max(0.0, limit - (monotonic() - began)))

    def _limit_rest(self, seconds: float) -> None:
        """What a listener's shutdown has not waited for has no more time than the others."""
        if self._last_grace is not None:
            self._last_grace.cancel()
        self._last_grace = Deadline(self._loop.timers, seconds, self, "_force_rest")

    def _force_rest(self) -> None:
        """In the hub: that time is over."""
        self._force(set(self._entrance.connections))

    def _force(self, left: set[Socket]) -> int:
        """A shutdown's time is over: destroy what is left of the connections."""
        return self._runners.force(self._loop, left)

    def _finish_up(self, sock: Socket) -> None:
        """The server shuts down: have a connection come to its end."""
        sock._finish_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if self._bound is not None or self._ending.closing:
            self.close()
        self.wait_closed()

    # -- a successor --------------------------------------------------------------------------

    def hand_over(self, path: str | os.PathLike[str]) -> Self:
        """Let a successor take the listening descriptor over, and then close.

        The successor, another process of the same user, calls :func:`gnet.take_over` with the
        same path and listens on what that gives. No connection is refused meanwhile: the
        descriptor and its queue are the same. This server's own connections go on until they end.

        :param path: a path for a Unix socket, over which the descriptor is passed.
        :returns: the server.
        :raises NotRunningError: the server does not listen.
        :raises OSError: ``path`` cannot be bound; ``ENOTSUP`` on Windows.
        """
        self._check_thread()
        with late_import():
            from .handover import Offer  # with the channel it needs, for this alone

        name = arguments.path("path", path)
        if self._bound is None:
            raise NotRunningError()
        self._withdraw_offer()
        self._offer = Offer(self, name)
        return self

    def _withdraw_offer(self) -> None:
        offer, self._offer = self._offer, None
        if offer is not None:
            offer.close()

    def _handed_over(self) -> None:
        """The successor listens: the file of a Unix socket is its to remove now."""
        if self._bound is not None:
            self._bound = self._bound._replace(file=None)
            # What was accepted is served, also what has still to say who it is.
            self._stop_listening()
            self._ending.closing = True
            self._close_if_drained()

    # -- references ---------------------------------------------------------------------------

    def _holds(self) -> bool:
        return self._refed and self._bound is not None
