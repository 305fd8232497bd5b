"""One object, several connections: nothing that a former one has left to do touches the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import receive, send_end
from tests.net.conftest import Net, Peer


class Dialling:
    """A socket of gnet's that dials a peer again and again."""

    def __init__(self, net: Net, **options: Any) -> None:
        self.net = net
        self.listener = net.listening_peer()
        self.sock: gnet.Socket = net.keep(gnet.Socket(**options))

    def dial(self, *listener: Any) -> Peer:
        """Connect; gives the peer."""
        self.sock.connect(*self.net.target(self.listener), *listener)
        peer = self.accept()
        self.sock.wait("connect")
        return peer

    def accept(self) -> Peer:
        return self.net.keep(self.listener.accept()[0])  # type: ignore[no-any-return]

    def drop(self) -> None:
        """End the connection at this end."""
        self.sock.destroy()
        self.sock.wait("close")

    def redial(self) -> Peer:
        self.drop()
        return self.dial()


@pytest.fixture
def dialling(net: Net) -> Dialling:
    return Dialling(net)


# -- a listener of the former connection that goes on -----------------------------------------


def test_an_end_listener_that_dials_again_does_not_end_the_new_connection(
    dialling: Dialling,
) -> None:
    sock = dialling.sock
    again: AsyncResult[Peer] = AsyncResult()
    sock.on("data", lambda data: None)
    sock.once("end", lambda: again.set(dialling.redial()))
    first = dialling.dial()
    send_end(first)
    second = again.get()
    dialling.net.turns()
    assert (sock.writable, sock.readable_ended) == (True, False)
    sock.write(b"hello")
    assert receive(second, 5) == b"hello"


@pytest.mark.parametrize("event", ["data", "end", "connect", "finish", "drain", "close"])
def test_a_listener_of_the_former_connection_that_raises_is_only_reported(
    dialling: Dialling, hub_errors: list[BaseException], event: str
) -> None:
    sock = dialling.sock
    go_on = Event()
    blocked = Event()
    done = Event()

    def late(*args: Any) -> None:
        blocked.set()
        go_on.wait()
        try:
            raise ZeroDivisionError
        finally:
            done.set()

    sock.on("data", lambda data: None)
    sock.once(event, late)
    sock.connect(*dialling.net.target(dialling.listener))
    first = dialling.accept()
    first.sendall(b"data")
    if event != "connect":
        sock.wait("connect")
    if event == "drain":
        sock.write(bytes(10_000_000))
        dialling.net.start(receive, first, 10_000_000)
    elif event == "finish":
        sock.end()
    elif event == "end":
        send_end(first)
    elif event == "close":
        sock.destroy()
    blocked.wait()
    second = dialling.redial()
    go_on.set()
    done.wait()
    dialling.net.turns()
    assert [type(error) for error in hub_errors] == [ZeroDivisionError]
    hub_errors.clear()
    assert sock.ready_state == "open"
    sock.write(b"hello")
    assert receive(second, 5) == b"hello"


def test_a_writes_callback_that_raises_late_is_only_reported(
    dialling: Dialling, hub_errors: list[BaseException]
) -> None:
    sock = dialling.sock
    go_on = Event()
    blocked = Event()
    called: list[Any] = []

    def late(error: BaseException | None) -> None:
        blocked.set()
        go_on.wait()
        raise ZeroDivisionError

    dialling.dial()
    sock.end(late)
    sock.end(called.append)
    blocked.wait()
    second = dialling.redial()
    go_on.set()
    dialling.net.turns()
    assert [type(error) for error in hub_errors] == [ZeroDivisionError]
    hub_errors.clear()
    assert called == [None]
    assert (sock.ready_state, sock.writable_ended) == ("open", False)
    sock.write(b"hello")
    assert receive(second, 5) == b"hello"


def test_the_data_of_a_connection_is_delivered_one_at_a_time_whatever_the_former_one_does(
    dialling: Dialling,
) -> None:
    sock = dialling.sock
    go_on = Event()
    old = Event()
    running = most = 0
    chunks: Queue[bytes] = Queue()

    def data(chunk: bytes) -> None:
        nonlocal running, most
        if chunk == b"old":
            old.set()
            go_on.wait()
            return
        running += 1
        most = max(most, running)
        # When the former connection's listener returns, in the midst of the new one's.
        go_on.set()
        dialling.net.turns()
        chunks.put(chunk)
        running -= 1

    sock.on("data", data)
    dialling.dial().sendall(b"old")
    old.wait()
    second = dialling.redial()
    received = b""
    second.sendall(b"a")
    for each in b"bcdef":
        dialling.net.turns(2)
        second.sendall(bytes([each]))
    while len(received) < 6:
        received += chunks.get()
    assert (received, most) == (b"abcdef", 1)


