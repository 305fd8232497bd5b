"""Rule 8: data, end, close; or error, close. And no reset destroys the last bytes sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]

EVENTS = ("connect", "ready", "data", "end", "finish", "drain", "timeout", "error", "close")


def recorded(sock: gnet.Socket, *without: str) -> list[str]:
    """The names of the socket's events from now on, in their order."""
    log: list[str] = []
    for event in EVENTS:
        if event not in without:
            sock.on(event, lambda *args, event=event: log.append(event))
    return log


# ---------------------------------------------------------------------------------------------
# Order.


def test_data_then_end_then_close(net: Net) -> None:
    sock, peer = net.accepted()
    log = recorded(sock)
    peer.sendall(b"data")
    peer.close()
    net.closed(sock)
    net.turns()
    assert log in (["data", "end", "finish", "close"],)


def test_a_clients_events_come_in_order(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    log = recorded(sock)
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"data")
    peer.close()
    net.closed(sock)
    net.turns()
    assert log == ["connect", "ready", "data", "end", "finish", "close"]


def test_error_then_close_and_nothing_else(net: Net) -> None:
    sock, peer = net.accepted()
    log = recorded(sock)
    net.reset(sock, peer)
    net.closed(sock)
    net.turns()
    assert log == ["error", "close"]


def test_a_refused_connection_emits_error_then_close(net: Net) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    log = recorded(sock)
    net.closed(sock)
    net.turns()
    assert log == ["error", "close"]


def test_destroy_emits_close_alone(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"unread")
    net.turns()
    log = recorded(sock)
    sock.destroy()
    sock.destroy()
    net.closed(sock)
    net.turns()
    assert log == ["close"]


def test_close_comes_once_and_last_whatever_is_called_afterwards(net: Net) -> None:
    sock, _ = net.accepted()
    log = recorded(sock)
    sock.destroy()
    net.closed(sock)
    sock.destroy()
    sock.destroy(ValueError("too late"))
    sock.end()
    sock.close()
    sock.pause()
    sock.resume()
    sock.write(b"too late")
    net.turns()
    assert log == ["close"]


