"""What the specification leaves open, point by point as it was settled."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]
SHORT = 0.03
BIG = 10_000_000


class Interrupted(Exception):
    """What the timeouts of these tests raise."""


# ---------------------------------------------------------------------------------------------
# 1. End of stream in blocking style.


@pytest.mark.parametrize("call", ["recv", "recv_into", "read", "readline", "iter"])
@pytest.mark.parametrize("end_on_return", [False, True])
def test_01_a_handler_may_read_to_the_end_and_then_answer(
    net: Net, call: str, end_on_return: bool
) -> None:
    def handler(sock: gnet.Socket) -> None:
        if call == "recv":
            while sock.recv():
                pass
        elif call == "recv_into":
            while sock.recv_into(bytearray(10)):
                pass
        elif call == "read":
            sock.makefile("rb").read()
        elif call == "readline":
            while sock.makefile("rb").readline():
                pass
        else:
            list(sock)
        net.turns()
        sock.sendall(b"answer")
        if not end_on_return:
            sock.close()

    peer = net.peer(net.server(handler, end_on_return=end_on_return))
    peer.sendall(b"question")
    peer.shutdown(1)
    assert peer.makefile("rb").read() == b"answer"


def test_01_an_end_that_comes_while_the_handler_is_busy_is_the_handlers_as_well(
    net: Net,
) -> None:
    go = Event()

    def handler(sock: gnet.Socket) -> None:
        assert sock.recv() == b"question"
        go.wait()
        sock.sendall(b"answer")

    peer = net.peer(net.server(handler, end_on_return=True))
    peer.sendall(b"question")
    peer.shutdown(1)
    net.turns(10)
    go.set()
    assert peer.makefile("rb").read() == b"answer"


def test_01_an_end_before_the_handlers_first_read_is_the_handlers_as_well(net: Net) -> None:
    go = Event()

    def handler(sock: gnet.Socket) -> None:
        go.wait()
        assert sock.recv() == b""
        sock.sendall(b"answer")

    peer = net.peer(net.server(handler, end_on_return=True))
    peer.shutdown(1)
    net.turns(10)
    go.set()
    assert peer.makefile("rb").read() == b"answer"


def test_01_a_client_may_read_to_the_end_and_then_answer(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"greeting")
    peer.shutdown(1)
    assert sock.recv() == b"greeting"
    assert sock.recv() == b""
    net.turns()
    assert sock.recv() == b""
    sock.sendall(b"answer")
    assert peer.recv(100) == b"answer"
    sock.close()


def test_01_in_event_style_the_end_is_answered_with_the_end(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    peer.shutdown(1)
    assert peer.recv(1) == b""
    assert net.closed(sock) is False


# ---------------------------------------------------------------------------------------------
# 2. Bound is bound.


def test_02_address_and_listening_are_right_when_listen_has_returned_and_until_close(
    net: Net,
) -> None:
    server = net.keep(gnet.create_server())
    assert server.address() is None
    assert not server.listening
    place = net.place()
    assert server.listen(*place) is server
    address = server.address()
    assert server.listening
    if net.is_tcp:
        assert isinstance(address, gnet.AddressInfo)
        assert address.address == place[1]
        assert address.port > 0
        assert address.family == {"ipv4": "IPv4", "ipv6": "IPv6"}[net.kind]
    else:
        assert address == place[0]
    # And it can be connected to.
    peer = net.peer(server)
    server.close()
    assert server.address() is None
    assert not server.listening
    peer.close()


# ---------------------------------------------------------------------------------------------
# 3. What comes once and has come is not waited for.


def test_03_what_has_come_is_not_waited_for(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.on("data", lambda chunk: None)
    peer = net.keep(listener.accept()[0])
    for _ in range(2):
        assert sock.wait("connect") == ()
        assert sock.wait("ready") == ()
    peer.close()
    for _ in range(2):
        assert sock.wait("end") == ()
        assert sock.wait("finish") == ()
        assert sock.wait("close") == (False,)


def test_03_listening_that_has_come_is_not_waited_for(net: Net) -> None:
    server = net.server()
    for _ in range(2):
        assert server.wait("listening") == ()
    server.close()
    for _ in range(2):
        assert server.wait("close") == ()


def test_03_the_close_of_a_socket_that_had_an_error_says_so(net: Net) -> None:
    sock, _ = net.accepted()
    sock.on("error", lambda error: None)
    sock.destroy(ValueError("of the test"))
    net.closed(sock)
    assert sock.wait("close") == (True,)
    assert sock.wait("close", timeout=1) == (True,)


def test_03_what_comes_again_and_again_is_waited_for(net: Net) -> None:
    sock, peer = net.accepted()
    for message in (b"one", b"two"):
        waiter = net.start(sock.wait, "data")
        net.turns(2)
        assert not waiter.ready()
        peer.sendall(message)
        assert waiter.get() == (message,)


def test_03_what_was_emitted_before_a_second_connect_has_not_come_again(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    net.keep(listener.accept()[0]).close()
    assert net.closed(sock) is False
    sock.connect(*net.target(listener))
    net.keep(listener.accept()[0])
    assert sock.wait("connect") == ()
    for event in ("end", "finish", "close"):
        with pytest.raises(TimeoutError):
            sock.wait(event, timeout=SHORT)


# ---------------------------------------------------------------------------------------------
# 4. A blocking call's beginning is activity.


@pytest.mark.parametrize("call", ["recv", "sendall", "wait"])
def test_04_each_call_has_the_whole_time(net: Net, call: str) -> None:
    sock, _ = net.accepted()
    if call == "sendall":
        while sock.write(bytes(1_000_000)):
            pass
    sock.set_timeout(0.2)
    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "sendall": lambda: sock.sendall(b"x"),
        "wait": lambda: sock.wait("end"),
    }
    for _ in range(2):
        gevent.sleep(0.15)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            calls[call]()
        assert time.monotonic() - begun > 0.18


# ---------------------------------------------------------------------------------------------
# 5. A sendall that is interrupted.


@pytest.mark.parametrize("how", ["timeout", "kill", "idle"])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_05_an_interrupted_sendall_leaves_its_rest_ahead_of_the_next_message(
    net: Net, how: str, kind: Any
) -> None:
    sock, peer = net.accepted()
    message = kind(b"a" * BIG)
    if how == "timeout":
        with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
            sock.sendall(message)
    elif how == "idle":
        sock.set_timeout(SHORT)
        with pytest.raises(TimeoutError):
            sock.sendall(message)
        sock.set_timeout(None)
    else:
        writer = gevent.spawn(sock.sendall, message)
        net.turns()
        writer.kill()
    assert sock.writable_length > 0
    if kind is bytearray:
        message[:] = b"z" * BIG
    sock.write(b"b" * 100)
    sock.end()
    assert peer.makefile("rb").read() == b"a" * BIG + b"b" * 100
    assert sock.bytes_written == BIG + 100


# ---------------------------------------------------------------------------------------------
# 6. Buffers.


def test_06_the_unsent_rest_of_a_mutable_buffer_is_copied(net: Net) -> None:
    sock, peer = net.accepted()
    data = bytearray(b"a" * BIG)
    sock.write(data)
    assert sock.writable_length > 0
    data[:] = b"b" * BIG
    data.append(1)  # a buffer that is still exported could not be resized
    view = memoryview(bytearray(b"c" * 1000))
    sock.write(view)
    view[:] = bytes(1000)
    view.release()
    sock.end()
    assert peer.makefile("rb").read() == b"a" * BIG + b"c" * 1000


def test_06_a_mutable_buffer_before_the_connection_is_copied(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    data = bytearray(b"before")
    sock.write(data)
    data[:] = b"after!"
    sock.end()
    assert net.keep(listener.accept()[0]).makefile("rb").read() == b"before"


def test_06_bytes_are_not_copied(net: Net) -> None:
    import tracemalloc

    sock, _ = net.accepted()
    data = bytes(30_000_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sock.write(data)
        assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    finally:
        tracemalloc.stop()
    assert sock.writable_length > 20_000_000


# ---------------------------------------------------------------------------------------------
# 7. Who refers to a socket.


def alive(reference: Callable[[], Any]) -> bool:
    for _ in range(3):
        gc.collect()
        gevent.sleep(0)
    return reference() is not None


def test_07_a_socket_with_listeners_is_kept(net: Net) -> None:
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    arrived = AsyncResult()
    sock.on("data", arrived.set)
    sock.wait("connect")
    reference = weakref.ref(sock)
    del sock
    assert alive(reference)
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"hello")
    assert arrived.get() == b"hello"
    peer.close()
    gnet.run()
    del arrived
    assert not alive(reference)


def test_07_a_socket_with_bytes_queued_is_kept(net: Net) -> None:
    listener = net.listening_peer()
    sock = gnet.connect(*net.target(listener))
    sock.wait("connect")
    sock.write(bytes(BIG))
    reference = weakref.ref(sock)
    del sock
    assert alive(reference)
    peer = net.keep(listener.accept()[0])
    received = 0
    with pytest.warns(ResourceWarning, match="unclosed"):
        while received < BIG:
            received += len(peer.recv(1_000_000))
        net.turns()
        gc.collect()
    assert not alive(reference)
    assert peer.recv(1) == b""


def test_07_a_socket_that_connects_is_kept(tcp: Net) -> None:
    resolved = Event()
    made: list[Any] = []

    def lookup(hostname: str, **options: Any) -> Any:
        resolved.wait()
        return [("127.0.0.1", 4)]

    server = tcp.server(lambda sock: made.append(sock))
    sock = gnet.connect(tcp.target(server)[0], "some.name", lookup=lookup)
    reference = weakref.ref(sock)
    connected = Event()
    sock.once("connect", connected.set)
    del sock
    tcp.turns()
    assert alive(reference)
    with pytest.warns(ResourceWarning, match="unclosed"):
        resolved.set()
        connected.wait()
        tcp.turns()
        gc.collect()
    assert not alive(reference)


def test_07_a_server_keeps_its_connections(net: Net) -> None:
    references: Queue[Any] = Queue()
    server = net.server(lambda sock: references.put(weakref.ref(sock)))
    peer = net.peer(server)
    reference = references.get()
    assert alive(reference)
    assert server.connections == {reference()}
    peer.sendall(b"hello")
    assert reference().recv() == b"hello"


# ---------------------------------------------------------------------------------------------
# 8. The two seconds of close().


@pytest.mark.limit(20)
def test_08_a_slow_reader_loses_nothing(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    sock.write(bytes(BIG))
    begun = time.monotonic()
    sock.close()
    gevent.sleep(2.5)
    assert not sock.destroyed
    received = 0
    while chunk := peer.recv(1_000_000):
        received += len(chunk)
    assert received == BIG
    sent = time.monotonic()
    assert sent - begun > 2.4
    assert tcp.closed(sock) is False
    assert 1.7 < time.monotonic() - sent < 6


# ---------------------------------------------------------------------------------------------
# 9. close() under an open makefile().


def test_09_close_takes_effect_when_the_last_file_is_closed(net: Net) -> None:
    sock, peer = net.accepted()
    first, second = sock.makefile("rb"), sock.makefile("wb")
    sock.close()
    peer.sendall(b"line\n")
    assert first.readline() == b"line\n"
    second.write(b"answer\n")
    second.flush()
    assert peer.recv(100) == b"answer\n"
    first.close()
    net.turns()
    assert not sock.destroyed
    second.write(b"last\n")
    second.close()
    assert peer.makefile("rb").read() == b"last\n"
    peer.close()
    assert net.closed(sock) is False


def test_09_a_file_that_is_closed_first_closes_no_socket(net: Net) -> None:
    sock, peer = net.accepted()
    with sock.makefile("rwb") as file:
        file.write(b"one")
    sock.sendall(b"two")
    received = b""
    while len(received) < 6:
        received += peer.recv(100)
    assert received == b"onetwo"


@pytest.mark.parametrize("mode", ["r", "w", "rw", "rb", "wb", "rwb"])
def test_09_the_modes_of_makefile(net: Net, mode: str) -> None:
    sock, peer = net.accepted()
    text = "b" not in mode
    options = {"encoding": "utf-8", "newline": "\n"} if text else {}
    with sock.makefile(mode, **options) as file:
        if "w" in mode:
            file.write("grüße\n" if text else "grüße\n".encode())
            file.flush()
            assert peer.recv(100) == "grüße\n".encode()
        if "r" in mode:
            peer.sendall("grüße\n".encode())
            assert file.readline() == ("grüße\n" if text else "grüße\n".encode())


# ---------------------------------------------------------------------------------------------
# 10. run(timeout)


def test_10_run_says_whether_anything_was_left(net: Net) -> None:
    assert gnet.run(SHORT) is True
    server = net.server()
    begun = time.monotonic()
    assert gnet.run(SHORT) is False
    assert time.monotonic() - begun >= SHORT * 0.9
    assert gnet.run(timeout=0) is False
    gevent.spawn_later(SHORT, server.close)
    assert gnet.run(timeout=5) is True


@pytest.mark.parametrize("wrong", [-1, float("nan"), "1", True])
def test_10_an_impossible_timeout_is_an_error(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        gnet.run(wrong)
    assert caught.value.code  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------
# 11. emit("error") on a plain emitter.


def test_11_an_error_that_nobody_listens_to_is_raised_by_emit() -> None:
    emitter = gnet.EventEmitter()
    error = ValueError("of the test")
    with pytest.raises(ValueError, match="of the test") as caught:
        emitter.emit("error", error)
    assert caught.value is error
    seen: list[Any] = []
    emitter.on("error", seen.append)
    assert emitter.emit("error", error) is True
    assert seen == [error]


# ---------------------------------------------------------------------------------------------
# 12. A TimeoutError of rule 4 that leaves a listener.


@pytest.mark.parametrize("end_on_return", [False, True])
@pytest.mark.parametrize("call", ["recv", "sendall", "wait", "readline"])
def test_12_an_idle_timeout_that_leaves_its_handler_closes_the_connection_silently(
    net: Net, end_on_return: bool, call: str, hub_errors: list[BaseException]
) -> None:
    entered: Queue[gnet.Socket] = Queue()

    def handler(sock: gnet.Socket) -> None:
        entered.put(sock)
        sock.set_timeout(SHORT)
        calls: dict[str, Callable[[], Any]] = {
            "recv": sock.recv,
            "sendall": lambda: sock.sendall(bytes(BIG)),
            "wait": lambda: sock.wait("data"),
            "readline": lambda: sock.makefile("rb").readline(),
        }
        calls[call]()

    peer = net.peer(net.server(handler, end_on_return=end_on_return))
    sock = entered.get()
    net.closed(sock)
    net.turns()
    assert hub_errors == []
    peer.close()


def test_12_a_timeout_error_of_the_handlers_own_is_a_bug(
    net: Net, hub_errors: list[BaseException]
) -> None:
    entered: Queue[gnet.Socket] = Queue()

    def handler(sock: gnet.Socket) -> None:
        entered.put(sock)
        raise TimeoutError("made up")

    net.peer(net.server(handler, end_on_return=True))
    net.closed(entered.get())
    net.turns()
    assert [str(each) for each in hub_errors] == ["made up"]
    hub_errors.clear()


# ---------------------------------------------------------------------------------------------
# 13. A callable where host or backlog may stand.


def test_13_a_callable_where_host_may_stand_is_the_listener(
    tcp: Net, must_call: Calls, directory: Any
) -> None:
    server = tcp.keep(gnet.create_server())
    server.listen(0, must_call())
    port = server.address().port
    tcp.keep(gnet.connect(port, must_call()))
    tcp.keep(gnet.connect(port, "localhost", must_call()))
    tcp.keep(gnet.connect(("localhost", port), must_call()))
    tcp.keep(gnet.Socket()).connect(port, must_call())
    other = tcp.keep(gnet.create_server())
    other.listen(0, "127.0.0.1", must_call())
    third = tcp.keep(gnet.create_server())
    path = str(directory / "path")
    third.listen(path, must_call())
    tcp.keep(gnet.connect(path, must_call()))
    fifth = tcp.keep(gnet.create_server())
    fifth.listen(0, "127.0.0.1", 5, must_call())
    sixth = tcp.keep(gnet.create_server())
    sixth.listen(must_call())
    must_call.wait()


def test_13_a_backlog_may_stand_behind_a_path(tcp: Net, must_call: Calls, directory: Any) -> None:
    """Node's ``listen(path, backlog, callback)``: a path has no host."""
    server = tcp.keep(gnet.create_server())
    server.listen(str(directory / "path"), 5, must_call())
    must_call.wait()


