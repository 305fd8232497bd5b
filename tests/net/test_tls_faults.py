"""TLS through a proxy that does harm: what arrives is right, and each failure is told once."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from random import Random
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet.errors import DeadlineError, code_of
from tests.helpers.authority import client_context, server_context
from tests.helpers.faults import (
    FAULTS,
    LOSSY,
    Chosen,
    Fault,
    FaultProxy,
    reset,
    single_bytes,
    stall,
)
from tests.helpers.servers import place_at, serving
from tests.net.test_faults import HERE, PAIRS, check_tls, check_whole, exchange

VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
WAYS = ("up", "down", "both", "both")


def chosen(way: str, *faults: Fault) -> Chosen:
    """Faults of one direction, or both."""
    return Chosen(faults if way != "down" else (), faults if way != "up" else ())


# -- whole exchanges ---------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize("name", FAULTS)
def test_behind_a_fault_what_arrives_is_right_and_an_end_comes(
    name: str, version: ssl.TLSVersion
) -> None:
    def one(seed: int) -> None:
        # To a strict one, an end that was cut off is an error.
        strict = seed % 2 == 0
        parties = exchange(
            PAIRS[seed % len(PAIRS)],
            lambda random: chosen(WAYS[seed // 2], FAULTS[name](random)),
            seed,
            HERE,
            version=version,
            tls_strict=strict,
        )
        check_tls(*parties, strict=strict)
        if name not in LOSSY:
            check_whole(*parties)

    gevent.joinall([gevent.spawn(one, seed) for seed in range(8)], raise_error=True)


# -- the handshake -----------------------------------------------------------------------------


@cache
def sizes(version: ssl.TLSVersion) -> tuple[list[int], list[int]]:
    """Where in what the client sends, and the server, a flight of the handshake ends."""
    context = client_context()
    context.minimum_version = context.maximum_version = version
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context.wrap_bio(down, up, server_hostname="localhost"),
        server_context().wrap_bio(up, down, server_side=True),
    ]
    flights: tuple[list[int], list[int]] = ([0], [0])
    for _ in range(3):
        for flight, end, bio in zip(flights, ends, (up, down), strict=True):
            before = bio.pending
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            if bio.pending > before:
                flight.append(flight[-1] + bio.pending - before)
    return flights


def places(version: ssl.TLSVersion, way: str) -> list[int]:
    """Behind how many bytes of the handshake something is to happen."""
    ends = sizes(version)[0 if way == "up" else 1]
    around = {end + step for end in ends for step in (-1, 0, 1)}
    # The lengths of a signature differ by some bytes.
    inside = set(range(3, ends[-1] - 20, 61))
    return sorted(place for place in around | inside if 0 <= place <= ends[-1] - 10)


class Outcomes:
    """What the two sides of many connections were told."""

    def __init__(self) -> None:
        self.accepted: list[gnet.Socket] = []
        self.failures: list[BaseException] = []
        self.drops: list[Any] = []
        self.clients: list[list[BaseException]] = []

    def watch(self, server: gnet.Server) -> None:
        server.on("connection", self._connected)
        server.on("tls_client_error", lambda error, info: self.failures.append(error))
        server.on("drop", self.drops.append)

    def _connected(self, sock: gnet.Socket) -> None:
        self.accepted.append(sock)
        sock.on("error", lambda error: None)
        sock.pipe(sock)

    def connect(self, place: Any, version: ssl.TLSVersion, **options: Any) -> None:
        """Be a client until the connection is over."""
        context = client_context()
        context.minimum_version = context.maximum_version = version
        errors: list[BaseException] = []
        self.clients.append(errors)
        sock = gnet.connect(*place, tls=context, server_hostname="localhost", **options)
        closed = Event()
        sock.on("error", errors.append)
        sock.on("close", lambda had_error: closed.set())
        sock.on("secure_connect", lambda: sock.write(b"hello"))
        sock.resume()
        closed.wait()


@contextmanager
def nothing_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr().err == ""


@VERSIONS
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_reset_in_any_step_of_the_handshake_is_told_once(
    way: str, version: ssl.TLSVersion, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = Outcomes()
    each = places(version, way)
    left = iter(each)

    def choose(random: Random) -> Chosen:
        return chosen(way, partial(reset, after=next(left)))

    with (
        nothing_printed(capfd),
        serving(tls=server_context()) as server,
        FaultProxy(place_at(server), choose) as proxy,
    ):
        outcomes.watch(server)
        gevent.joinall(
            [gevent.spawn(outcomes.connect, proxy.place, version) for _ in each], raise_error=True
        )
        while len(outcomes.failures) + len(outcomes.accepted) < len(each):
            server.wait("drop")
        while len(server.connections):
            gevent.sleep(0.001)
        # A turn for what would be told twice.
        gevent.sleep(0.01)
    assert len(outcomes.failures) + len(outcomes.accepted) == len(each)
    assert [drop.reason for drop in outcomes.drops] == ["tls"] * len(outcomes.failures)
    assert {code_of(error) for error in outcomes.failures} == {"ECONNRESET"}
    assert all(len(errors) == 1 for errors in outcomes.clients)
    # Some of each: otherwise the places are not those of the handshake.
    assert len(outcomes.failures) > len(each) / 2


def stalling(way: str, after: int) -> Callable[[Random], Chosen]:
    return lambda random: chosen(way, partial(stall, after=after, seconds=60))


@VERSIONS
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_stall_in_the_handshake_is_ended_by_the_deadline(
    who: str, way: str, version: ssl.TLSVersion, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = Outcomes()
    mine, theirs = (0.1, 8) if who == "client" else (8, 0.1)
    with (
        nothing_printed(capfd),
        serving(tls=server_context(), handshake_timeout=theirs) as server,
        FaultProxy(place_at(server), stalling(way, 40)) as proxy,
    ):
        outcomes.watch(server)
        client = gevent.spawn(outcomes.connect, proxy.place, version, handshake_timeout=mine)
        if who == "client":
            client.get()
        else:
            server.wait("drop")
        # The other one hears of it by the end of the proxy, at the latest.
        proxy.close()
        client.get()
        while not outcomes.drops:
            server.wait("drop")
    [error], [failure] = outcomes.clients[0], outcomes.failures
    late, gone = (error, failure) if who == "client" else (failure, error)
    assert isinstance(late, DeadlineError)
    assert late.deadline == "handshake_timeout"
    assert code_of(gone) == "ECONNRESET"


@VERSIONS
def test_a_handshake_in_single_bytes_is_done(version: ssl.TLSVersion) -> None:
    faults = partial(single_bytes, size=5000)
    outcomes = Outcomes()
    with (
        serving(tls=server_context()) as server,
        FaultProxy(place_at(server), lambda random: chosen("both", faults)) as proxy,
    ):
        outcomes.watch(server)
        context = client_context()
        context.minimum_version = context.maximum_version = version
        with gnet.connect(*proxy.place, tls=context, server_hostname="localhost") as sock:
            sock.sendall(b"hello")
            assert sock.recv() == b"hello"
    assert not outcomes.failures
