"""gnet.relay(): two connections that are joined."""

from __future__ import annotations

import socket as std_socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from gnet._loop import splicer
from tests.helpers.servers import memory_pair, pair, path_at, raw_peer, send_reset, tls_pair
from tests.helpers.windows import needs_resets

KINDS = ["tcp", "unix", "tls", "memory", "tcp to tls"]

# Left to right: an outer end, the two that are relayed, and the other outer end.
Chain = tuple[gnet.Socket, gnet.Socket, gnet.Socket, gnet.Socket]


@contextmanager
def chain_of(kind: str, tmp_path: Path) -> Iterator[Chain]:
    makes: dict[str, Callable[[str], Any]] = {
        "tcp": lambda _: pair((0, "127.0.0.1"), allow_half_open=True),
        "unix": lambda name: pair(path_at(tmp_path, name), allow_half_open=True),
        "tls": lambda _: tls_pair(allow_half_open=True),
        "memory": lambda _: memory_pair(allow_half_open=True),
    }
    first, _, second = kind.partition(" to ")
    with makes[first]("a") as (left, a), makes[second or first]("b") as (b, right):
        yield left, a, b, right


@pytest.fixture(params=KINDS)
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    with chain_of(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def tcp(tmp_path: Path) -> Iterator[Chain]:
    with chain_of("tcp", tmp_path) as made:
        yield made


def failure(a: gnet.Socket, b: gnet.Socket) -> BaseException | None:
    """What a relay fails with, in a greenlet of its own."""
    try:
        gnet.relay(a, b)
    except OSError as exc:
        return exc
    return None


def test_both_ways_and_counts(chain: Chain) -> None:
    left, a, b, right = chain
    relaying = gevent.spawn(gnet.relay, a, b)
    there, back = bytes(range(256)) * 4000, b"answer" * 30_000
    sending = [gevent.spawn(left.end, there), gevent.spawn(right.end, back)]
    received = [gevent.spawn(b"".join, right), gevent.spawn(b"".join, left)]
    assert [each.get() for each in received] == [there, back]
    assert relaying.get() == (len(there), len(back))
    gevent.joinall(sending)
    assert (a.bytes_read, b.bytes_written) == (len(there), len(there))


def test_an_end_is_passed_on_alone(chain: Chain) -> None:
    left, a, b, right = chain
    relaying = gevent.spawn(gnet.relay, a, b)
    left.end(b"question")
    assert right.read_exactly(8) == b"question"
    assert right.recv() == b""
    right.sendall(b"answer")
    assert left.read_exactly(6) == b"answer"
    assert not relaying.ready()
    right.end()
    assert left.recv() == b""
    assert relaying.get() == (8, 6)


def test_what_is_unread_and_queued_goes_first(chain: Chain) -> None:
    left, a, b, right = chain
    left.sendall(b"GET /\nrest")
    assert a.readline() == b"GET /\n"
    a.unread(b"GET / again\n")
    b.write(b"HELLO\n")
    relaying = gevent.spawn(gnet.relay, a, b)
    left.end()
    assert b"".join(right) == b"HELLO\nGET / again\nrest"
    right.end()
    assert relaying.get() == (len(b"GET / again\nrest"), 0)


def test_a_slow_reader_holds_the_other_way_back_and_nothing_is_lost(tcp: Chain) -> None:
    left, a, b, right = tcp
    relaying = gevent.spawn(gnet.relay, a, b)
    data = b"0123456789" * 400_000
    sending = gevent.spawn(left.sendall, data)
    for _ in range(20):
        gevent.sleep(0)
    assert not sending.ready(), "what nobody reads stays where it was"
    assert b.writable_length < 2 << 20
    right.sendall(b"meanwhile")
    assert left.read_exactly(9) == b"meanwhile"
    assert right.read_exactly(len(data)) == data
    sending.get()
    left.end()
    right.end()
    assert relaying.get() == (len(data), 9)


@pytest.mark.skipif(not splicer.AVAILABLE, reason="only Linux has splice")
def test_the_kernel_moves_what_it_can(tcp: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    left, a, b, right = tcp
    moved = 0
    move = splicer.Splicer.move

    def counting(self: Any, source: int, destination: int) -> Any:
        nonlocal moved
        result = move(self, source, destination)
        moved += result[0]
        return result

    monkeypatch.setattr(splicer.Splicer, "move", counting)
    relaying = gevent.spawn(gnet.relay, a, b)
    left.end(b"x" * 100_000)
    assert len(b"".join(right)) == 100_000
    right.end()
    assert relaying.get() == (100_000, 0)
    assert moved == 100_000
    assert a._loop.splicer.users == 0


@pytest.mark.parametrize("busy", [False, True])
def test_a_reset_is_passed_on_and_raised(busy: bool) -> None:
    with raw_peer() as (a, left), raw_peer() as (b, right), ExitStack() as stack:
        relaying = gevent.spawn(failure, a, b)
        stack.callback(relaying.kill)
        if busy:
            # Neither way can notice it by its own call.
            while a.bytes_read < 1 << 20:
                left.sendall(b"x" * 65536)
        left.sendall(b"y")
        gevent.sleep(0)
        send_reset(left)
        assert isinstance(relaying.get(), ConnectionResetError)
        with pytest.raises(ConnectionResetError):
            while right.recv(1 << 20):
                pass
        assert a.destroyed
        assert b.destroyed


def test_closing_one_of_them_ends_it(tcp: Chain) -> None:
    needs_resets()
    left, a, b, right = tcp
    relaying = gevent.spawn(failure, a, b)
    gevent.idle()
    b.destroy()
    assert relaying.get().code == "ERR_SOCKET_CLOSED"
    assert a.destroyed
    with pytest.raises(ConnectionResetError):
        left.recv()
    right.destroy()


def test_an_interruption_leaves_both_as_they_are(chain: Chain) -> None:
    left, a, b, right = chain
    sending = gevent.spawn(left.sendall, b"z" * 3_000_000)
    with gevent.Timeout(0.05, False):
        gnet.relay(a, b)
    assert not a.destroyed and not b.destroyed
    again = gevent.spawn(gnet.relay, a, b)
    assert right.read_exactly(3_000_000) == b"z" * 3_000_000
    sending.get()
    left.end()
    right.end()
    again.get()


def test_an_idle_timeout_is_raised_and_both_stay_open(tcp: Chain) -> None:
    _, a, b, _ = tcp
    a.settimeout(0.03)
    with pytest.raises(TimeoutError):
        gnet.relay(a, b)
    assert (a.ready_state, b.ready_state) == ("open", "open")


def test_it_waits_for_the_connections() -> None:
    with pair() as (left, a):
        server = gnet.Server(lambda sock: sock.end("hi"), allow_half_open=True)
        server.listen(0, "127.0.0.1")
        with server:
            b = gnet.connect(server.port, "127.0.0.1")
            relaying = gevent.spawn(gnet.relay, a, b)
            assert left.read_exactly(2) == b"hi"
            left.end()
            assert relaying.get() == (0, 2)
            b.close()
            for each in server.connections:
                each.destroy()


def test_what_is_wrong_is_refused() -> None:
    with memory_pair() as (a, b):
        with pytest.raises(TypeError, match='"b"'):
            gnet.relay(a, std_socket)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match='"b"'):
            gnet.relay(a, a)
        b.resume()
        with pytest.raises(RuntimeError, match="b is flowing") as caught:
            gnet.relay(a, b)
        assert caught.value.code == "ERR_SOCKET_FLOWING"  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="ENOTCONN"):
            gnet.relay(a, gnet.Socket())


@pytest.mark.skipif(sys.platform != "linux", reason="the loop of this test is Linux'")
def test_nothing_of_it_is_left_behind(tcp: Chain) -> None:
    left, a, b, right = tcp
    before = a.listener_count("close"), b.listener_count("close")
    relaying = gevent.spawn(gnet.relay, a, b)
    left.end()
    right.end()
    assert relaying.get() == (0, 0)
    assert (a.listener_count("close"), b.listener_count("close")) == before
