"""What is measured: one table, for every library that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .._core.ledger import ThreadLedger, thread_ledgers
from .._server.counted import Counted
from .._values.addresses import AddressInfo
from .._values.durations import DURATION_BOUNDS, SHORT_BOUNDS, Histogram
from .._values.lookups import lookups_of_threads
from .._values.stats import ProcessStats, ServerStats
from .living import living
from .process import stats

__all__ = ["MEASURES", "Measure", "Point", "Snapshot", "labels_of"]

Labels = dict[str, str]


class Counts(NamedTuple):
    """A histogram at one moment.

    :ivar bounds: the upper bounds of the buckets but the last.
    :ivar counts: how often each was met.
    :ivar total: the sum of what was measured.
    """

    bounds: tuple[float, ...]
    counts: list[int]
    total: float


class Point(NamedTuple):
    """A value, and what it is of."""

    labels: Labels
    value: Any


class Snapshot:
    """Everything that is counted, at one moment.

    :ivar process: what is known of the process, and of a cluster's workers.
    :ivar servers: what is known of each server, and its labels.
    :ivar own: the servers of this process that are counted, each with its labels.
    """

    def __init__(self) -> None:
        self.process: ProcessStats = stats()
        self.servers: list[tuple[ServerStats, Labels]] = [
            (known, labels_of(known.address)) for known in self.process.servers
        ]
        found: list[Counted] = list(living().servers)
        self.own: list[tuple[Counted, Labels]] = [
            (server, labels_of(server._place)) for server in found
        ]
        self.ledgers: list[ThreadLedger] = thread_ledgers()


def labels_of(address: AddressInfo | str | None) -> Labels:
    """The labels of a server, by OpenTelemetry's conventions."""
    if isinstance(address, AddressInfo):
        return {
            "server.address": address.address,
            "server.port": str(address.port),
            "network.transport": "tcp",
            "network.type": (address.family or "").lower(),
        }
    return {
        "server.address": str(address or ""),
        "server.port": "",
        "network.transport": "unix",
        "network.type": "",
    }


class Measure(NamedTuple):
    """Something that is measured.

    :ivar name: its name in OpenTelemetry; Prometheus' is made of that and the unit.
    :ivar kind: ``"counter"``, ``"gauge"`` or ``"histogram"``.
    :ivar unit: by UCUM: ``"s"``, ``"By"``, ``"{connection}"``.
    :ivar labels: the names of its labels.
    :ivar text: what it is.
    :ivar read: gives the values.
    :ivar bounds: of a histogram's buckets.
    """

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    text: str
    read: Callable[[Snapshot], Iterable[Point]]
    bounds: tuple[float, ...] = ()

    def points(self, snapshot: Snapshot) -> list[Point]:
        """The values; those of servers at one address, an old and a new one, are added up."""
        merged: dict[tuple[str, ...], Point] = {}
        for point in self.read(snapshot):
            key = tuple(point.labels[name] for name in self.labels)
            before = merged.get(key)
            merged[key] = point if before is None else Point(
                point.labels, _added(before.value, point.value)
            )  # fmt: skip
        return list(merged.values())


def _added(one: Any, other: Any) -> Any:
    if not isinstance(one, Counts):
        return one + other
    counts = [a + b for a, b in zip(one.counts, other.counts)]
    return Counts(one.bounds, counts, one.total + other.total)


def _counts(histogram: Histogram) -> Counts:
    # In one step each, as others count meanwhile.
    return Counts(histogram.bounds, list(histogram.counts), histogram.seconds)


_SERVER = ("server.address", "server.port", "network.transport", "network.type")


def _of_servers(read: Callable[[ServerStats], int]) -> Callable[[Snapshot], Iterator[Point]]:
    def points(snapshot: Snapshot) -> Iterator[Point]:
        for known, labels in snapshot.servers:
            yield Point(labels, read(known))

    return points


def _refusals(snapshot: Snapshot) -> Iterator[Point]:
    for known, labels in snapshot.servers:
        for reason, count in known.refused.items():
            yield Point({**labels, "reason": reason}, count)


def _server_io(snapshot: Snapshot) -> Iterator[Point]:
    for known, labels in snapshot.servers:
        yield Point({**labels, "network.io.direction": "receive"}, known.bytes_in)
        yield Point({**labels, "network.io.direction": "transmit"}, known.bytes_out)


def _of_ledgers(name: str) -> Callable[[Snapshot], Iterator[Point]]:
    def points(snapshot: Snapshot) -> Iterator[Point]:
        for server, labels in snapshot.own:
            yield Point(labels, _counts(getattr(server._ledger, name)))

    return points


def _of_process(read: Callable[[ProcessStats], int | float]) -> Callable[[Snapshot], list[Point]]:
    return lambda snapshot: [Point({}, read(snapshot.process))]


def _io(snapshot: Snapshot) -> Iterator[Point]:
    yield Point({"network.io.direction": "receive"}, snapshot.process.bytes_in)
    yield Point({"network.io.direction": "transmit"}, snapshot.process.bytes_out)


