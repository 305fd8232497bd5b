"""An exception that passes through gnet's callbacks in the hub once stops nothing for ever.

gevent stops the watcher of a descriptor whose callback has raised. What raises may be no bug of
anybody's: a signal's handler, wherever the interpreter is; no memory left; a block list's own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue
from greenlet import getcurrent

import gnet
from gnet._core import dispatcher as dispatcher_module
from gnet._core.acceptor import Acceptor
from gnet._core.dispatcher import Dispatcher, dispatcher
from gnet._loop import peer_watch, timers
from gnet._loop.timers import Deadline, IdleTimer
from gnet._server import proxy_gate
from gnet._server import server as server_module
from gnet._socket.dial import Connector
from tests.helpers.servers import receive, receive_all
from tests.net.conftest import Net

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 1111 2222\r\n"
LOOPBACK = gnet.BlockList()
LOOPBACK.add_subnet("127.0.0.0", 8)
LOOPBACK.add_address("::1", "ipv6")

CALLED_BY_THE_HUB = {
    "gnet._loop.peer_watch", "gnet._loop.timers", "gnet._core.acceptor",
    "gnet._server.admission", "gnet._server.server",
}  # fmt: skip
WHAT_RAISES = [InterruptedError, MemoryError, RuntimeError]


class FromASignal(Exception):
    """What a signal's handler has raised, somewhere in gnet."""


def raising_once(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Callable[[], BaseException]
) -> Event:
    """Have a function raise at its next call, before it does anything; gives what tells of it."""
    function = getattr(owner, name)
    raised = Event()

    def once(*args: Any, **options: Any) -> Any:
        if not raised.is_set():
            raised.set()
            raise error()
        return function(*args, **options)

    monkeypatch.setattr(owner, name, once)
    return raised


def expect(hub_errors: list[BaseException], kind: type[BaseException]) -> None:
    """The hub has been told, and of nothing else."""
    assert {type(each) for each in hub_errors} == {kind}
    hub_errors.clear()