def test_end_behind_queued_data_sends_all_of_it(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    data = bytes(range(256)) * 20_000
    sock.write(data)
    sock.on("finish", must_call())
    sock.end(b"last", callback=must_call())
    assert sock.writable_ended
    assert not sock.writable_finished
    assert peer.makefile("rb").read() == data + b"last"
    must_call.wait()
    assert sock.writable_finished
    assert sock.ready_state == "read_only"
    assert not sock.destroyed


def test_an_ended_socket_goes_on_reading(net: Net) -> None:
    sock, peer = net.accepted()
    chunks: list[bytes] = []
    sock.on("data", chunks.append)
    sock.end(b"question")
    assert peer.makefile("rb").read() == b"question"
    peer.sendall(b"answer")
    peer.close()
    assert net.closed(sock) is False
    assert b"".join(chunks) == b"answer"


def test_end_is_idempotent(net: Net, must_call: Calls) -> None:
    sock, _peer = net.accepted(allow_half_open=True)
    finished = must_call()
    sock.on("finish", finished)
    assert sock.end() is sock
    sock.end()
    sock.end(callback=must_call())
    must_call.wait()
    sock.end(callback=must_call())
    must_call.wait()


# ---------------------------------------------------------------------------------------------
# Half open.


def test_without_half_open_the_writable_side_ends_after_the_end_listeners(net: Net) -> None:
    sock, peer = net.accepted()
    leave = Event()

    def ended() -> None:
        sock.write(b"one ")
        leave.wait()
        sock.write(b"two")

    sock.on("data", lambda chunk: None)
    sock.on("end", ended)
    peer.shutdown(1)
    assert peer.recv(100) == b"one "
    leave.set()
    assert peer.makefile("rb").read() == b"two"
    assert net.closed(sock) is False


def test_without_half_open_what_is_queued_is_sent_before_the_end(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    data = bytes(range(256)) * 20_000
    sock.write(data)
    peer.shutdown(1)
    sock.wait("end")
    net.turns()
    assert not sock.destroyed
    assert peer.makefile("rb").read() == data
    assert net.closed(sock) is False


def test_with_half_open_the_writable_side_stays_until_it_is_ended(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    sock.resume()
    peer.shutdown(1)
    sock.wait("end")
    net.turns()
    assert sock.writable
    assert sock.ready_state == "write_only"
    sock.write(b"one ")
    assert peer.recv(100) == b"one "
    sock.end(b"two")
    assert peer.makefile("rb").read() == b"two"
    assert net.closed(sock) is False


def test_a_half_open_client(net: Net) -> None:
    sock, peer = net.connected(allow_half_open=True)
    assert sock.allow_half_open is True
    sock.resume()
    peer.shutdown(1)
    sock.wait("end")
    net.turns()
    sock.end(b"answer")
    assert peer.makefile("rb").read() == b"answer"


def test_half_open_may_be_set_until_the_end(net: Net) -> None:
    sock, peer = net.accepted()
    assert sock.allow_half_open is False
    sock.allow_half_open = True
    sock.resume()
    peer.shutdown(1)
    sock.wait("end")
    net.turns()
    assert sock.writable


# ---------------------------------------------------------------------------------------------
# What stays readable.


def test_addresses_stay_readable_in_close(net: Net) -> None:
    sock, peer = net.accepted()
    names = (
        "remote_address", "remote_port", "remote_family",
        "local_address", "local_port", "local_family",
    )  # fmt: skip
    before = [getattr(sock, name) for name in names]
    seen: Queue[Any] = Queue()
    sock.on("close", lambda had_error: seen.put([getattr(sock, name) for name in names]))
    if net.is_tcp:
        assert before[:3] == [peer.getsockname()[0], peer.getsockname()[1], sock.remote_family]
        assert before[2] == before[5] == {"ipv4": "IPv4", "ipv6": "IPv6"}[net.kind]
    sock.destroy()
    assert seen.get() == before


def test_addresses_stay_readable_when_the_peer_was_gone_before_anyone_asked(net: Net) -> None:
    server = net.keep(gnet.create_server())
    seen: Queue[Any] = Queue()

    def connected(sock: gnet.Socket) -> None:
        sock.on("error", lambda error: None)
        sock.on("close", lambda had_error: seen.put((sock.remote_port, sock.remote_family)))

    server.on("connection", connected)
    server.listen(*net.place())
    peer = net.peer(server)
    port = peer.getsockname()[1] if net.is_tcp else None
    peer.close()
    family = {"ipv4": "IPv4", "ipv6": "IPv6"}.get(net.kind)
    assert seen.get() == (port, family)


def test_counts_and_states_stay_readable_in_close(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(b"12345")
    peer.sendall(b"123")
    sock.wait("data")
    seen: Queue[Any] = Queue()
    sock.on(
        "close",
        lambda had_error: seen.put(
            (sock.bytes_written, sock.bytes_read, sock.destroyed, sock.closed, sock.ready_state)
        ),
    )
    sock.destroy()
    assert seen.get() == (5, 3, True, True, "closed")


# ---------------------------------------------------------------------------------------------
# connect() again.


def test_a_closed_socket_may_connect_again(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    chunks: list[Any] = []
    sock.set_encoding("utf-8")
    sock.on("data", chunks.append)
    connects: list[Any] = []
    sock.on("connect", lambda: connects.append((sock.bytes_read, sock.bytes_written)))
    for number in range(1, 4):
        peer = net.keep(listener.accept()[0])
        sock.wait("connect")
        sock.write(b"x" * number)
        assert peer.recv(100) == b"x" * number
        peer.sendall("ä".encode() * number)
        peer.close() if number % 2 else peer.shutdown(1)
        net.closed(sock)
        assert sock.bytes_read == 2 * number
        assert sock.bytes_written == number
        assert "".join(chunks) == "ä" * number
        chunks.clear()
        assert sock.pending
        sock.connect(*net.target(listener))
        assert sock.connecting
        assert not sock.destroyed
        assert not sock.closed
        assert sock.bytes_read == sock.bytes_written == 0
    net.keep(listener.accept()[0])
    sock.wait("connect")
    assert connects == [(0, 0)] * 4


def test_a_socket_may_connect_again_in_its_close_listener(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    closes: list[bool] = []

    @sock.on("close")
    def closed(had_error: bool) -> None:
        closes.append(sock.pending)
        if len(closes) < 3:
            sock.connect(*net.target(listener))

    for _ in range(3):
        net.keep(listener.accept()[0]).close()
    while len(closes) < 3:
        net.turns(1)
    assert closes == [True] * 3


def test_a_socket_that_was_refused_may_connect_again(net: Net) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    with pytest.raises(ConnectionRefusedError):
        sock.wait("connect")
    net.closed(sock)
    listener = net.listening_peer()
    sock.connect(*net.target(listener))
    peer = net.keep(listener.accept()[0])
    sock.sendall(b"hello")
    assert peer.recv(100) == b"hello"
    peer.sendall(b"answer")
    assert sock.recv() == b"answer"


def test_a_socket_may_be_used_in_both_styles_after_it_has_connected_again(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    with sock:
        net.keep(listener.accept()[0]).close()
        assert sock.recv() == b""
    net.closed(sock)
    with sock.connect(*net.target(listener)):
        peer = net.keep(listener.accept()[0])
        peer.sendall(b"again")
        assert sock.recv() == b"again"
        sock.sendall(b"and again")
        assert peer.recv(100) == b"and again"
        assert sock.wait("connect") == ()
        peer.close()


# ---------------------------------------------------------------------------------------------
# close()


def test_close_sends_what_is_queued_and_ends(net: Net) -> None:
    sock, peer = net.accepted()
    data = bytes(range(256)) * 20_000
    sock.write(data)
    # Nobody reads yet: it would wait for ever.
    assert sock.close() is None
    assert peer.makefile("rb").read() == data
    peer.close()
    assert net.closed(sock) is False


def assert_arrives(peer: Any, answer: bytes, more: bytes) -> None:
    """The peer receives an answer and an end; it goes on sending ``more`` while it reads."""
    received = bytearray()
    while len(received) < len(answer):
        if more:
            peer.send(more)
        chunk = peer.recv(65536)
        assert chunk
        received += chunk
    assert received == answer
    assert peer.recv(1) == b""
    peer.close()


def test_close_with_unread_input_destroys_none_of_the_last_bytes(net: Net) -> None:
    """A descriptor that is closed with something unread makes TCP reset the connection."""
    sock, peer = net.accepted()
    peer.sendall(bytes(100_000))
    net.turns()
    answer = b"answer" * 100_000
    sock.write(answer)
    sock.close()
    net.turns()
    assert_arrives(peer, answer, b"more")
    assert net.closed(sock) is False


def test_what_arrives_after_close_is_discarded(net: Net, must_not_call: MustNotCall) -> None:
    sock, peer = net.accepted()
    sock.on("data", must_not_call("data"))
    sock.close()
    peer.sendall(bytes(1_000_000))
    peer.close()
    assert net.closed(sock) is False


def test_the_descriptor_goes_when_the_peer_has_ended(net: Net) -> None:
    sock, peer = net.accepted()
    sock.close()
    assert peer.recv(1) == b""
    net.turns()
    assert not sock.destroyed
    begun = time.monotonic()
    peer.close()
    assert net.closed(sock) is False
    assert time.monotonic() - begun < 1.9


def test_the_descriptor_goes_after_two_seconds_if_the_peer_does_not_end(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    begun = time.monotonic()
    sock.close()
    assert peer.recv(1) == b""
    assert tcp.closed(sock) is False
    assert 1.8 < time.monotonic() - begun < 6


def test_a_peer_that_never_stops_sending_does_not_prolong_the_two_seconds(tcp: Net) -> None:
    sock, peer = tcp.accepted()

    def flood() -> None:
        try:
            while True:
                peer.sendall(bytes(1000))
                gevent.sleep(0.01)
        except OSError:
            return

    flooding = gevent.spawn(flood)
    begun = time.monotonic()
    sock.close()
    assert tcp.closed(sock) is False
    assert 1.8 < time.monotonic() - begun < 6
    flooding.kill()


def test_close_after_the_peer_has_ended_is_over_at_once(net: Net) -> None:
    sock, peer = net.accepted()
    peer.shutdown(1)
    assert sock.recv() == b""
    sock.sendall(b"answer")
    begun = time.monotonic()
    sock.close()
    assert net.closed(sock) is False
    assert time.monotonic() - begun < 1.9
    assert peer.makefile("rb").read() == b"answer"


def test_a_reset_after_close_is_nobodys_error(
    net: Net, must_not_call: MustNotCall, hub_errors: list[BaseException]
) -> None:
    sock, peer = net.accepted()
    sock.sendall(b"unread by the peer")
    sock.close()
    net.turns()
    peer.close()
    net.closed(sock)
    assert hub_errors == []


def test_close_is_idempotent_and_nothing_can_be_done_afterwards(net: Net) -> None:
    sock, peer = net.accepted()
    sock.close()
    sock.close()
    with pytest.raises(OSError, match="(?i)closed|ended"):
        sock.recv()
    with pytest.raises(OSError, match="(?i)closed|end"):
        sock.sendall(b"x")
    peer.close()
    net.closed(sock)
    sock.close()


def test_close_of_a_socket_that_was_never_connected() -> None:
    sock = gnet.Socket()
    sock.close()
    assert sock.wait("close") == (False,)


def test_leaving_a_with_block_keeps_the_last_words(net: Net) -> None:
    answers: Queue[bytes] = Queue()

    def handler(sock: gnet.Socket) -> None:
        with sock:
            sock.recv(1)
            sock.sendall(b"too long; " * 50_000)

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(bytes(100_000))
    reader = gevent.spawn(lambda: answers.put(peer.makefile("rb").read()))
    assert answers.get() == b"too long; " * 50_000
    reader.get()
    peer.close()


def test_a_handler_that_returns_keeps_its_last_words(net: Net) -> None:
    def handler(sock: gnet.Socket) -> None:
        sock.recv(1)
        sock.write(b"goodbye" * 100_000)

    peer = net.peer(net.server(handler, end_on_return=True))
    peer.sendall(bytes(100_000))
    assert peer.makefile("rb").read() == b"goodbye" * 100_000


@pytest.mark.parametrize("call", ["recv", "readline", "iteration", "non-blocking", "listeners"])
def test_an_answer_behind_the_servers_shutdown_arrives_though_its_peer_goes_on_sending(
    net: Net, call: str
) -> None:
    """A handler that reads an end, as the server shuts down, may still answer."""
    answer = b"answer" * 400_000
    begun, answering = Event(), Event()

    def read_to_the_end(sock: gnet.Socket) -> bytes:
        if call == "recv":
            return b"".join(iter(sock.recv, b""))
        if call == "readline":
            return b"".join(iter(sock.makefile("rb").readline, b""))
        if call == "iteration":
            return b"".join(sock)
        if call == "non-blocking":
            # By then the server shuts down.
            net.turns()
            sock.settimeout(0)
            return b"".join(iter(sock.recv, b""))
        chunks: list[bytes] = []
        sock.on("data", chunks.append)
        sock.wait("end")
        return b"".join(chunks)

    read: list[bytes] = []

    def handler(sock: gnet.Socket) -> None:
        read.append(sock.recv(2))
        begun.set()
        read.append(read_to_the_end(sock))
        answering.set()
        sock.write(answer)

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"go")
    begun.wait()
    stopping = gevent.spawn(server.shutdown, 10)
    answering.wait()
    assert_arrives(peer, answer, b"" if call == "listeners" else b"more")
    assert stopping.get() == 0
    assert read == [b"go", b""]


def test_a_handler_that_only_attaches_listeners_is_over_when_it_returns(net: Net) -> None:
    def handler(sock: gnet.Socket) -> None:
        sock.on("data", sock.write)

    peer = net.peer(net.server(handler, end_on_return=True))
    assert peer.recv(1) == b""


# ---------------------------------------------------------------------------------------------
# destroy() and its kin.


def test_destroy_drops_everything_at_once(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(bytes(10_000_000))
    assert sock.writable_length
    sock.destroy()
    assert sock.destroyed
    assert sock.writable_length == 0
    assert not sock.readable
    assert not sock.writable
    assert sock.ready_state == "closed"
    net.closed(sock)
    received = 0
    try:
        while chunk := peer.recv(1_000_000):
            received += len(chunk)
    except ConnectionResetError:
        pass
    assert received < 10_000_000


def test_destroy_soon_sends_what_is_queued_first(net: Net) -> None:
    sock, peer = net.accepted()
    data = bytes(range(256)) * 20_000
    sock.write(data)
    sock.destroy_soon()
    assert not sock.writable
    assert peer.makefile("rb").read() == data
    assert net.closed(sock) is False


def test_destroy_soon_with_nothing_queued_destroys(net: Net) -> None:
    sock, _ = net.accepted()
    sock.destroy_soon()
    assert net.closed(sock) is False


def test_reset_and_destroy_resets(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    assert sock.reset_and_destroy() is sock
    assert sock.destroyed
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    tcp.closed(sock)


def test_reset_and_destroy_of_a_path_is_an_error(directory: Any) -> None:
    from gevent import socket

    here, there = socket.socketpair()
    with there:
        sock = gnet.Socket(handle=here)
        with pytest.raises(TypeError) as caught:
            sock.reset_and_destroy()
        assert caught.value.code == "ERR_INVALID_HANDLE_TYPE"  # type: ignore[attr-defined]
        sock.destroy()


def test_shutdown_of_the_writing_side_is_end(net: Net) -> None:
    from gevent import socket

    sock, peer = net.accepted()
    sock.sendall(b"question")
    sock.shutdown(socket.SHUT_WR)
    assert peer.makefile("rb").read() == b"question"
    peer.sendall(b"answer")
    assert sock.recv() == b"answer"


def test_shutdown_of_the_reading_side_ends_a_blocked_recv(net: Net) -> None:
    from gevent import socket

    sock, peer = net.accepted()
    reader = net.start(sock.recv)
    sock.shutdown(socket.SHUT_RD)
    assert reader.get() == b""
    sock.sendall(b"still writable")
    assert peer.recv(100) == b"still writable"
    sock.shutdown(socket.SHUT_RDWR)
    assert peer.recv(1) == b""


def test_the_callbacks_of_writes_come_ahead_of_drain_and_finish(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    log: list[str] = []
    sock.on("drain", lambda: log.append("drain"))
    sock.on("finish", lambda: log.append("finish"))
    sock.write(bytes(4_000_000), callback=lambda *args: log.append("written"))
    received = 0
    while received < 4_000_000:
        received += len(peer.recv(1_000_000))
    while "drain" not in log:
        net.turns(1)
    sock.write(b"x", callback=lambda *args: log.append("written"))
    sock.end()
    sock.wait("finish")
    assert log == ["written", "drain", "written", "finish"]


# ---------------------------------------------------------------------------------------------
# The encoding.


@pytest.mark.parametrize("text", ["grüße, 世界 🌍", "🌍" * 100, "\ud7ff\ue000"])
def test_a_character_split_over_chunks_comes_out_whole(net: Net, text: str) -> None:
    sock, peer = net.accepted()
    chunks: list[Any] = []
    assert sock.set_encoding("utf-8") is sock
    sock.on("data", chunks.append)
    sock.on("end", lambda: None)
    for byte in text.encode():
        peer.sendall(bytes([byte]))
        net.turns(1)
    peer.close()
    net.closed(sock)
    assert all(isinstance(chunk, str) for chunk in chunks)
    assert "".join(chunks) == text
    assert "\ufffd" not in "".join(chunks)
    assert "" not in chunks


def test_half_a_character_at_the_end_is_replaced_before_the_end(net: Net) -> None:
    sock, peer = net.accepted()
    log: list[Any] = []
    sock.set_encoding("utf8")
    sock.on("data", log.append)
    sock.on("end", lambda: log.append(None))
    peer.sendall("ä".encode()[:1])
    peer.close()
    net.closed(sock)
    assert log == ["\ufffd", None]


def test_an_unknown_encoding_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nonsense") as caught:
        gnet.Socket().set_encoding("nonsense")
    assert caught.value.code == "ERR_UNKNOWN_ENCODING"  # type: ignore[attr-defined]
