"""A clock that stood still shortens no deadline, and nobody fails for what the kernel has already.

A long computation is a sleep that blocks the whole process: the loop neither turns meanwhile, nor
looks at its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet._core import connection
from gnet._core.dispatcher import dispatcher
from gnet._loop import timers as timers_module
from gnet._loop.timers import Deadline
from gnet._server import proxy_gate
from tests.helpers.servers import receive, receive_all
from tests.net.conftest import Net

compute = monkey.get_original("time", "sleep")

#: A deadline, and a computation that takes longer, in seconds.
SHORT = 0.1
LONG = 0.25

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 1111 2222\r\n"
LOOPBACK = gnet.BlockList()
LOOPBACK.add_subnet("127.0.0.0", 8)
LOOPBACK.add_address("::1", "ipv6")


def test_close_has_its_two_seconds_behind_a_long_computation(
    tcp: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", LONG)
    closed = Event()
    times: list[float] = []

    def handler(sock: gnet.Socket) -> None:
        sock.on("close", lambda had_error: (times.append(monotonic()), closed.set()))
        sock.recv(1)
        # Another loop turn, on whose clock the timer would start.
        compute(LONG * 2)
        times.append(monotonic())
        sock.close()

    server = tcp.server(handler, end_on_return=True)
    peer = tcp.peer(server)
    peer.sendall(b"x" * 1000)
    closed.wait()
    peer.close()
    assert times[1] - times[0] >= LONG * 0.95


@pytest.mark.parametrize("mode", ["optional", "require"])
def test_a_proxy_header_that_is_there_is_taken(
    tcp: Net, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_gate, "HEADER_SECONDS", SHORT)
    monkeypatch.setattr(proxy_gate, "OPTIONAL_SECONDS", SHORT)
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, proxy_protocol=mode, trusted_proxies=LOOPBACK)
    peer = tcp.peer(server)
    while not server._entrance.waiting:
        tcp.turns()
    peer.sendall(HEADER + b"hello")
    compute(LONG)
    sock = arrived.get()
    assert (sock.remote_address, sock.recv()) == ("192.0.2.1", b"hello")


def test_a_first_byte_that_is_there_is_in_time(net: Net) -> None:
    sock, peer = net.accepted(first_byte_timeout=SHORT)
    peer.sendall(b"hello")
    compute(LONG)
    assert sock.recv() == b"hello"


@pytest.mark.parametrize(
    "read", [lambda sock: sock.recv(), lambda sock: sock.makefile("rb").readline()]
)
def test_data_that_is_there_keeps_a_blocked_call_from_timing_out(
    net: Net, read: Callable[[gnet.Socket], bytes]
) -> None:
    sock, peer = net.accepted()
    sock.settimeout(SHORT)
    reading = net.start(read, sock)
    net.turns()
    peer.sendall(b"hello\n")
    compute(LONG)
    assert reading.get() == b"hello\n"


def test_a_connection_that_is_made_meanwhile_is_in_time(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener, connect_timeout=SHORT)
    gevent.sleep(0)
    compute(LONG)
    assert sock.wait("connect") == ()


def test_a_peer_that_takes_something_meanwhile_is_in_time(net: Net) -> None:
    sock, peer = net.accepted(write_timeout=SHORT)
    size = 8_000_000
    sock.write(bytes(size))
    peer.setblocking(False)
    received = 0
    # It takes what the kernel has, and this computes: the loop does not turn.
    until = monotonic() + LONG
    while monotonic() < until:
        with suppress(BlockingIOError):
            received += len(peer.recv(65536))
    peer.settimeout(None)
    while received < size:
        received += len(peer.recv(65536))
    assert not sock.destroyed


def test_an_event_that_is_there_ends_a_wait_in_time(net: Net) -> None:
    sock, peer = net.accepted()
    sock.resume()
    waiting = net.start(sock.wait, "data", SHORT)
    net.turns()
    peer.sendall(b"hello")
    compute(LONG)
    assert waiting.get() == (b"hello",)


def test_run_looks_whether_nothing_is_left(net: Net) -> None:
    sock, peer = net.connected()
    sock.on("data", lambda data: None)
    running = net.start(gnet.run, SHORT)
    net.turns()
    peer.close()
    compute(LONG)
    assert running.get() is True


def test_a_shutdown_looks_who_has_ended(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    sock.resume()
    server = sock.server
    stopping = tcp.start(server.shutdown, SHORT)
    assert receive_all(peer) == b""
    peer.close()
    compute(LONG)
    assert stopping.get() == 0


def test_a_race_does_not_call_an_attempt_slow_that_is_there(tcp: Net) -> None:
    listener = tcp.listening_peer()
    host = listener.getsockname()[0]
    family = 6 if ":" in host else 4
    slow: list[Any] = []
    sock = tcp.keep(
        gnet.connect(
            listener.getsockname()[1],
            "two.test",
            lookup=lambda name, **options: [(host, family), ("192.0.2.1", 4)],
            auto_select_family_attempt_timeout=SHORT,
        )
    )
    sock.on("connection_attempt_timeout", lambda *args: slow.append(args))
    sock.once("connection_attempt", lambda *args: compute(LONG))
    sock.wait("connect")
    assert slow == []


# -- the timers themselves ----------------------------------------------------------------------


class Owner:
    def __init__(self) -> None:
        self.over = Event()

    def tell(self) -> None:
        self.over.set()


def test_a_deadline_is_not_over_before_its_time_by_the_clock() -> None:
    owner = Owner()
    timers = dispatcher().timers
    # The loop last looked at the clock before this.
    compute(LONG)
    began = monotonic()
    deadline = Deadline(timers, SHORT, owner, "tell")
    owner.over.wait()
    assert monotonic() - began >= SHORT * 0.95
    deadline.cancel()


def test_a_deadline_does_not_keep_its_owner() -> None:
    timers = dispatcher().timers
    owner = Owner()
    over = owner.over
    deadline = Deadline(timers, timers_module.SHORTEST, owner, "tell")
    del owner
    assert not over.wait(SHORT)
    deadline.cancel()


def test_a_deadline_that_stays_late_is_over_all_the_same() -> None:
    owner = Owner()
    timers = dispatcher().timers
    deadline = Deadline(timers, SHORT, owner, "tell")

    def busy() -> None:
        while not owner.over.is_set():
            compute(SHORT / 2)
            gevent.sleep(0.001)

    began = monotonic()
    gevent.spawn(busy).join()
    assert monotonic() - began < 5
    deadline.cancel()


def test_received_is_not_needed(tcp: Net) -> None:
    """A peer that is silent times out as ever, whatever was computed."""
    sock, peer = tcp.accepted()
    sock.settimeout(SHORT)
    reading = tcp.start(sock.recv)
    tcp.turns()
    compute(LONG)
    assert isinstance(reading.get(), TimeoutError)
    peer.sendall(b"late")
    assert sock.recv() == b"late"
    sock.sendall(b"x")
    assert receive(peer, 1) == b"x"