class OddList(gnet.BlockList):
    """A block list that raises when it is asked for the first time."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self._errors = iter([error])

    def blocks(self, address: str) -> bool:
        for error in self._errors:
            raise error()
        return super().blocks(address)


# -- accepting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", WHAT_RAISES)
def test_a_server_accepts_after_its_block_list_has_raised(
    tcp: Net, error: type[Exception], hub_errors: list[BaseException]
) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"), block_list=OddList(error))
    assert receive_all(tcp.peer(server)) == b""
    expect(hub_errors, error)
    for _ in range(3):
        assert receive_all(tcp.peer(server)) == b"hello"


@pytest.mark.parametrize("error", WHAT_RAISES)
def test_a_server_accepts_after_a_connection_that_could_not_be_set_up(
    net: Net,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    hub_errors: list[BaseException],
) -> None:
    server = net.server(lambda sock: sock.end(b"hello"), pause_on_connect=True)
    raising_once(monkeypatch, gnet.Socket, "pause", error)
    assert receive_all(net.peer(server)) == b""
    expect(hub_errors, error)
    assert server.connections == frozenset()
    assert receive_all(net.peer(server)) == b"hello"


@pytest.mark.parametrize("name", ["_accept", "_accept_again"])
def test_an_acceptor_goes_on_whatever_comes_in_the_place_of_a_callback(
    net: Net, name: str, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    class Raising(Acceptor):
        """One whose methods can be replaced, which those of a compiled class cannot."""

    raised = raising_once(monkeypatch, Raising, name, FromASignal)
    monkeypatch.setattr(server_module, "Acceptor", Raising)
    server = net.server(lambda sock: sock.end(b"hello"))
    acceptor = server._acceptor
    assert acceptor is not None
    if name == "_accept_again":
        acceptor._back_off()
    assert receive_all(net.peer(server)) == b"hello"
    assert raised.is_set()
    expect(hub_errors, FromASignal)


def test_a_server_behind_proxies_accepts_after_its_gate_has_raised(
    tcp: Net, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    server = tcp.server(
        lambda sock: sock.end(b"hello"), proxy_protocol="require", trusted_proxies=LOOPBACK
    )
    raising_once(monkeypatch, proxy_gate, "read_header", FromASignal)
    first = tcp.peer(server)
    first.sendall(HEADER)
    assert received_in_all(first) == 0
    expect(hub_errors, FromASignal)
    second = tcp.peer(server)
    second.sendall(HEADER)
    assert receive_all(second) == b"hello"


@pytest.mark.parametrize("delay", [32768, 2**31 - 1, 2**31])
def test_an_initial_delay_that_the_kernel_does_not_take_is_refused(delay: int) -> None:
    for call in (
        lambda: gnet.Server(keep_alive_initial_delay=delay),
        lambda: gnet.Socket().set_keep_alive(True, delay),
        lambda: gnet.Socket().connect(1, "127.0.0.1", keep_alive_initial_delay=delay),
    ):
        with pytest.raises(ValueError, match=f"32767 seconds. Received {delay}") as caught:
            call()
        assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]


def test_the_longest_initial_delay_is_taken(tcp: Net) -> None:
    sock, _ = tcp.accepted(keep_alive=True, keep_alive_initial_delay=32767)
    assert not sock.destroyed


# -- a connection -------------------------------------------------------------------------------


def test_a_queue_is_sent_or_fails_with_the_error(
    net: Net, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    sock, peer = net.accepted()
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    sock.set_timeout(60)
    sock.write(bytes(1 << 25))
    raising_once(monkeypatch, IdleTimer, "touch", FromASignal)
    assert received_in_all(peer) < 1 << 25
    assert isinstance(errors.get(), FromASignal)
    sock.wait("close")


def test_the_others_write_on(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = net.server(arrived.put)
    peers = [net.peer(server) for _ in range(2)]
    first, second = arrived.get(), arrived.get()
    for each in (first, second):
        each.on("error", lambda error: None)
        each.set_timeout(60)
        each.end(bytes(1 << 25))
    raising_once(monkeypatch, IdleTimer, "touch", FromASignal)
    received = [net.start(received_in_all, peer) for peer in peers]
    assert sorted(each.get() == 1 << 25 for each in received) == [False, True]


def received_in_all(peer: Any) -> int:
    """How many bytes a peer receives before the end, or a reset."""
    received = 0
    with contextlib.suppress(ConnectionError):
        while data := peer.recv(1 << 20):
            received += len(data)
    return received


def test_an_end_that_nobody_reads_is_noticed_after_all(
    net: Net, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    sock, peer = net.accepted()
    sock.on("connect", lambda: None)
    net.turns()
    raising_once(monkeypatch, type(sock._wire), "at_end", FromASignal)
    peer.close()
    assert net.closed(sock) is False
    expect(hub_errors, FromASignal)


@pytest.mark.skipif(not peer_watch.AVAILABLE, reason="the system cannot tell")
def test_ends_ahead_of_unread_data_are_noticed_after_all(
    net: Net, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    raising_once(monkeypatch, peer_watch.PeerWatch, "_look", FromASignal)
    for _ in range(2):
        sock, peer = net.accepted()
        ended = Event()
        sock.on("peer_end", ended.set)
        peer.sendall(b"unread")
        peer.close()
        ended.wait()
        sock.destroy()
    expect(hub_errors, FromASignal)


def test_a_connection_is_made_after_all(
    tcp: Net, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    raised = raising_once(monkeypatch, Connector, "_writable", FromASignal)
    with tcp.connect(tcp.listening_peer()) as sock:
        assert not sock.destroyed
    if raised.is_set():
        expect(hub_errors, FromASignal)


@pytest.mark.parametrize("name", ["_look", "_collect"])
def test_timers_fire_after_all(
    name: str, monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    class Owner:
        def __init__(self) -> None:
            self.over = Event()

        def tell(self) -> None:
            self.over.set()

    raising_once(monkeypatch, timers.IdleTimers, name, FromASignal)
    owner = Owner()
    deadline = Deadline(dispatcher().timers, 0.01, owner, "tell")
    owner.over.wait()
    deadline.cancel()
    expect(hub_errors, FromASignal)


def test_an_expiry_that_raises_keeps_no_other_from_its_time(
    hub_errors: list[BaseException],
) -> None:
    class Owner:
        def __init__(self, raises: bool) -> None:
            self.raises = raises
            self.over = Event()

        def tell(self) -> None:
            self.over.set()
            if self.raises:
                raise FromASignal

    owners = [Owner(True), Owner(False), Owner(True), Owner(False)]
    deadlines = [Deadline(dispatcher().timers, 0.01, each, "tell") for each in owners]
    for each in owners:
        each.over.wait()
    for deadline in deadlines:
        deadline.cancel()
    gevent.sleep(0.001)
    expect(hub_errors, FromASignal)


def test_jobs_are_run_after_all(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[BaseException]
) -> None:
    loop = dispatcher()
    if not str(dispatcher_module.__file__).endswith(".py"):
        pytest.skip("the compiled form's dispatch cannot be replaced, and no signal comes into it")
    raising_once(monkeypatch, Dispatcher, "_dispatch", FromASignal)
    first, second = Event(), Event()
    loop.defer(first.set)
    gevent.sleep(0)
    loop.defer(second.set)
    second.wait()
    assert first.is_set()
    expect(hub_errors, FromASignal)


# -- a storm of signals -------------------------------------------------------------------------


@contextlib.contextmanager
def storm() -> Iterator[None]:
    """A signal whose handler raises, a thousand times a second, wherever the hub is in gnet."""
    hub = gevent.get_hub()

    def handler(number: int, frame: Any) -> None:
        if getcurrent() is hub and frame.f_globals.get("__name__") in CALLED_BY_THE_HUB:
            raise FromASignal

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
@pytest.mark.limit(30)
def test_a_server_is_not_deaf_after_a_storm_of_signals(
    net: Net, hub_errors: list[BaseException]
) -> None:
    def answer(sock: gnet.Socket) -> None:
        sock.on("error", lambda error: None)
        sock.on("data", sock.write)

    server = net.server(answer)
    address = net.target(server)[::-1] if net.is_tcp else net.target(server)[0]
    with storm():
        for _ in range(2000):
            with net._peer() as peer, contextlib.suppress(OSError):
                peer.connect(address)
                peer.sendall(b"hello")
                peer.recv(5)
            if len(hub_errors) >= 20:
                break
    assert all(isinstance(each, FromASignal) for each in hub_errors)
    hub_errors.clear()
    peer = net.peer(server)
    peer.sendall(b"hello")
    assert receive(peer, 5) == b"hello"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_an_exception_of_a_signals_handler_costs_no_more_than_a_connection(
    tcp: Net, hub_errors: list[BaseException]
) -> None:
    class List(gnet.BlockList):
        hit = True

        def blocks(self, address: str) -> bool:
            if self.hit:
                self.hit = False
                os.kill(os.getpid(), signal.SIGUSR1)
            return super().blocks(address)

    def raises(number: int, frame: Any) -> None:
        raise FromASignal

    before = signal.signal(signal.SIGUSR1, raises)
    try:
        server = tcp.server(lambda sock: sock.end(b"hello"), block_list=List())
        assert receive_all(tcp.peer(server)) == b""
        assert receive_all(tcp.peer(server)) == b"hello"
    finally:
        signal.signal(signal.SIGUSR1, before)
    expect(hub_errors, FromASignal)
