"""Rule 5: connect() returns at once, and the calls that need the connection wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet import errors
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]


def test_connect_returns_at_once_and_connects_in_the_background(net: Net) -> None:
    sock = net.connect(net.server())
    assert sock.connecting
    assert sock.pending
    assert sock.ready_state == "opening"
    sock.wait("connect")
    assert not sock.connecting
    assert not sock.pending
    assert sock.ready_state == "open"


def test_ten_slow_connects_run_side_by_side(tcp: Net) -> None:
    begun: list[None] = []
    all_begun = Event()

    def look_up() -> None:
        begun.append(None)
        if len(begun) == 10:
            all_begun.set()
        # One after the other, the first would wait for ever.
        all_begun.wait()

    socks = [tcp.resolving(look_up) for _ in range(10)]
    for sock in socks:
        sock.wait("connect")
    assert len(begun) == 10


def test_ten_slow_connects_run_side_by_side_in_blocking_style(tcp: Net) -> None:
    running = most = 0

    def lookup() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        tcp.turns(3)
        running -= 1

    socks = [tcp.resolving(lookup) for _ in range(10)]
    for sock in socks:
        with sock:
            sock.sendall(b"x")
    assert most == 10


def test_with_waits_for_the_connection_and_closes_it(net: Net) -> None:
    listener = net.listening_peer()
    with net.connect(listener) as sock:
        assert not sock.connecting
        assert sock.remote_family == {"ipv4": "IPv4", "ipv6": "IPv6"}.get(net.kind)
        peer = net.keep(listener.accept()[0])
        sock.sendall(b"hello")
    assert peer.makefile("rb").read() == b"hello"
    peer.close()
    net.closed(sock)


def test_with_raises_what_the_connection_failed_with(net: Net) -> None:
    sock = gnet.connect(*net.refusing())
    with pytest.raises(ConnectionRefusedError), sock:
        pytest.fail("the body was entered")
    assert net.closed(sock)


def test_with_closes_when_its_body_raises(net: Net) -> None:
    listener = net.listening_peer()
    with pytest.raises(ValueError, match="of the body"), net.connect(listener) as sock:
        raise ValueError("of the body")
    assert net.keep(listener.accept()[0]).recv(1) == b""
    sock.destroy()


@pytest.mark.parametrize("call", ["recv", "recv_into", "readline", "iter", "wait"])
def test_blocking_reads_wait_for_the_connection(tcp: Net, call: str) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    server.on("connection", lambda connection: connection.write(b"greeting\n"))
    buffer = bytearray(100)
    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "recv_into": lambda: bytes(buffer[: sock.recv_into(buffer)]),
        "readline": lambda: sock.makefile("rb").readline(),
        "iter": lambda: next(iter(sock)),
        "wait": lambda: sock.wait("data")[0],
    }
    reader = gevent.spawn(calls[call])
    tcp.turns()
    assert not reader.ready()
    resolved.set()
    assert reader.get() == b"greeting\n"


def test_sendall_waits_for_the_connection(tcp: Net) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    arrived: Any = gevent.event.AsyncResult()
    server.on("connection", lambda connection: connection.once("data", arrived.set))
    writer = gevent.spawn(sock.sendall, b"hello")
    tcp.turns()
    assert not writer.ready()
    resolved.set()
    writer.get()
    assert arrived.get() == b"hello"


def test_write_before_the_connection_is_queued(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    assert sock.write(b"one ", callback=must_call()) is True
    assert sock.write("two ", callback=must_call()) is True
    assert sock.writable_length == 8
    assert sock.bytes_written == 8
    assert sock.write(bytes(70_000)) is False
    sock.on("drain", must_call())
    writer = gevent.spawn(sock.sendall, b" three")
    peer = net.keep(listener.accept()[0])
    writer.get()
    sock.end()
    assert peer.makefile("rb").read() == b"one two " + bytes(70_000) + b" three"
    must_call.wait()
    assert sock.bytes_written == 8 + 70_000 + 6


def test_end_before_the_connection_sends_and_ends(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.end(b"all there is", callback=must_call())
    peer = net.keep(listener.accept()[0])
    assert peer.makefile("rb").read() == b"all there is"
    peer.close()
    must_call.wait()
    assert net.closed(sock) is False


def test_close_before_the_connection_sends_what_was_written(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.write(b"all there is")
    sock.close()
    peer = net.keep(listener.accept()[0])
    assert peer.makefile("rb").read() == b"all there is"
    peer.close()
    net.closed(sock)


def test_a_data_listener_before_the_connection_gets_the_data(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    arrived: Any = gevent.event.AsyncResult()
    sock.on("data", arrived.set)
    net.keep(listener.accept()[0]).sendall(b"hello")
    assert arrived.get() == b"hello"


def test_pause_before_the_connection_holds(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    arrived: Any = gevent.event.AsyncResult()
    sock.on("data", arrived.set)
    sock.pause()
    net.keep(listener.accept()[0]).sendall(b"hello")
    sock.wait("connect")
    net.turns()
    assert not arrived.ready()
    sock.resume()
    assert arrived.get() == b"hello"


def test_destroy_while_connecting_emits_close_and_no_connect(
    tcp: Net, must_call: Calls, must_not_call: MustNotCall
) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    sock.on("connect", must_not_call("connect"))
    sock.on("error", must_not_call("error"))
    sock.on("close", must_call())
    tcp.turns(2)
    sock.destroy()
    must_call.wait()
    resolved.set()
    tcp.turns()
    assert sock.destroyed
    assert sock.ready_state == "closed"


def test_a_signal_ends_a_connection_that_is_being_made(tcp: Net) -> None:
    resolved, abort = Event(), Event()

    def lookup(hostname: str, **options: Any) -> Any:
        resolved.wait()
        return [("127.0.0.1", 4)]

    port, _ = tcp.target(tcp.server())
    sock = tcp.keep(gnet.connect(port, "some.name", lookup=lookup, signal=abort))
    waiter = tcp.start(sock.wait, "connect")
    abort.set()
    error = waiter.get()
    assert isinstance(error, errors.AbortError)
    assert error.code == "ABORT_ERR"
    resolved.set()


def test_a_blocking_call_on_a_socket_that_never_connects_raises() -> None:
    sock = gnet.Socket()
    assert sock.pending
    assert not sock.connecting
    for call in (sock.recv, lambda: sock.sendall(b"x")):
        with pytest.raises(OSError, match="ENOTCONN") as caught:
            call()  # type: ignore[operator]
        assert caught.value.code == "ENOTCONN"  # type: ignore[attr-defined]


def test_every_call_that_waits_is_served_by_one_connection(tcp: Net) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    waits = [gevent.spawn(sock.wait, "connect") for _ in range(3)]
    waits += [gevent.spawn(sock.sendall, b"x") for _ in range(3)]
    waits += [gevent.spawn(sock.wait, "ready")]
    tcp.turns(2)
    resolved.set()
    gevent.joinall(waits, raise_error=True)
    assert sock.bytes_written == 3


def test_connect_while_connecting_or_connected_is_an_error(net: Net) -> None:
    server = net.server()
    sock = net.connect(server)
    with pytest.raises(Exception, match="(?i)connect") as caught:
        sock.connect(*net.target(server))
    assert caught.value.code  # type: ignore[attr-defined]
    sock.wait("connect")
    with pytest.raises(Exception, match="(?i)connect"):
        sock.connect(*net.target(server))
    assert not sock.destroyed


def test_a_with_statement_that_is_interrupted_while_it_waits_closes_the_socket(
    tcp: Net,
) -> None:
    """Its __exit__() will not be called: nobody else could."""
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    with gevent.Timeout(0.03, False), sock:
        pytest.fail("the body was entered")
    assert sock.destroyed
    resolved.set()
