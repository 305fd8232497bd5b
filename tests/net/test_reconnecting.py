"""A socket that connects again by itself, in both styles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import zope.event
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet import events
from gnet.errors import DeadlineError
from tests.helpers.authority import client_context, server_context
from tests.helpers.blackhole import blackhole, refusing
from tests.helpers.calls import Calls
from tests.helpers.servers import pair, place_at, serving
from tests.helpers.windows import needs_resets

SOON = gnet.Reconnect(initial=0.002, maximum=0.02)
WATCHED = ("connect", "ready", "reconnecting", "data", "end", "error", "close", "drain", "finish")


class Line:
    """A socket that connects again, and the peers that it has had."""

    def __init__(self, **server: Any) -> None:
        self.peers: Queue[gnet.Socket] = Queue()
        self._options = server
        self.server = gnet.Server(self._came, **server)
        self.server.listen(0, "127.0.0.1")
        self.place = place_at(self.server)
        self.sock = gnet.Socket()
        self.log: list[tuple[Any, ...]] = []
        self.peer: gnet.Socket

    def _came(self, peer: gnet.Socket) -> None:
        peer.on("error", lambda error: None)
        self.peers.put(peer)

    def connect(self, reconnect: gnet.Reconnect = SOON, **options: Any) -> gnet.Socket:
        """Begin, and wait for the first connection."""
        self.sock.connect(*self.place, reconnect=reconnect, **options)
        self.next()
        return self.sock

    def record(self, *names: str) -> None:
        for name in names or WATCHED:
            self.sock.on(name, lambda *args, name=name: self.log.append((name, *args)))  # type: ignore[call-overload]

    def next(self) -> gnet.Socket:
        """The peer of the next connection."""
        self.peer = self.peers.get()
        self.sock.wait("ready")
        return self.peer

    def names(self) -> list[str]:
        return [each[0] for each in self.log]

    def reset(self) -> None:
        needs_resets()
        self.peer.reset_and_destroy()

    def lose(self, how: str) -> None:
        if how == "reset":
            self.reset()
        else:
            self.peer.end()

    def stop(self) -> None:
        """Nobody listens any more."""
        self.server.shutdown(grace=0)

    def start(self) -> None:
        self.server = gnet.Server(self._came, **self._options)
        self.server.listen(*self.place)

    def close(self) -> None:
        self.sock.destroy()
        self.server.shutdown(grace=0)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


# -- event style ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
def test_it_connects_again_and_says_so_and_nothing_else(line: Line, how: str) -> None:
    line.record()
    line.connect()
    line.lose(how)
    line.next()
    line.peer.write(b"again")
    line.sock.wait("data")
    assert line.names() == ["connect", "ready", "reconnecting", "connect", "ready", "data"]
    _, attempt, delay, error = line.log[2]
    assert (attempt, 0 < delay <= SOON.initial) == (1, True)
    assert error is None if how == "end" else error.code == "ECONNRESET"


def test_it_is_connecting_meanwhile(line: Line) -> None:
    sock = line.connect()
    line.stop()
    sock.wait("reconnecting")
    assert (sock.connecting, sock.pending, sock.ready_state) == (True, True, "opening")
    assert (sock.destroyed, sock.closed, sock.writable) == (False, False, True)
    line.start()
    line.next()
    assert (sock.connecting, sock.ready_state) == (False, "open")


def test_the_first_dial_counts(line: Line) -> None:
    line.stop()
    line.record()
    line.sock.connect(*line.place, reconnect=SOON)
    line.sock.wait("reconnecting")
    line.sock.wait("reconnecting")
    line.start()
    line.next()
    numbers = [each[1] for each in line.log if each[0] == "reconnecting"]
    assert numbers[:2] == [1, 2]
    assert "error" not in line.names()


def test_after_so_many_failed_dials_it_gives_up(line: Line) -> None:
    line.stop()
    line.record("reconnecting", "error", "close")
    sock = line.sock
    sock.connect(*line.place, reconnect=gnet.Reconnect(initial=0.001, attempts=3))
    gnet.run()
    assert line.names() == ["reconnecting", "reconnecting", "error", "close"]
    assert line.log[-2][1].code == "ECONNREFUSED"
    assert line.log[-1] == ("close", True)
    assert sock.closed


def test_attempts_begin_anew_when_a_byte_has_come(line: Line) -> None:
    line.record("reconnecting")
    line.connect(gnet.Reconnect(initial=0.005, attempts=2, jitter=False))
    line.sock.resume()
    for _ in range(4):
        line.peer.write(b"x")
        while not line.sock.bytes_read:
            line.sock.wait("data")
        line.peer.end()
        line.next()
    assert {each[1:3] for each in line.log} == {(1, 0.005)}


def test_a_connection_that_ends_at_once_does_not_begin_a_series_anew(line: Line) -> None:
    line.record("reconnecting")
    line.connect(gnet.Reconnect(initial=30, maximum=60, jitter=False))
    line.peer.end()
    line.sock.wait("reconnecting")
    line.sock.destroy()
    assert line.log[0][1:3] == (1, 30)


@pytest.mark.parametrize("how", ["end", "close", "destroy", "destroy_soon", "reset_and_destroy"])
def test_the_program_ends_the_reconnecting(line: Line, how: str) -> None:
    sock = line.connect()
    line.stop()
    sock.wait("reconnecting")
    line.record("reconnecting", "error", "close")
    getattr(sock, how)()
    assert sock.wait("close") == (False,)
    assert line.names() == ["close"]
    assert gnet.run(1)


@pytest.mark.parametrize("how", ["end", "close"])
def test_what_the_program_has_ended_is_not_connected_again(line: Line, how: str) -> None:
    line.record("end", "close", "reconnecting")
    sock = line.connect()
    sock.resume()
    getattr(sock, how)()
    line.peer.end()
    sock.wait("close")
    assert "reconnecting" not in line.names()


def test_a_signal_ends_it() -> None:
    signal = Event()
    with refusing() as (port, host):
        sock = gnet.connect(port, host, signal=signal, reconnect=gnet.Reconnect(initial=30))
        sock.wait("reconnecting")
        signal.set()
        with pytest.raises(OSError) as caught:
            sock.wait("connect")
        assert caught.value.code == "ABORT_ERR"  # type: ignore[attr-defined]


def test_a_signal_ends_a_later_connection_as_well(line: Line) -> None:
    signal = Event()
    line.sock = gnet.Socket(signal=signal)
    sock = line.connect()
    line.peer.end()
    line.next()
    signal.set()
    with pytest.raises(OSError) as caught:
        sock.wait("close")
    assert caught.value.code == "ABORT_ERR"  # type: ignore[attr-defined]


def test_run_waits_for_it_unless_it_is_unreffed() -> None:
    with refusing() as (port, host):
        sock = gnet.connect(port, host, reconnect=gnet.Reconnect(initial=30, jitter=False))
        sock.wait("reconnecting")
        assert not gnet.run(0.01)
        sock.unref()
        assert gnet.run(1)
        sock.destroy()


def test_a_listener_that_raises_ends_it(line: Line) -> None:
    sock = line.connect()

    @sock.on("reconnecting")
    def reconnecting(attempt: int, delay: float, error: Any) -> None:
        raise ZeroDivisionError

    line.peer.end()
    with pytest.raises(ZeroDivisionError):
        sock.wait("close")


def test_listeners_encoding_flow_and_limits_stay(line: Line) -> None:
    texts: Queue[str] = Queue()
    line.sock = gnet.Socket(first_byte_timeout=30, lifetime=60, write_limit=5, high_water_mark=3)
    line.sock.set_encoding("utf-8")
    line.sock.on("data", texts.put)
    sock = line.connect()
    sock.set_timeout(30)
    line.peer.write(b"\xc3")
    while not sock.bytes_read:
        gevent.idle()
    line.peer.end()
    # Half a character of the former connection is not put before the next one's first.
    line.next().write("ü".encode())
    assert texts.get() == "ü"
    assert (sock.timeout, sock.high_water_mark) == (30, 3)
    sock.cork()
    assert sock.write(b"abc") is False
    sock.write(b"too much")
    with pytest.raises(OSError) as caught:
        sock.wait("close")
    assert caught.value.code == "ERR_WRITE_LIMIT"  # type: ignore[attr-defined]


def test_a_limit_of_the_peers_is_a_loss(line: Line) -> None:
    line.record("reconnecting")
    line.sock = gnet.Socket(first_byte_timeout=0.01)
    line.record("reconnecting")
    line.connect()
    line.next()
    assert isinstance(line.log[0][3], DeadlineError)


def test_connect_timeout_is_of_each_dial() -> None:
    with blackhole() as hole:
        sock = gnet.connect(
            hole.port, hole.host, connect_timeout=0.02,
            reconnect=gnet.Reconnect(initial=0.001, attempts=2),
        )  # fmt: skip
        (_, _, error) = sock.wait("reconnecting")
        assert isinstance(error, DeadlineError)
        with pytest.raises(DeadlineError):
            sock.wait("close")


def test_a_pipe_goes_on(line: Line) -> None:
    line.sock.pipe(line.sock)
    line.connect()
    for text in (b"one", b"two"):
        line.peer.write(text)
        assert line.peer.recv() == text
        line.peer.end()
        line.next()


def test_a_pipe_into_it_goes_on(line: Line) -> None:
    sock = line.connect()
    with pair() as (here, there):
        there.pipe(sock)
        here.write(b"one")
        assert line.peer.recv() == b"one"
        line.peer.end()
        line.next()
        here.write(b"two")
        assert line.peer.recv() == b"two"


def test_events_of_the_process_come_in_pairs(line: Line) -> None:
    seen: list[str] = []

    def subscriber(event: Any) -> None:
        if getattr(event, "socket", None) is line.sock:
            seen.append(type(event).__name__)

    zope.event.subscribers.append(subscriber)
    line.connect()
    line.peer.end()
    line.next()
    line.stop()
    line.sock.wait("reconnecting")
    line.sock.wait("reconnecting")
    line.sock.destroy()
    line.sock.wait("close")
    opened, closed = events.ConnectionOpened.__name__, events.ConnectionClosed.__name__
    failed = events.ConnectionFailed.__name__
    assert [each for each in seen if each != failed] == [opened, closed, opened, closed]
    assert seen[4] == failed


def test_addresses_are_those_of_the_connection_that_there_is(line: Line) -> None:
    sock = line.connect()
    first = sock.local_port
    line.reset()
    line.next()
    assert sock.local_port == line.peer.remote_port != first


def test_counters_begin_anew(line: Line) -> None:
    sock = line.connect()
    sock.resume()
    sock.write(b"12345")
    assert line.peer.recv() == b"12345"
    line.peer.end()
    line.next()
    assert (sock.bytes_written, sock.bytes_read) == (0, 0)


# -- what was queued -----------------------------------------------------------------------------


def lose_queued(line: Line, lost: Callable[[bytes], Any] | None, **options: Any) -> list[Any]:
    """Lose a connection with bytes queued; gives what the callback of the write has got."""
    called: list[Any] = []
    sock = line.connect(gnet.Reconnect(initial=0.002, lost=lost), **options)
    sock.cork()
    sock.write(b"queued ", callback=called.append)
    sock.write(b"bytes")
    line.peer.end()
    sock.wait("reconnecting")
    sock.uncork()
    return called


def test_nothing_is_sent_again_by_itself(line: Line) -> None:
    called = lose_queued(line, None)
    line.sock.write(b"later")
    line.next()
    assert line.peer.recv() == b"later"
    assert [error.code for error in called] == ["ERR_STREAM_DESTROYED"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
def test_the_hook_says_what_is_sent_first(line: Line, kind: Callable[[bytes], Any]) -> None:
    asked: list[bytes] = []

    def lost(data: bytes) -> Any:
        asked.append(data)
        return kind(b"again ")

    lose_queued(line, lost)
    line.sock.write(b"later")
    line.next()
    got = b""
    while len(got) < 11:
        got += line.peer.recv()
    assert (asked, got) == ([b"queued bytes"], b"again later")


def test_the_hook_may_drop_it_all(line: Line) -> None:
    lose_queued(line, lambda data: None)
    line.next()
    line.sock.write(b"later")
    assert line.peer.recv() == b"later"


def test_the_hook_is_not_asked_when_nothing_was_queued(
    line: Line, must_not_call: Callable[[str], Any]
) -> None:
    line.connect(gnet.Reconnect(initial=0.002, lost=must_not_call("lost")))
    line.peer.end()
    line.next()


@pytest.mark.parametrize(("answer", "kind"), [(5, TypeError), (None, ZeroDivisionError)])
def test_a_hook_that_fails_ends_the_socket(line: Line, answer: Any, kind: type[Exception]) -> None:
    def lost(data: bytes) -> Any:
        return answer or 1 / 0

    sock = line.connect(gnet.Reconnect(initial=0.002, lost=lost))
    sock.cork()
    sock.write(b"queued")
    line.peer.end()
    with pytest.raises(kind):
        sock.wait("close")


def test_drain_comes_although_what_was_queued_is_lost(line: Line, must_call: Calls) -> None:
    sock = line.connect()
    sock.on("drain", must_call())
    while sock.write(bytes(1 << 20)):
        pass
    line.reset()
    must_call.wait()


# -- blocking style ------------------------------------------------------------------------------


def test_a_call_that_meets_the_end_gives_it_once_and_the_next_waits(line: Line) -> None:
    with line.connect() as sock:
        reader = gevent.spawn(sock.recv)
        line.peer.end()
        assert reader.get() == b""
        reader = gevent.spawn(sock.recv)
        line.next().write(b"again")
        assert reader.get() == b"again"


def test_a_call_that_meets_an_error_raises_it_once_and_the_next_waits(line: Line) -> None:
    needs_resets()
    with line.connect() as sock:
        gevent.spawn(line.reset)
        with pytest.raises(ConnectionResetError):
            sock.recv()
        sock.sendall(b"again")
        assert line.next().recv() == b"again"


@pytest.mark.parametrize("call", ["recv", "recv_into", "readline", "recvmsg"])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_loss_between_two_calls_is_told_to_the_next(line: Line, how: str, call: str) -> None:
    with line.connect() as sock:
        sock.sendall(b"x")
        line.peer.recv()
        line.lose(how)
        line.next()

        def read() -> Any:
            if call == "recv":
                return sock.recv()
            if call == "recv_into":
                return b"x" * sock.recv_into(bytearray(5))
            if call == "recvmsg":
                return sock.recvmsg(5)[0]
            return sock.makefile("rb").readline()

        if how == "end":
            assert read() == b""
        else:
            with pytest.raises(ConnectionResetError):
                read()
        line.peer.write(b"news")
        assert sock.recv() == b"news"


@pytest.mark.parametrize("call", ["sendall", "send", "sendmsg"])
@pytest.mark.parametrize(("how", "kind"), [("end", BrokenPipeError), ("reset", ConnectionError)])
def test_nothing_of_a_conversation_goes_to_the_next_connection_unnoticed(
    line: Line, how: str, kind: type[OSError], call: str
) -> None:
    with line.connect() as sock:
        sock.sendall(b"x")
        line.peer.recv()
        line.lose(how)
        line.next()
        message: Any = [b"half"] if call == "sendmsg" else b"half"
        with pytest.raises(kind):
            getattr(sock, call)(message)
        getattr(sock, call)(message)
        assert line.peer.recv() == b"half"


def test_a_blocked_sendall_raises_and_is_not_sent_again(
    line: Line, must_not_call: Callable[[str], Any]
) -> None:
    needs_resets()
    with line.connect(gnet.Reconnect(initial=0.002, lost=must_not_call("lost"))) as sock:
        gevent.spawn(line.reset)
        with pytest.raises(ConnectionError):
            sock.sendall(bytes(10_000_000))
        line.next()
        sock.sendall(b"short")
        assert line.peer.recv() == b"short"


def test_calls_wait_while_dials_fail(line: Line) -> None:
    line.stop()
    line.sock.connect(*line.place, reconnect=SOON)
    sender = gevent.spawn(line.sock.sendall, b"hello")
    line.sock.wait("reconnecting")
    line.sock.wait("reconnecting")
    line.start()
    assert line.next().recv() == b"hello"
    sender.get()


def test_calls_raise_when_it_gives_up(line: Line) -> None:
    line.stop()
    sock = line.sock.connect(*line.place, reconnect=gnet.Reconnect(initial=0.001, attempts=2))
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            sock.recv()


def test_an_idle_timeout_interrupts_the_waiting_only(line: Line) -> None:
    line.stop()
    sock = line.sock.connect(*line.place, reconnect=SOON)
    sock.settimeout(0.02)
    with pytest.raises(TimeoutError):
        sock.recv()
    line.start()
    line.next()
    line.peer.write(b"x")
    sock.settimeout(5)
    assert sock.recv() == b"x"


def test_a_file_is_of_its_connection(line: Line) -> None:
    with line.connect() as sock:
        file = sock.makefile("rb")
        line.peer.write(b"line\nhalf")
        line.peer.end()
        assert list(file) == [b"line\n", b"half"]
        line.next()
        # It has come to its end, and another one has not.
        assert file.readline() == b""
        with sock.makefile("rb") as unread:
            line.reset()
            line.next()
            with pytest.raises(OSError, match="former"):
                unread.readline()
        line.peer.write(b"next\n")
        with sock.makefile("rb") as other:
            assert other.readline() == b"next\n"
        file.close()


def test_what_stands_before_the_end_is_read_first(line: Line) -> None:
    with line.connect() as sock:
        line.peer.end(b"last words")
        assert sock.recv(4) == b"last"
        assert sock.recv() == b" words"
        assert sock.recv() == b""
        line.next().write(b"news")
        assert sock.recv() == b"news"


def test_shutting_down_the_reading_side_is_no_loss(line: Line) -> None:
    import _socket

    with line.connect() as sock:
        line.record("reconnecting")
        sock.shutdown(_socket.SHUT_RD)
        assert sock.recv() == b""
        sock.sendall(b"still")
        assert line.peer.recv() == b"still"
        assert not line.log


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def secure() -> Iterator[Line]:
    made = Line(tls=server_context())
    yield made
    made.close()


@pytest.mark.parametrize("how", ["end", "reset"])
def test_over_tls(secure: Line, how: str) -> None:
    secure.record("secure_connect", "connect", "reconnecting", "error", "close")
    sock = secure.connect(tls=client_context(), server_hostname="localhost")
    secure.lose(how)
    secure.next()
    assert sock.encrypted
    secure.peer.write(b"again")
    assert sock.recv() == b"again"
    names = ["connect", "secure_connect"]
    assert secure.names() == [*names, "reconnecting", *names]


def test_a_failed_handshake_is_a_failed_dial(secure: Line) -> None:
    errors: list[Any] = []
    secure.sock.on("error", errors.append)
    secure.sock.connect(
        *secure.place, tls=True, server_hostname="localhost",
        reconnect=gnet.Reconnect(initial=0.002, attempts=2),
    )  # fmt: skip
    _, _, error = secure.sock.wait("reconnecting")
    assert error.code == "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" or error.code.startswith("SELF")  # type: ignore[union-attr]
    secure.sock.once("close", lambda had: None)
    with pytest.raises(OSError):
        secure.sock.wait("close")


# -- lists, and bad input ------------------------------------------------------------------------


def test_each_dial_begins_with_the_whole_list() -> None:
    with refusing() as (closed, host), serving() as one:
        peers: Queue[gnet.Socket] = Queue()
        one.on("connection", peers.put)
        sock = gnet.connect([(host, closed), place_at(one)[::-1]], reconnect=SOON)
        for _ in range(2):
            peer = peers.get()
            sock.wait("connect")
            assert len(sock.auto_select_family_attempted_addresses or ()) == 2
            peer.end()
        sock.destroy()


def test_an_accepted_socket_is_no_client(line: Line) -> None:
    line.connect()
    with pytest.raises(TypeError, match="accepted"):
        line.peer.connect(*line.place, reconnect=SOON)


def test_a_descriptor_is_for_one_connection() -> None:
    with gevent.socket.socket() as given:
        with pytest.raises(TypeError, match="handle="):
            gnet.connect(1, handle=given, reconnect=SOON)
        assert given.fileno() >= 0


@pytest.mark.parametrize("value", [True, 5, {}, gnet.Reconnect])
def test_what_is_no_policy(value: Any) -> None:
    with pytest.raises(TypeError, match=r"gnet\.Reconnect"):
        gnet.connect(1, reconnect=value)
