"""Rule 6: gnet reads only when someone wants data, and still notices that the peer has gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]


def test_a_socket_that_nobody_reads_leaves_everything_in_the_kernel(net: Net) -> None:
    sock, peer = net.accepted()
    sent = net.fill(peer)
    net.turns(10)
    assert sock.bytes_read == 0
    # Nothing was taken: there is room for nothing more.
    assert net.fill(peer) < 65536 * 3
    assert len(sock.recv(10)) == 10
    assert sock.bytes_read == 10
    assert sent > 10


def test_a_client_that_nobody_reads_leaves_everything_in_the_kernel(net: Net) -> None:
    sock, peer = net.connected()
    net.fill(peer)
    net.turns(10)
    assert sock.bytes_read == 0


def test_recv_takes_no_more_than_it_gives(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"0123456789")
    net.turns()
    assert sock.recv(4) == b"0123"
    assert sock.bytes_read == 4
    net.turns()
    assert sock.bytes_read == 4
    assert sock.recv() == b"456789"


@pytest.mark.parametrize("how", ["pause", "off", "unpipe"])
def test_what_arrives_when_nobody_wants_it_any_more_stays_in_the_kernel(
    net: Net, how: str
) -> None:
    sock, peer = net.accepted()
    sink, _ = net.accepted()
    arrived = AsyncResult()
    if how == "unpipe":
        sock.pipe(sink)
        peer.sendall(b"first")
        net.turns()
        sock.unpipe(sink)
    else:
        sock.on("data", arrived.set)
        peer.sendall(b"first")
        assert arrived.get() == b"first"
        if how == "pause":
            sock.pause()
        else:
            sock.off("data", arrived.set)
    net.turns()
    net.fill(peer)
    net.turns(10)
    assert sock.bytes_read == 5


def test_a_paused_connection_of_a_server_is_read_only_after_resume(net: Net) -> None:
    sock, peer = net.accepted(pause_on_connect=True)
    arrived = AsyncResult()
    sock.on("data", arrived.set)
    assert sock.is_paused()
    peer.sendall(b"hello")
    net.turns()
    assert sock.bytes_read == 0
    sock.resume()
    assert arrived.get() == b"hello"


def test_resume_without_a_listener_discards_what_arrives(net: Net) -> None:
    sock, peer = net.accepted()
    sock.resume()
    peer.sendall(b"lost")
    peer.close()
    assert net.closed(sock) is False
    assert sock.bytes_read == 4


@pytest.mark.parametrize("side", ["accepted", "connected"])
def test_a_socket_that_nobody_reads_notices_that_its_peer_has_ended(
    net: Net, must_call: Calls, side: str
) -> None:
    sock, peer = getattr(net, side)()
    sock.on("end", must_call())
    close = must_call()
    sock.on("close", close)
    peer.close()
    assert close.wait() == (False,)


def test_a_socket_that_nobody_reads_notices_an_end_without_any_listener(net: Net) -> None:
    sock, peer = net.accepted()
    peer.close()
    while not sock.closed:
        net.turns(1)
    assert sock.readable_ended


def test_a_paused_socket_notices_that_its_peer_has_ended(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    sock.pause()
    sock.on("end", must_call())
    sock.on("close", must_call())
    peer.close()
    must_call.wait()


@pytest.mark.parametrize("side", ["accepted", "connected"])
def test_a_socket_that_nobody_reads_notices_a_reset(net: Net, must_call: Calls, side: str) -> None:
    sock, peer = getattr(net, side)()
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    net.reset(sock, peer)
    assert isinstance(error.wait()[0], ConnectionResetError)
    assert close.wait() == (True,)


def test_an_end_behind_data_is_noticed_when_the_data_has_been_read(
    net: Net, must_not_call: MustNotCall
) -> None:
    sock, peer = net.accepted()
    early = must_not_call("end ahead of the data")
    sock.on("end", early)
    peer.sendall(b"data")
    peer.close()
    net.turns(10)
    sock.off("end", early)
    assert not sock.readable_ended
    assert not sock.destroyed
    assert sock.recv(2) == b"da"
    net.turns(10)
    assert not sock.readable_ended
    assert sock.recv() == b"ta"
    assert sock.recv() == b""


def test_an_end_behind_read_data_is_noticed_when_nobody_reads_on(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    ended = must_call()
    sock.on("end", ended)
    peer.sendall(b"data")
    assert sock.recv() == b"data"
    peer.close()
    ended.wait()


def test_a_half_open_socket_that_nobody_reads_notices_the_end_and_stays_writable(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    ended = must_call()
    sock.on("end", ended)
    peer.shutdown(1)
    ended.wait()
    assert not sock.destroyed
    assert sock.ready_state == "write_only"
    sock.end(b"answer")
    assert peer.makefile("rb").read() == b"answer"
    net.closed(sock)


def test_an_end_is_noticed_while_the_writer_is_blocked(net: Net) -> None:
    """A greenlet that only writes hears that its reader has gone."""
    sock, peer = net.accepted()
    writer = net.start(sock.sendall, bytes(20_000_000))
    net.turns()
    peer.close()
    assert isinstance(writer.get(), ConnectionError)


def test_noticing_costs_no_processor_time_while_data_stands_unread(net: Net) -> None:
    """The loop is not woken again and again by what nobody wants."""
    import time

    sock, peer = net.accepted()
    peer.sendall(b"unread")
    net.turns()
    begun = time.process_time()
    gevent.sleep(0.3)
    assert time.process_time() - begun < 0.15
    assert sock.bytes_read == 0


def test_data_between_two_listeners_waits_for_the_second(net: Net) -> None:
    sock, peer = net.accepted()
    first, second = AsyncResult(), AsyncResult()
    sock.once("data", first.set)
    peer.sendall(b"one")
    assert first.get() == b"one"
    peer.sendall(b"two")
    net.turns()
    sock.once("data", second.set)
    assert second.get() == b"two"


def test_end_comes_once_whoever_reads(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    ended = must_call()
    sock.on("end", ended)
    peer.shutdown(1)
    assert sock.recv() == b""
    assert sock.recv() == b""
    ended.wait()
    sock.resume()
    sock.on("data", lambda chunk: None)
    net.turns()
    assert ended.count == 1


def test_a_pipe_reads_no_more_than_its_destination_takes(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.pipe(sink)
    total = 30_000_000
    sender = gevent.spawn(source_peer.sendall, bytes(total))
    net.turns(30)
    while sink.writable_length == 0 and not sender.ready():
        net.turns(1)
    net.turns(30)
    assert not sender.ready()
    assert source.bytes_read < total / 2
    assert sink.writable_length < 3_000_000
    received = 0
    while received < total:
        received += len(sink_peer.recv(1_000_000))
    sender.get()


def test_ready_state_and_readable_follow_the_unread_end(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    assert sock.ready_state == "open"
    assert sock.readable
    done = Event()
    sock.on("end", done.set)
    peer.shutdown(1)
    done.wait()
    assert sock.ready_state == "write_only"
    assert not sock.readable
    assert sock.readable_ended


def test_onread_is_read_only_while_it_flows(net: Net) -> None:
    listener = net.listening_peer()
    chunks: list[bytes] = []

    def received(count: int, buffer: Any) -> bool:
        chunks.append(bytes(buffer[:count]))
        return False

    sock = net.connect(listener, onread=gnet.OnRead(bytearray(4), received))
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"0123456789")
    net.turns(10)
    assert chunks == [b"0123"]
    assert sock.is_paused()
    assert sock.bytes_read == 4
    sock.resume()
    net.turns(10)
    assert chunks == [b"0123", b"4567"]
