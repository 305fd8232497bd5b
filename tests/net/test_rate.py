"""rate=: no faster than so many bytes a second, each way."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest

import gnet
from tests.helpers.authority import client_context, server_context
from tests.helpers.servers import (
    pair,
    path_at,
    place_at,
    receive_all,
    serving,
    tls_pair,
)

# The times are short: what is off by more than a fifth is no rate.
SLACK = 1.2


def seconds_of(call: Callable[[], object]) -> float:
    begun = monotonic()
    call()
    return monotonic() - begun


def is_near(seconds: float, wanted: float) -> bool:
    """Whether something has taken its time; on a busy machine it may take several times that."""
    return wanted / SLACK <= seconds <= wanted * 10


@pytest.mark.parametrize("rate", [50_000, 2_000_000, 20_000_000])
@pytest.mark.parametrize("paced", ["sender", "receiver"])
def test_one_end_has_a_rate(rate: int, paced: str) -> None:
    with serving(rate=rate if paced == "sender" else None) as server:
        options = {"rate": rate} if paced == "receiver" else {}
        client = gnet.connect(*place_at(server), **options)  # type: ignore[arg-type]
        with next(iter(server)) as served, client:
            data = b"x" * int(rate * 0.3)
            sending = gevent.spawn(served.sendall, data)
            assert is_near(seconds_of(lambda: client.read_exactly(len(data))), 0.3)
            sending.get()


@pytest.mark.parametrize("kind", ["unix", "tls"])
def test_over_every_transport(kind: str, tmp_path: Path) -> None:
    makes: dict[str, Callable[[], Any]] = {
        "unix": lambda: pair(path_at(tmp_path), rate=200_000),
        "tls": lambda: tls_pair(rate=200_000),
    }
    with makes[kind]() as (client, served):
        data = b"x" * 60_000
        sending = gevent.spawn(client.sendall, data)
        assert is_near(seconds_of(lambda: served.read_exactly(len(data))), 0.3)
        sending.get()


def test_in_event_style_and_both_ways_at_once() -> None:
    with serving(lambda sock: sock.pipe(sock), rate=300_000) as server:
        client = gnet.connect(*place_at(server))
        received = bytearray()
        client.on("data", received.extend)
        client.end(b"x" * 90_000)
        assert is_near(seconds_of(lambda: client.wait("end")), 0.3)
        assert len(received) == 90_000


def test_what_nobody_wanted_is_not_saved() -> None:
    with pair((0, "127.0.0.1"), rate=100_000) as (client, served):
        gevent.sleep(0.3)
        sending = gevent.spawn(client.sendall, b"x" * 30_000)
        assert is_near(seconds_of(lambda: served.read_exactly(30_000)), 0.3)
        sending.get()


def test_a_servers_connections_have_one_each() -> None:
    with serving(lambda sock: sock.end(b"x" * 60_000), rate=200_000) as server:
        clients = [gnet.connect(*place_at(server)) for _ in range(3)]
        readers = [gevent.spawn(b"".join, each) for each in clients]
        took = seconds_of(lambda: gevent.joinall(readers))
        assert is_near(took, 0.3)
        assert [len(each.get()) for each in readers] == [60_000] * 3
        for each in clients:
            each.destroy()


def test_an_end_and_a_write_that_must_not_wait() -> None:
    with pair((0, "127.0.0.1"), rate=10_000) as (client, served):
        client.settimeout(0)
        assert 0 < client.send(b"x" * 10_000) <= 1000
        with pytest.raises(BlockingIOError):
            client.send(b"x" * 10_000)
        client.settimeout(None)
        client.end(b"bye")
        assert b"".join(served).endswith(b"bye")


def test_over_tls_on_both_sides() -> None:
    with serving(tls=server_context(), rate=300_000) as server:
        client = gnet.connect(
            *place_at(server), tls=client_context(), server_hostname="localhost", rate=300_000
        )
        with next(iter(server)) as served, client:
            sending = gevent.spawn(served.sendall, b"x" * 60_000)
            assert seconds_of(lambda: client.read_exactly(60_000)) > 0.15
            sending.get()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's pacing is Linux'")
def test_the_kernel_is_told() -> None:
    with pair((0, "127.0.0.1"), rate=100_000) as (client, _):
        assert client.getsockopt(socket.SOL_SOCKET, 47) == 125_001
        for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            # Twice what is asked for: the kernel has its own data there, too.
            assert client.getsockopt(socket.SOL_SOCKET, name) == 200_000
    with pair((0, "127.0.0.1"), rate=10_000) as (client, _):
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 131_072


def test_a_plain_peer_is_held_back() -> None:
    with (
        serving(rate=200_000) as server,
        socket.create_connection(("127.0.0.1", server.port or 0)) as peer,
    ):
        served = next(iter(server))
        peer.setblocking(False)
        sent = peer.send(b"x" * 50_000)
        peer.shutdown(socket.SHUT_WR)
        with served:
            took = seconds_of(lambda: receive_all(served))  # type: ignore[arg-type]
            assert is_near(took, sent / 200_000)


def test_one_that_has_closed_leaves_no_timer() -> None:
    with pair((0, "127.0.0.1"), rate=1000) as (client, _):
        client.write(b"x" * 10_000)
        client.destroy()
        client.wait("close")


@pytest.mark.parametrize(
    ("rate", "error"),
    [("1", TypeError), (True, TypeError), (0, ValueError), (-1, ValueError),
     (float("inf"), ValueError), (float("nan"), ValueError)],
)  # fmt: skip
def test_what_is_no_rate_is_refused(rate: Any, error: Any) -> None:
    calls: tuple[Callable[..., object], ...] = (
        gnet.Socket, gnet.Server, lambda **given: gnet.connect(1, **given)
    )  # fmt: skip
    for call in calls:
        with pytest.raises(error, match='"rate"'):
            call(rate=rate)
