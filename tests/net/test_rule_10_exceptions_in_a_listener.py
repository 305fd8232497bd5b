"""Rule 10: what a listener raises costs its own connection, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import greenlet
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]
HubErrors = list[BaseException]


class Bug(Exception):
    """What the listeners of these tests raise."""


def fails(*args: Any) -> None:
    raise Bug


def trigger(event: str, net: Net, sock: gnet.Socket, peer: Any) -> None:
    """Have a connection emit an event."""
    if event == "data":
        peer.sendall(b"data")
    elif event == "end":
        sock.resume()
        peer.shutdown(1)
    elif event == "timeout":
        sock.set_timeout(0.01)
    elif event == "drain":
        sock.write(bytes(4_000_000))
        received = 0
        while received < 4_000_000:
            received += len(peer.recv(1_000_000))
    elif event == "finish":
        sock.end()
    elif event == "write":
        sock.write(b"data", callback=fails)
    elif event == "pause":
        sock.pause()
    elif event == "resume":
        sock.resume()


EVENTS = ["data", "end", "timeout", "drain", "finish", "write", "pause", "resume"]


@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_destroys_the_connection_with_it_as_its_error(
    net: Net, must_call: Calls, event: str
) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    error, close = must_call(), must_call()
    if event != "write":
        sock.on(event, fails)
    sock.on("error", error)
    sock.on("close", close)
    trigger(event, net, sock, peer)
    assert isinstance(error.wait()[0], Bug)
    assert close.wait() == (True,)
    assert sock.destroyed


@pytest.mark.parametrize("event", EVENTS)
def test_an_exception_without_an_error_listener_is_reported_by_the_hub_once(
    net: Net, hub_errors: HubErrors, event: str
) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    if event != "write":
        sock.on(event, fails)
    trigger(event, net, sock, peer)
    assert net.closed(sock) is True
    net.turns()
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


@pytest.mark.parametrize("end_on_return", [False, True])
def test_an_exception_in_a_connection_listener_destroys_that_connection(
    net: Net, hub_errors: HubErrors, end_on_return: bool
) -> None:
    def connected(sock: gnet.Socket) -> None:
        if sock.recv() == b"bad":
            raise Bug
        sock.sendall(b"fine")
        sock.close()

    server = net.server(connected, end_on_return=end_on_return)
    bad, good = net.peer(server), net.peer(server)
    bad.sendall(b"bad")
    with contextlib.suppress(ConnectionResetError):
        assert bad.recv(1) == b""
    good.sendall(b"good")
    assert good.recv(100) == b"fine"
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()
    assert server.listening
    net.peer(server).sendall(b"good")


def test_an_exception_in_a_connection_listener_goes_to_the_error_listener(
    net: Net, must_call: Calls
) -> None:
    error = must_call()

    def connected(sock: gnet.Socket) -> None:
        sock.on("error", error)
        raise Bug

    net.peer(net.server(connected))
    assert isinstance(error.wait()[0], Bug)


def test_a_connection_listener_that_raises_at_once_again_and_again_stops_no_server(
    net: Net, hub_errors: HubErrors
) -> None:
    server = net.server(fails)
    for _ in range(10):
        peer = net.peer(server)
        with contextlib.suppress(ConnectionResetError):
            peer.recv(1)
    assert len(hub_errors) == 10
    hub_errors.clear()
    assert server.listening
    assert not server.connections


@pytest.mark.parametrize("event", ["connect", "ready"])
def test_an_exception_in_a_clients_listener_destroys_it(
    net: Net, must_call: Calls, event: str
) -> None:
    sock = net.connect(net.server())
    error = must_call()
    sock.on(event, fails)
    sock.on("error", error)
    assert isinstance(error.wait()[0], Bug)
    assert net.closed(sock) is True


@pytest.mark.parametrize("event", ["lookup", "connection_attempt"])
def test_an_exception_in_a_listener_of_an_attempt_destroys_the_socket(
    tcp: Net, must_call: Calls, event: str
) -> None:
    port, _ = tcp.target(tcp.server())
    sock = tcp.keep(gnet.connect(port, "localhost", family=4))
    error = must_call()
    sock.on(event, fails)
    sock.on("error", error)
    assert isinstance(error.wait()[0], Bug)
    assert tcp.closed(sock) is True


def test_an_exception_in_an_onread_callback_destroys_the_socket(
    net: Net, must_call: Calls
) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener, onread=gnet.OnRead(bytearray(10), fails))
    error = must_call()
    sock.on("error", error)
    net.keep(listener.accept()[0]).sendall(b"data")
    assert isinstance(error.wait()[0], Bug)


def test_an_exception_is_raised_in_a_blocked_greenlet(net: Net) -> None:
    sock, peer = net.accepted()
    writer = net.start(sock.sendall, bytes(10_000_000))
    sock.on("data", fails)
    peer.sendall(b"data")
    assert isinstance(writer.get(), Bug)
    assert net.closed(sock) is True


@pytest.mark.parametrize("event", ["error", "close"])
def test_an_exception_in_an_error_or_close_listener_is_reported_and_close_still_comes(
    net: Net, hub_errors: HubErrors, event: str
) -> None:
    sock, _ = net.accepted()
    closed = Event()
    sock.on("error", lambda error: None)
    sock.on(event, fails)
    sock.prepend_listener("close", lambda had_error: closed.set())
    sock.destroy(ValueError("of the test"))
    closed.wait()
    net.turns()
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


@pytest.mark.parametrize("event", ["listening", "drop", "close"])
def test_an_exception_in_another_listener_of_a_server_is_reported_and_no_more(
    net: Net, hub_errors: HubErrors, event: str
) -> None:
    server = net.server()
    server.on(event, fails)
    if event == "drop":
        server.max_connections = 0
        net.peer(server)
    while not hub_errors:
        if event == "close":
            server.close() if server.listening else None
        net.turns(1)
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()
    assert server.listening is (event != "close")
    if event != "close":
        server.max_connections = None
        net.peer(server)
        server.wait("connection")


def test_the_other_connections_go_on(net: Net, hub_errors: HubErrors) -> None:
    def connected(sock: gnet.Socket) -> None:
        def received(chunk: bytes) -> None:
            if chunk == b"bad":
                raise Bug
            sock.write(chunk)

        sock.on("data", received)

    server = net.server(connected)
    good, bad = net.peer(server), net.peer(server)
    for _ in range(3):
        good.sendall(b"good")
        assert good.recv(100) == b"good"
        bad.sendall(b"bad")
        with contextlib.suppress(ConnectionResetError):
            assert bad.recv(1) == b""
        bad.close()
        bad = net.peer(server)
    assert [type(each) for each in hub_errors] == [Bug] * 3
    hub_errors.clear()


def test_no_data_follows_an_exception(net: Net, hub_errors: HubErrors) -> None:
    sock, peer = net.accepted()
    chunks: list[bytes] = []

    def received(chunk: bytes) -> None:
        chunks.append(chunk)
        raise Bug

    sock.on("data", received)
    net.start(peer.sendall, bytes(500_000))
    assert net.closed(sock) is True
    net.turns()
    assert len(chunks) == 1
    assert len(hub_errors) == 1
    hub_errors.clear()


def test_the_listeners_behind_the_one_that_raised_are_called(
    net: Net, must_call: Calls, hub_errors: HubErrors
) -> None:
    sock, peer = net.accepted()
    sock.on("data", fails)
    sock.on("data", must_call())
    peer.sendall(b"data")
    net.closed(sock)
    hub_errors.clear()


# ---------------------------------------------------------------------------------------------
# The connection's own error.


@pytest.mark.parametrize("end_on_return", [False, True])
@pytest.mark.parametrize("call", ["recv", "readline", "iter", "sendall"])
def test_the_connections_own_error_that_nobody_catches_prints_nothing(
    net: Net, hub_errors: HubErrors, end_on_return: bool, call: str
) -> None:
    entered: Queue[gnet.Socket] = Queue()
    left = Event()

    def connected(sock: gnet.Socket) -> None:
        entered.put(sock)
        try:
            if call == "sendall":
                while True:
                    sock.sendall(bytes(1_000_000))
            elif call == "recv":
                sock.recv()
            elif call == "readline":
                sock.makefile("rb").readline()
            else:
                list(sock)
        finally:
            left.set()

    peer = net.peer(net.server(connected, end_on_return=end_on_return))
    sock = entered.get()
    net.turns()
    if call == "sendall":
        peer.close()
    else:
        net.reset(sock, peer)
    left.wait()
    assert net.closed(sock) is True
    net.turns()
    assert hub_errors == []


def test_the_connections_own_error_raised_again_by_its_error_listener_prints_nothing(
    net: Net, hub_errors: HubErrors
) -> None:
    sock, peer = net.accepted()

    def again(error: BaseException) -> None:
        raise error

    sock.on("error", again)
    net.reset(sock, peer)
    net.closed(sock)
    net.turns()
    assert hub_errors == []


def test_a_closed_error_that_leaves_the_handler_prints_nothing(
    net: Net, hub_errors: HubErrors
) -> None:
    """Another greenlet has destroyed the socket; its handler did not catch that."""
    entered: Queue[gnet.Socket] = Queue()
    left = Event()

    def connected(sock: gnet.Socket) -> None:
        entered.put(sock)
        try:
            sock.recv()
        finally:
            left.set()

    net.peer(net.server(connected, end_on_return=True))
    entered.get().destroy()
    left.wait()
    net.turns()
    assert hub_errors == []


def test_the_error_of_another_connection_is_a_bug_of_the_listener(
    net: Net, must_call: Calls
) -> None:
    """A proxy that does not catch what happens upstream loses its client, and hears why."""
    sock, peer = net.accepted()
    other, other_peer = net.accepted()
    sock.on("data", lambda chunk: other.recv())
    error = must_call()
    sock.on("error", error)
    peer.sendall(b"data")
    net.turns()
    net.reset(other, other_peer)
    assert isinstance(error.wait()[0], ConnectionResetError)
    assert net.closed(sock) is True


def test_the_error_of_another_connection_that_nobody_catches_is_reported(
    net: Net, hub_errors: HubErrors
) -> None:
    sock, peer = net.accepted()
    other, other_peer = net.accepted()
    sock.on("data", lambda chunk: other.recv())
    peer.sendall(b"data")
    net.turns()
    net.reset(other, other_peer)
    assert net.closed(sock) is True
    net.turns()
    assert [type(each) for each in hub_errors] == [ConnectionResetError]
    hub_errors.clear()


def test_an_error_of_the_same_kind_that_is_not_the_connections_is_reported(
    net: Net, hub_errors: HubErrors
) -> None:
    sock, peer = net.accepted()

    def received(chunk: bytes) -> None:
        raise ConnectionResetError("made up")

    sock.on("data", received)
    peer.sendall(b"data")
    net.closed(sock)
    assert [str(each) for each in hub_errors] == ["made up"]
    hub_errors.clear()


def test_a_handler_that_wraps_the_connections_error_has_a_bug(
    net: Net, hub_errors: HubErrors
) -> None:
    entered: Queue[gnet.Socket] = Queue()

    def connected(sock: gnet.Socket) -> None:
        entered.put(sock)
        try:
            sock.recv()
        except OSError as exc:
            raise Bug from exc

    peer = net.peer(net.server(connected))
    sock = entered.get()
    net.turns()
    net.reset(sock, peer)
    net.closed(sock)
    while not hub_errors:
        net.turns(1)
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


# ---------------------------------------------------------------------------------------------
# Kills.


def test_a_handler_that_is_killed_closes_its_connection(net: Net, hub_errors: HubErrors) -> None:
    handlers: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        handlers.put((sock, greenlet.getcurrent()))
        sock.recv()

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    sock, handling = handlers.get()
    net.turns()
    handling.kill()
    net.closed(sock)
    assert peer.recv(1) == b""
    assert not server.connections
    assert hub_errors == []


@pytest.mark.parametrize("kind", [gevent.GreenletExit, gevent.Timeout])
def test_what_is_no_exception_in_the_strict_sense_closes_the_connection_as_well(
    net: Net, kind: Any, hub_errors: HubErrors
) -> None:
    sock, peer = net.accepted()

    def received(chunk: bytes) -> None:
        raise kind

    sock.on("data", received)
    peer.sendall(b"data")
    net.closed(sock)
    assert sock.destroyed
    hub_errors.clear()