def test_waiting_for_data_of_the_new_connection_in_a_listener_of_the_former_one(
    dialling: Dialling, must_call: Calls
) -> None:
    sock = dialling.sock
    chunks: list[Any] = []

    def old(chunk: bytes) -> None:
        second = dialling.redial()
        second.sendall(b"new")
        sock.on("data", lambda data: None)
        chunks.append(sock.wait("data"))

    sock.once("data", must_call(old))
    dialling.dial().sendall(b"old")
    must_call.wait()
    while not chunks:
        dialling.net.turns()
    assert chunks == [(b"new",)]


def test_a_last_character_that_dials_again_is_followed_by_no_end(
    dialling: Dialling, must_not_call: Callable[..., Any]
) -> None:
    sock = dialling.sock
    again: AsyncResult[Peer] = AsyncResult()
    sock.set_encoding("utf-8")
    # Half a character becomes U+FFFD when the stream ends.
    sock.once("data", lambda text: again.set(dialling.redial()))
    first = dialling.dial()
    first.sendall(b"\xe2")
    send_end(first)
    second = again.get()
    sock.on("end", must_not_call("'end' of the new connection"))
    dialling.net.turns()
    assert (sock.writable, sock.readable_ended) == (True, False)
    sock.remove_all_listeners("end")
    sock.write(b"hello")
    assert receive(second, 5) == b"hello"


def test_a_handler_that_dials_again_does_not_close_the_new_connection(net: Net) -> None:
    listener = net.listening_peer()
    socks: Queue[gnet.Socket] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.destroy()
        sock.wait("close")
        sock.connect(*net.target(listener))
        sock.wait("connect")
        socks.put(sock)

    server = net.server(handler, end_on_return=True)
    net.peer(server)
    sock = net.keep(socks.get())
    peer = net.keep(listener.accept()[0])
    net.turns()
    assert (sock.ready_state, sock.server) == ("open", None)
    sock.write(b"hello")
    assert receive(peer, 5) == b"hello"


# -- who is blocked on the former connection --------------------------------------------------


@pytest.mark.parametrize("call", ["recv", "readline", "sendall", "wait", "interrupt"])
def test_whoever_is_blocked_hears_of_the_end_of_its_own_connection(
    dialling: Dialling, call: str
) -> None:
    sock = dialling.sock

    def until_the_peer_ends() -> None:
        with sock.interrupt_on_peer_end():
            Event().wait()

    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "readline": lambda: sock.makefile("rb").readline(),
        "sendall": lambda: sock.sendall(bytes(20_000_000)),
        "wait": lambda: sock.wait("end"),
        "interrupt": until_the_peer_ends,
    }
    dialling.dial()
    blocked = dialling.net.start(calls[call])
    again: AsyncResult[Peer] = AsyncResult()

    def dial(had_error: bool) -> None:
        sock.connect(*dialling.net.target(dialling.listener))
        again.set(dialling.accept())

    # In the first turn in which it may be.
    sock.once("close", dial)
    dialling.net.start(sock.destroy)
    second = again.get()
    assert isinstance(blocked.get(), OSError)
    sock.wait("connect")
    sock.sendall(b"hello")
    assert receive(second, 5) == b"hello"
    second.sendall(b"answer")
    assert sock.recv() == b"answer"


def test_waiting_for_close_survives_a_listener_of_it_that_dials_again(dialling: Dialling) -> None:
    sock = dialling.sock
    dialling.dial()
    sock.once("close", lambda had_error: sock.connect(*dialling.net.target(dialling.listener)))
    waiting = dialling.net.start(sock.wait, "close")
    sock.destroy()
    assert waiting.get() == (False,)
    dialling.accept()
    sock.wait("connect")


def test_a_file_belongs_to_its_connection(dialling: Dialling) -> None:
    sock = dialling.sock
    first = dialling.dial()
    old = sock.makefile("rwb")
    first.sendall(b"one\ntwo\n")
    assert old.readline() == b"one\n"
    second = dialling.redial()
    second.sendall(b"new\n")
    new = sock.makefile("rb")
    with pytest.raises(gnet.errors.SocketClosedError, match="former connection"):
        old.readline()
    with pytest.raises(gnet.errors.SocketClosedError, match="former connection"):
        old.write(b"x")
        old.flush()
    old.close()
    sock.close()
    # The file that is open is the new connection's, and holds the close back.
    assert new.readline() == b"new\n"
    new.close()
    assert second.recv(1) == b""


# -- what stays, and what does not ------------------------------------------------------------


def test_resume_stays(dialling: Dialling) -> None:
    dialling.sock.resume()
    for _ in range(3):
        peer = dialling.dial()
        peer.sendall(b"sixsix")
        send_end(peer)
        dialling.net.closed(dialling.sock)
        assert dialling.sock.bytes_read == 6


def test_pause_stays(dialling: Dialling) -> None:
    sock = dialling.sock
    chunks: Queue[bytes] = Queue()
    sock.on("data", chunks.put)
    sock.pause()
    dialling.dial()
    peer = dialling.redial()
    peer.sendall(b"data")
    dialling.net.turns()
    assert sock.is_paused()
    assert chunks.empty()
    sock.resume()
    assert chunks.get() == b"data"