# ---------------------------------------------------------------------------------------------
# 14. Racing starts with the family of the first address returned.


@pytest.mark.parametrize("first", [4, 6])
def test_14_racing_starts_with_the_family_of_the_first_address(tcp: Net, first: int) -> None:
    addresses = {4: ["127.0.0.1", "127.0.0.2"], 6: ["::1"]}
    other = 10 - first
    # Nobody listens there: every address is tried, in its turn.
    place = tcp.keep(socket.socket(socket.AF_INET6))
    place.bind(("::", 0))
    port = place.getsockname()[1]

    def lookup(hostname: str, **options: Any) -> Any:
        assert options.get("all") is True
        return [(address, first) for address in addresses[first]] + [
            (address, other) for address in addresses[other]
        ]

    sock = tcp.keep(gnet.connect(port, "some.name", lookup=lookup))
    tried: list[int] = []
    sock.on("connection_attempt", lambda ip, port, family: tried.append(family))
    with pytest.raises(gnet.AggregateError) as caught:
        sock.wait("connect")
    assert tried == [first, other, 4]
    error: Any = caught.value
    assert len(error.errors) == 3
    assert error.code == "ECONNREFUSED"
    assert error.errno == error.errors[0].errno
    assert isinstance(error, OSError)
    assert len(sock.auto_select_family_attempted_addresses) == 3


# ---------------------------------------------------------------------------------------------
# 15. ready_state


def test_15_the_ready_state_of_a_socket(net: Net) -> None:
    sock = net.keep(gnet.Socket())
    assert sock.ready_state == "closed"
    assert sock.pending
    sock.connect(*net.target(net.server(allow_half_open=True)))
    assert sock.ready_state == "opening"
    sock.wait("connect")
    assert sock.ready_state == "open"
    assert not sock.pending
    sock.end()
    assert sock.ready_state == "read_only"
    sock.destroy()
    assert sock.ready_state == "closed"
    assert net.closed(sock) is False
    assert sock.ready_state == "closed"
    assert sock.pending


def test_15_the_ready_state_of_a_socket_whose_peer_has_ended(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    sock.resume()
    peer.shutdown(1)
    sock.wait("end")
    assert sock.ready_state == "write_only"