def _failed_connects(snapshot: Snapshot) -> Iterator[Point]:
    for code, count in snapshot.process.connects.failed.items():
        yield Point({"error.type": code}, count)


def _connects(snapshot: Snapshot) -> Iterator[Point]:
    for ledger in snapshot.ledgers:
        for (result, family), taken in list(ledger.connect_seconds.items()):
            yield Point({"result": result, "network.type": family}, _counts(taken))


def _lookups(snapshot: Snapshot) -> Iterator[Point]:
    for each in lookups_of_threads():
        yield Point({}, _counts(each.lookup_seconds))


def _lag(snapshot: Snapshot) -> Iterator[Point]:
    if snapshot.process.loop_lag is not None:
        yield Point({}, snapshot.process.loop_lag)


def _greenlets(snapshot: Snapshot) -> Iterator[Point]:
    yield Point({"state": "lent"}, snapshot.process.greenlets_lent)
    yield Point({"state": "idle"}, snapshot.process.greenlets_idle)


#: All that is measured, in the order of the documentation.
MEASURES = (
    Measure("gnet.server.active_connections", "gauge", "{connection}", _SERVER,
        "Connections that are open", _of_servers(lambda server: server.active)),
    Measure("gnet.server.queued_connections", "gauge", "{connection}", _SERVER,
        "Connections that were accepted, and are not let in yet: a PROXY header or a TLS "
        "handshake is still to come", _of_servers(lambda server: server.entering)),
    Measure("gnet.server.accepted_connections", "counter", "{connection}", _SERVER,
        "Connections that were let in", _of_servers(lambda server: server.accepted)),
    Measure("gnet.server.rejected_connections", "counter", "{connection}", (*_SERVER, "reason"),
        "Connections that were not let in, by the reason of 'drop'", _refusals),
    Measure("gnet.server.connection.duration", "histogram", "s", _SERVER,
        "How long connections have lasted", _of_ledgers("durations"), DURATION_BOUNDS),
    Measure("gnet.server.network.io", "counter", "By", (*_SERVER, "network.io.direction"),
        "Bytes received from, and sent to, the server's peers", _server_io),
    Measure("gnet.server.write_queue.size", "gauge", "By", _SERVER,
        "Bytes that are queued because the peers do not take them",
        _of_servers(lambda server: server.queued)),
    Measure("gnet.server.write_queue.max", "gauge", "By", _SERVER,
        "The most bytes that were ever queued on one connection",
        _of_servers(lambda server: server.longest_queue)),
    Measure("gnet.server.pauses", "counter", "{pause}", _SERVER,
        "How often a connection was paused", _of_servers(lambda server: server.pauses)),
    Measure("gnet.server.active_tls_handshakes", "gauge", "{handshake}", _SERVER,
        "Connections in a TLS handshake, from the accept on",
        _of_servers(lambda server: server.handshakes_active)),
    Measure("gnet.server.failed_tls_handshakes", "counter", "{handshake}", _SERVER,
        "TLS handshakes that have failed", _of_servers(lambda server: server.handshakes_failed)),
    Measure("gnet.server.tls_handshake.duration", "histogram", "s", _SERVER,
        "How long TLS handshakes have taken", _of_ledgers("handshake_seconds"), SHORT_BOUNDS),
    Measure("gnet.client.open_connections", "gauge", "{connection}", (),
        "Connections that the program has made, or is making",
        _of_process(lambda process: process.connects.active)),
    Measure("gnet.client.connects", "counter", "{connect}", (),
        "Connections that were to be made", _of_process(lambda process: process.connects.tried)),
    Measure("gnet.client.failed_connects", "counter", "{connect}", ("error.type",),
        "Connections that could not be made, by the error's code", _failed_connects),
    Measure("gnet.client.lost_attempts", "counter", "{attempt}", (),
        "Attempts to connect to an address that another one has overtaken",
        _of_process(lambda process: process.connects.lost)),
    Measure("gnet.client.connect.duration", "histogram", "s", ("result", "network.type"),
        "How long connecting has taken, by its result and the address' family", _connects,
        SHORT_BOUNDS),
    Measure("dns.lookup.duration", "histogram", "s", (),
        "How long the lookups of host names have taken", _lookups, SHORT_BOUNDS),
    Measure("gnet.dns.failed_lookups", "counter", "{lookup}", (),
        "Lookups that have failed", _of_process(lambda process: process.dns.failed)),
    Measure("gnet.dns.cache_hits", "counter", "{question}", (),
        "Questions whose answer a Resolver knew",
        _of_process(lambda process: process.dns.cache_hits)),
    Measure("gnet.network.io", "counter", "By", ("network.io.direction",),
        "Bytes received and sent on all connections", _io),
    Measure("gnet.loop.lag", "gauge", "s", (),
        "By how much the loop was late, at the worst in a second", _lag),
    Measure("gnet.greenlets", "gauge", "{greenlet}", ("state",),
        "Greenlets that are lent to listeners, and kept for that", _greenlets),
)  # fmt: skip
