"""What a socket tells of itself: who is at its ends, what it is in, what it has counted."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core.states import CONNECTING, OPEN, SHUT
from .._transport import stream_socket, tcp_options, unix_path
from .._values.addresses import AddressInfo
from .._values.durations import record, watchers
from .._values.publish import publish
from ..errors import code_of, late_import
from .tls_calls import TLSCalls

if TYPE_CHECKING:
    from types import FrameType

    from .._values.stats import SocketStats

__all__ = ["Facts", "PeerCredentials"]

_NOT_THE_PROGRAMS = ("gevent", "gnet", "greenlet")


class PeerCredentials(NamedTuple):
    """The process at the other end of a Unix socket, as it was when it connected."""

    pid: int
    uid: int
    gid: int


class Facts(TLSCalls):
    """A socket that tells of itself."""

    __slots__ = ()

    # -- addresses ----------------------------------------------------------------------------

    def _local_info(self) -> AddressInfo | None:
        info = tcp_options.address_info(self._local_name())
        return info if isinstance(info, AddressInfo) else None

    def _remote_info(self) -> AddressInfo | None:
        info = tcp_options.address_info(self._remote_name())
        return info if isinstance(info, AddressInfo) else None

    @property
    def local_address(self) -> str | None:
        """The IP address at this end, or ``None``."""
        info = self._local_info()
        return info.address if info is not None else None

    @property
    def local_port(self) -> int | None:
        """The port at this end, or ``None``."""
        info = self._local_info()
        return info.port if info is not None else None

    @property
    def local_family(self) -> str | None:
        """``"IPv4"``, ``"IPv6"``, or ``None``."""
        info = self._local_info()
        return info.family if info is not None else None

    @property
    def remote_address(self) -> str | None:
        """The IP address at the peer's end, or ``None``."""
        info = self._remote_info()
        return info.address if info is not None else None

    @property
    def remote_port(self) -> int | None:
        """The port at the peer's end, or ``None``."""
        info = self._remote_info()
        return info.port if info is not None else None

    @property
    def remote_family(self) -> str | None:
        """``"IPv4"``, ``"IPv6"``, or ``None``."""
        info = self._remote_info()
        return info.family if info is not None else None

    def address(self) -> AddressInfo | str | None:
        """The local address: an :class:`~gnet.AddressInfo`, a path, or ``None``."""
        return tcp_options.address_info(self._local_name())

    @property
    def auto_select_family_attempted_addresses(self) -> list[str] | None:
        """The addresses that the race has tried, as ``host:port``; ``None`` without a race."""
        attempted: list[str] | None = self._rare.attempted if self._rare is not None else None
        return attempted

    @property
    def peer_credentials(self) -> PeerCredentials | None:
        """The process, user and group at the other end of a Unix socket.

        ``None`` for other sockets, and where the system does not tell.
        """
        found = unix_path.peer_credentials(self._wire) if self._wire is not None else None
        return None if found is None else PeerCredentials(*found)

    @property
    def ready_state(self) -> str:
        """``"opening"``, ``"open"``, ``"read_only"``, ``"write_only"`` or ``"closed"``.

        A socket that is neither connected nor connecting is ``"closed"``.
        """
        if self._life == CONNECTING:
            return "opening"
        if self._life != OPEN:
            return "closed"
        if self.readable:
            return "open" if self.writable else "read_only"
        return "write_only" if self.writable else "closed"

    # -- what it has counted ------------------------------------------------------------------

    def stats(self) -> SocketStats:
        """What is known of the connection; may be called from any thread.

        :returns: a frozen dataclass. Its numbers are those of one moment, and are the
            connection's own: ``connect()`` begins them anew.
        """
        with late_import():
            from .._values.stats import SocketStats

        now = monotonic()
        life = self._life
        over = self._ended if life >= SHUT else now
        begun = self._begun or over
        out = self._outbox
        queued = self._unsent if out is None else out.size
        rare = self._rare
        cipher = self.cipher() if life == OPEN else None
        return SocketStats(
            age=max(0.0, over - begun),
            peer=tcp_options.address_info(self._remote_name()),
            proxy=None if rare is None else tcp_options.address_info(rare.proxy),
            local=self.address(),
            state=self.ready_state,
            bytes_in=self.bytes_read,
            bytes_out=self._written - queued,
            queued=queued,
            last_activity=max(0.0, over - max(self._active, begun)),
            style="blocking" if self._is_blocking() else "event",
            timeouts=self._timeouts(),
            tls_protocol=self.version() if life == OPEN else None,
            tls_cipher=None if cipher is None else cipher[0],
            waits_in=self._waits_in(),
        )

    def _timeouts(self) -> dict[str, float]:
        """The time limits in force."""
        found = {} if self._watchdog is None else self._watchdog.in_force()
        if self._timeout and self._life < SHUT:
            found["timeout"] = self._timeout
        return found

    def _waits_in(self) -> str | None:
        """What a greenlet of the connection's is blocked in."""
        if self._reader is not None:
            return "recv"
        if self._blocked:
            return self._blocked_in()
        if self._waits:
            return "wait"
        return self._listener_waits_in()

    def _blocked_in(self) -> str:
        if self._life == CONNECTING:
            return "connect"
        out = self._outbox
        if out is not None and out.awaited:
            return "sendall"
        if self._watchdog is not None and self._watchdog.turns:
            return "write"
        return "wait"

    def _listener_waits_in(self) -> str | None:
        greenlet = self._greenlet()
        if greenlet is None:
            return None
        if self._loop.thread != stream_socket.this_thread():
            # It may go on meanwhile, and its frames be gone.
            return "listener"
        return _function_of(greenlet.gr_frame) or "listener"

    def _greenlet(self) -> Any:
        """The greenlet that is the connection's, or is blocked in a listener of it, if any."""
        if self._reader is not None:
            return self._reader
        if self._serving is not None:
            return self._serving
        handler = self._loop.handler_of(self)
        if handler is None and self.server is not None:
            return self.server._runner_of(self)
        return handler

    def _brief(self, now: float) -> tuple[Any, ...]:
        """What is told of each of very many: :meth:`stats` takes three times as long.

        :param now: the time, by :func:`time.monotonic`.
        :returns: age, the system's addresses of the peer, the proxy and this end, state, style,
            bytes in, out and queued, what it waits in, and :meth:`_asked_for`.
        """
        out = self._outbox
        queued = self._unsent if out is None else out.size
        rare = self._rare
        return (
            now - (self._begun or now),
            self._remote_name(),
            None if rare is None else rare.proxy,
            self._local_name(),
            self.ready_state,
            "blocking" if self._is_blocking() else "event",
            self.bytes_read,
            self._written - queued,
            queued,
            self._waits_in(),
            self._asked_for(),
        )

    def _asked_for(self) -> str | None:
        """The name that a client has asked for by TLS, or the host that was connected to."""
        if self.server is not None:
            return self.servername if self.encrypted else None
        rare = self._rare
        if rare is None:
            return None
        host: str | None = rare.host if rare.connector is None else rare.connector.host
        return host

    # -- what is counted ----------------------------------------------------------------------

    def _begins(self) -> None:
        """There is a connection, or one is about to be made, that no server has accepted."""
        self._loop.others.add(self)
        self._begun = monotonic()

    def _count_connect(self, family: str, result: str) -> None:
        """A connection is made, or cannot be.

        :param family: that of the address, or of the last one that was tried.
        :param result: ``"ok"``, or the error's code.
        """
        now = monotonic()
        seconds, self._begun = now - self._begun, now
        self._loop.ledger.connected(result, family, seconds)
        if watchers:
            self._loop.defer(partial(record, "connect", seconds, result=result, family=family))

    def _publish_failed(self) -> None:
        connector = None if self._rare is None else self._rare.connector
        error = self._error
        # Without an error the program has destroyed it.
        result = "ERR_SOCKET_CLOSED" if error is None else code_of(error)
        self._count_connect("" if connector is None else connector.family, result)
        publish(self._loop.defer, "ConnectionFailed", self, error)


def _function_of(frame: FrameType | None) -> str | None:
    """The function of the program's that a greenlet is in."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _NOT_THE_PROGRAMS:
            code = frame.f_code
            return f"{module}.{getattr(code, 'co_qualname', code.co_name)}"
        frame = frame.f_back
    return None
