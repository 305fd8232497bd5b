"""What ``stats()`` of a socket, of a server and of ``gnet`` gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from .addresses import AddressInfo

__all__ = [
    "AGES",
    "ConnectStats",
    "LookupStats",
    "ProcessStats",
    "ServerStats",
    "SocketStats",
]

#: The ages by which a server's connections are counted: up to so many seconds, and any.
AGES = {
    "1s": 1.0,
    "10s": 10.0,
    "1m": 60.0,
    "10m": 600.0,
    "1h": 3600.0,
    "1d": 86400.0,
    "older": float("inf"),
}


@dataclass(frozen=True)
class SocketStats:
    """What is known of a connection. ``bytes_out + queued`` is ``bytes_written``.

    :ivar age: how long it has been there, in seconds; from the accept, or the call of
        ``connect()`` until the connection is made. Of one that has closed: how long it has lasted.
    :ivar peer: the address at the other end: an :class:`~gnet.AddressInfo`, or a path; of the
        client, where a proxy has told it.
    :ivar proxy: the address of the proxy that has told of the client, or ``None``.
    :ivar local: the address at this end.
    :ivar state: :attr:`~gnet.Socket.ready_state`.
    :ivar bytes_in: how many bytes were received.
    :ivar bytes_out: how many bytes the kernel has taken.
    :ivar queued: how many bytes were written beside these. When the connection has closed, they
        have not been sent.
    :ivar last_activity: how many seconds ago a byte came or went, to some milliseconds; the age
        where none has. Of one that has closed: how long before that.
    :ivar style: ``"event"`` or ``"blocking"``.
    :ivar timeouts: the time limits in force, by the name of their option, in seconds; ``timeout``
        is the idle timeout.
    :ivar tls_protocol: the version of TLS, for example ``"TLSv1.3"``; ``None`` without TLS.
    :ivar tls_cipher: the name of the cipher, or ``None``.
    :ivar waits_in: what a greenlet of the connection's is blocked in: ``"connect"``, ``"recv"``,
        ``"sendall"``, ``"write"``, ``"wait"``; or the function of the program's, as
        ``"module.function"``, in which a listener is blocked, which is known in the socket's own
        thread only, and is ``"listener"`` elsewhere; ``None``: it is in no call.
    """

    age: float
    peer: AddressInfo | str | None
    proxy: AddressInfo | str | None
    local: AddressInfo | str | None
    state: str
    bytes_in: int
    bytes_out: int
    queued: int
    last_activity: float
    style: str
    timeouts: dict[str, float]
    tls_protocol: str | None
    tls_cipher: str | None
    waits_in: str | None


@dataclass(frozen=True)
class ServerStats:
    """What is known of a server. What counts never falls, whatever closes.

    :ivar address: where it listens, or did last: what :meth:`~gnet.Server.address` gives.
    :ivar listening_since: since when it listens, by :func:`time.time`; ``None``: it does not.
    :ivar active: how many connections are open.
    :ivar entering: how many have come and are not let in yet: a PROXY header or a TLS handshake
        is still to come.
    :ivar accepted: how many were let in.
    :ivar refused: how many were not, by the ``reason`` of ``'drop'``.
    :ivar closed: how many of those that were let in have closed.
    :ivar bytes_in: what was received on all of its connections, those included that have closed.
    :ivar bytes_out: what the kernel has taken on all of them.
    :ivar queued: how many bytes are queued on those that are open.
    :ivar longest_queue: the most bytes that were ever queued on one connection.
    :ivar pauses: how often a connection was paused, by ``pause()`` or a ``pipe()``.
    :ivar handshakes: how many TLS handshakes were done.
    :ivar handshakes_active: how many connections are in one, from the accept on.
    :ivar handshakes_failed: how many have failed.
    :ivar ages: how many of the open connections are how old: up to ``"1s"``, ``"10s"``, ``"1m"``,
        ``"10m"``, ``"1h"``, ``"1d"``, and ``"older"``; each is counted once.
    """

    address: AddressInfo | str | None
    listening_since: float | None
    active: int
    entering: int
    accepted: int
    refused: dict[str, int]
    closed: int
    bytes_in: int
    bytes_out: int
    queued: int
    longest_queue: int
    pauses: int
    handshakes: int
    handshakes_active: int
    handshakes_failed: int
    ages: dict[str, int]


@dataclass(frozen=True)
class ConnectStats:
    """What is known of the connections that a program makes.

    :ivar tried: how many were to be made.
    :ivar made: how many were made.
    :ivar failed: how many were not, by the error's ``code``; ``"ERR_SOCKET_CLOSED"``: the program
        has destroyed the socket before.
    :ivar lost: how many attempts to connect to an address another one has overtaken.
    :ivar active: how many connections that the program has made, or taken over, are open, or still
        being made.
    """

    tried: int = 0
    made: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    active: int = 0


@dataclass(frozen=True)
class LookupStats:
    """What is known of the lookups of host names.

    :ivar asked: how many there were.
    :ivar cache_hits: how many questions a :class:`gnet.dns.Resolver` knew the answer to.
    :ivar failed: how many have failed.
    :ivar seconds: how long they have taken, all together.
    """

    asked: int = 0
    cache_hits: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class ProcessStats:
    """What is known of all servers and sockets of a process. What counts never falls.

    In the primary of a cluster the numbers are its own and those of the workers, added up; those
    of workers that have ended stay in what counts.

    :ivar servers: the servers that listen, or have connections; those of several workers at one
        address are one.
    :ivar servers_opened: how many times a server has listened.
    :ivar servers_closed: how many times a server has closed.
    :ivar active: how many connections the servers have.
    :ivar accepted: how many connections the servers have let in.
    :ivar refused: how many they have not, by the ``reason`` of ``'drop'``.
    :ivar closed: how many connections have closed, the servers' and others.
    :ivar bytes_in: what was received on all connections, those included that have closed.
    :ivar bytes_out: what the kernel has taken on all of them.
    :ivar queued: how many bytes are queued on those that are open.
    :ivar longest_queue: the most bytes that were ever queued on one connection.
    :ivar pauses: how often a connection was paused.
    :ivar handshakes: how many TLS handshakes were done.
    :ivar handshakes_active: how many connections of servers are in one.
    :ivar handshakes_failed: how many have failed.
    :ivar connects: the connections that the program makes.
    :ivar dns: the lookups.
    :ivar loop_lag: by how many seconds the loop was late, at the worst in about a second; it is
        measured for ten seconds after each look. ``None`` before the first measurement; of several
        threads the worst.
    :ivar greenlets_lent: how many greenlets run listeners.
    :ivar greenlets_idle: how many are kept for that.
    :ivar workers: what each worker has told of itself, within the last second, by the number of
        its process; empty where there is no cluster, and in a worker.
    """

    servers: tuple[ServerStats, ...]
    servers_opened: int
    servers_closed: int
    active: int
    accepted: int
    refused: dict[str, int]
    closed: int
    bytes_in: int
    bytes_out: int
    queued: int
    longest_queue: int
    pauses: int
    handshakes: int
    handshakes_active: int
    handshakes_failed: int
    connects: ConnectStats
    dns: LookupStats
    loop_lag: float | None
    greenlets_lent: int
    greenlets_idle: int
    workers: dict[int, ProcessStats] = field(default_factory=dict)