@pytest.mark.parametrize(
    ("encoding", "half", "whole", "text"),
    [
        ("utf-8", b"ok\xe2\x82", b"abc", "abc"),
        ("utf-16", b"\xfe\xff\x00o\x00k\x00", b"\xff\xfea\0b\0c\0", "abc"),
        ("base64", b"ok?!", b"abc", "YWJj"),
        ("utf-7", b"ok+AG", b"abc", "abc"),
        ("iso2022_jp", b"ok\x1b$B$", b"abc", "abc"),
    ],
)
def test_a_decoder_begins_anew(
    dialling: Dialling, encoding: str, half: bytes, whole: bytes, text: str
) -> None:
    sock = dialling.sock
    texts: Queue[str] = Queue()
    sock.set_encoding(encoding)
    sock.on("data", texts.put)
    dialling.dial().sendall(half)
    assert texts.get()
    peer = dialling.redial()
    peer.sendall(whole)
    assert texts.get() == text


def test_what_was_read_ahead_is_the_former_connections(dialling: Dialling) -> None:
    sock = dialling.sock
    first = dialling.dial()
    first.sendall(b"one\ntwo\n")
    with sock.makefile("rb") as file:
        assert file.readline() == b"one\n"
        second = dialling.redial()
    second.sendall(b"new")
    assert sock.recv() == b"new"


def test_a_signal_aborts_each_connection(net: Net) -> None:
    stop = Event()
    dialling = Dialling(net, signal=stop)
    sock = dialling.sock
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    dialling.dial()
    dialling.redial()
    stop.set()
    assert isinstance(errors.get(), gnet.errors.AbortError)
    sock.wait("close")
    # It stays ready, and so nothing is connected any more.
    sock.connect(*net.target(dialling.listener))
    assert isinstance(errors.get(), gnet.errors.AbortError)
    sock.wait("close")
    stop.clear()
    dialling.dial()
    sock.destroy()
    sock.wait("close")
    assert stop.linkcount() == 0


def test_a_destroy_soon_that_was_overtaken_is_forgotten(dialling: Dialling) -> None:
    sock = dialling.sock
    dialling.dial()
    sock.write(bytes(10_000_000))
    sock.destroy_soon()
    second = dialling.redial()
    sock.end(b"hello")
    assert receive(second, 6) == b"hello"
    sock.wait("finish")
    dialling.net.turns()
    assert not sock.destroyed


def test_destroy_soon_sends_what_is_queued_and_waits_for_no_listener(dialling: Dialling) -> None:
    sock = dialling.sock
    sock.on("finish", lambda: Event().wait(0.2))
    peer = dialling.dial()
    sock.write(bytes(5_000_000))
    sock.destroy_soon()
    assert receive(peer, 5_000_001) == bytes(5_000_000)
    assert dialling.net.closed(sock) is False


def test_listeners_that_came_with_failed_dials_do_not_pile_up(
    net: Net, must_call: Calls, must_not_call: Callable[..., Any]
) -> None:
    nowhere = net.refusing()
    sock = net.keep(gnet.Socket())
    sock.on("error", lambda error: None)
    for _ in range(5):
        sock.connect(*nowhere, must_not_call("a listener of a failed dial"))
        net.closed(sock)
    listener = net.listening_peer()
    sock.connect(*net.target(listener), must_call())
    assert sock.listener_count("connect") == 1
    must_call.wait()
    assert sock.listener_count("connect") == 0


def test_a_pipe_ends_with_its_connection(dialling: Dialling, net: Net) -> None:
    sock = dialling.sock
    target, sink = net.connected()
    again: AsyncResult[Peer] = AsyncResult()
    # Ahead of the pipe's own listener.
    sock.once("close", lambda had_error: again.set(dialling.dial()))
    dialling.dial().sendall(b"old")
    sock.pipe(target, end=False)
    assert receive(sink, 3) == b"old"
    sock.destroy()
    second = again.get()
    net.turns()
    assert sock.event_names() == []
    second.sendall(b"new")
    assert sock.recv() == b"new"


def test_settings_stay(tcp: Net) -> None:
    dialling = Dialling(tcp, allow_half_open=True, high_water_mark=7)
    sock = dialling.sock
    sock.set_no_delay(True).set_timeout(30)
    sock.unref()
    dialling.dial()
    dialling.redial()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert (sock.timeout, sock.allow_half_open, sock.high_water_mark) == (30, True, 7)
    assert gnet.run(timeout=5)


def test_a_thousand_dials_leave_nothing(tcp: Net) -> None:
    dialling = Dialling(tcp)
    sock = dialling.sock
    sock.on("error", lambda error: None)
    left = 1000

    def again(had_error: bool) -> None:
        nonlocal left
        left -= 1
        if left:
            sock.connect(*tcp.target(dialling.listener), lambda: sock.end(b"x"))

    sock.on("close", again)
    sock.resume()
    again(False)

    def answer() -> None:
        while True:
            peer, _ = dialling.listener.accept()
            with peer:
                peer.recv(1)

    server = tcp.start(answer)
    while left:
        sock.wait("close")
        gevent.sleep(0)
    server.kill()
    assert sock.listener_count("connect") == 0
