"""The peer has left although input is still unread: who asked for it is told, or interrupted."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from gevent import monkey, socket
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet._loop import peer_watch
from gnet.errors import PeerEndError, SocketClosedError
from tests.helpers.calls import Calls
from tests.helpers.counts import descriptors, watchers
from tests.helpers.forks import Child, fork
from tests.helpers.servers import receive_all
from tests.helpers.turns import turns_of_the_loop
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell")


@pytest.fixture(params=["event", "paused", "blocking"])
def style(request: pytest.FixtureRequest) -> str:
    """How nobody reads: without a listener, paused, or with a greenlet that is busy."""
    return str(request.param)


def unread(net: Net, style: str) -> tuple[gnet.Socket, Any]:
    """A connection with something unread."""
    sock, peer = net.accepted(allow_half_open=True)
    if style == "paused":
        sock.on("data", lambda chunk: None)
        sock.pause()
    peer.sendall(b"a request, and another one")
    if style == "blocking":
        assert sock.recv(2) == b"a "
    return sock, peer


# -- the event --------------------------------------------------------------------------------


def test_peer_end_comes_ahead_of_what_is_unread(net: Net, style: str, must_call: Calls) -> None:
    sock, peer = unread(net, style)
    sock.on("peer_end", told := must_call())
    sock.on("end", lambda: order.append("end"))
    order: list[str] = []
    net.turns()
    assert told.count == 0
    peer.shutdown(socket.SHUT_WR)
    assert told.wait() == ()
    assert not order
    # And nothing of it is lost.
    sock.pause()
    rest = b"".join(sock)
    assert rest in (b"a request, and another one", b"request, and another one")
    # The connection is still good for an answer.
    sock.end(b"answer")
    assert receive_all(peer) == b"answer"


def test_peer_end_comes_once(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("peer_end", must_call())
    sock.on("data", lambda chunk: None)
    sock.on("close", closed := must_call())
    peer.sendall(b"x")
    peer.close()
    closed.wait()
    net.turns()


def test_peer_end_comes_for_a_reset(tcp: Net, must_call: Calls) -> None:
    sock, peer = unread(tcp, "event")
    sock.on("peer_end", told := must_call())
    sock.on("error", lambda exc: None)
    tcp.reset(sock, peer)
    told.wait()
    # The kernel gives what had come before.
    assert sock.recv() == b"a request, and another one"
    with pytest.raises(ConnectionResetError):
        sock.recv()


def test_peer_end_comes_before_end_and_close(net: Net) -> None:
    order: list[str] = []
    sock, peer = net.accepted()
    for event in ("peer_end", "end", "close"):
        sock.on(event, lambda *_, event=event: order.append(event))
    sock.on("data", lambda chunk: None)
    peer.sendall(b"x")
    peer.close()
    net.closed(sock)
    assert order == ["peer_end", "end", "close"]


def test_the_end_may_have_come_before_somebody_asks(net: Net, must_call: Calls) -> None:
    sock, peer = unread(net, "event")
    peer.close()
    net.turns()
    sock.on("peer_end", told := must_call())
    told.wait()


def test_a_client_may_ask_before_it_is_connected(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.on("peer_end", told := must_call())
    peer = net.keep(listener.accept()[0])
    sock.wait("connect")
    peer.sendall(b"unread")
    peer.shutdown(socket.SHUT_WR)
    told.wait()


def test_a_client_may_ask_again_for_its_second_connection(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.on("peer_end", must_call(times=2))
    sock.on("data", lambda chunk: None)
    listener.accept()[0].close()
    net.closed(sock)
    sock.connect(*net.target(listener))
    listener.accept()[0].close()
    must_call.wait()


def test_who_destroys_the_connection_itself_is_not_told_of_a_peers_end(
    net: Net, must_not_call: Any
) -> None:
    sock, _ = net.accepted()
    sock.on("peer_end", must_not_call("peer_end"))
    sock.destroy()
    net.closed(sock)


def test_wait_waits_for_it(net: Net) -> None:
    sock, peer = unread(net, "event")
    waiting = net.start(sock.wait, "peer_end")
    peer.shutdown(socket.SHUT_WR)
    assert waiting.get() == ()


def test_waiting_for_it_ends_with_the_connection(net: Net) -> None:
    sock, _ = net.accepted()
    waiting = net.start(sock.wait, "peer_end")
    sock.destroy()
    assert isinstance(waiting.get(), SocketClosedError)


def test_a_peers_end_does_not_keep_the_loop_busy(tcp: Net) -> None:
    sock, peer = unread(tcp, "event")
    sock.on("peer_end", lambda: None)
    peer.shutdown(socket.SHUT_WR)
    sock.wait("peer_end")
    assert turns_of_the_loop(0.1) < 50


# -- the interruption ---------------------------------------------------------------------------


def outcome_of(sock: gnet.Socket, began: Event | None = None) -> Any:
    """A slow piece of work for the peer; gives its error."""
    try:
        with sock.interrupt_on_peer_end():
            if began is not None:
                began.set()
            Event().wait()
    except OSError as exc:
        return exc
    return None


def test_a_greenlet_that_works_for_a_peer_is_interrupted_when_that_leaves(
    net: Net, style: str
) -> None:
    sock, peer = unread(net, style)
    began = Event()
    worker = net.start(outcome_of, sock, began)
    began.wait()
    net.turns()
    assert not worker.ready()
    peer.shutdown(socket.SHUT_WR)
    error = worker.get()
    assert isinstance(error, PeerEndError)
    assert isinstance(error, ConnectionAbortedError)
    assert error.code == "ECONNABORTED"


def test_a_reset_interrupts_too(tcp: Net) -> None:
    sock, peer = unread(tcp, "event")
    sock.on("error", lambda exc: None)
    worker = tcp.start(outcome_of, sock)
    tcp.reset(sock, peer)
    assert isinstance(worker.get(), PeerEndError)


def test_the_close_at_this_end_interrupts_too(net: Net) -> None:
    sock, _ = net.accepted()
    worker = net.start(outcome_of, sock)
    sock.destroy()
    assert isinstance(worker.get(), PeerEndError)


def test_a_peer_that_has_left_already_interrupts_at_once(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    peer.close()
    assert sock.recv() == b""
    with pytest.raises(PeerEndError), sock.interrupt_on_peer_end():
        raise AssertionError("the block was entered")


def test_several_greenlets_are_interrupted(net: Net) -> None:
    sock, peer = unread(net, "event")
    workers = [net.start(outcome_of, sock) for _ in range(3)]
    peer.close()
    assert [type(worker.get()) for worker in workers] == [PeerEndError] * 3


def test_after_the_block_nothing_is_interrupted(net: Net) -> None:
    sock, peer = unread(net, "event")
    with sock.interrupt_on_peer_end():
        pass
    told = net.start(sock.wait, "peer_end")
    peer.close()
    told.get()
    net.turns()


def test_blocks_may_nest(net: Net) -> None:
    sock, peer = unread(net, "event")
    with pytest.raises(PeerEndError), sock.interrupt_on_peer_end():
        with sock.interrupt_on_peer_end():
            pass
        peer.close()
        Event().wait()


def test_one_greenlet_may_work_for_two_peers(net: Net) -> None:
    first, _ = unread(net, "event")
    second, peer = unread(net, "event")
    with (
        pytest.raises(PeerEndError),
        first.interrupt_on_peer_end(),
        second.interrupt_on_peer_end(),
    ):
        peer.close()
        Event().wait()
    assert not first.destroyed


def test_an_interrupted_handler_closes_its_connection_and_prints_nothing(
    net: Net, hub_errors: list[BaseException]
) -> None:
    ended: Queue[gnet.Socket] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.on("close", lambda had_error: ended.put(sock))
        assert sock.recv(1) == b"q"
        with sock.interrupt_on_peer_end():
            Event().wait()

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    peer.sendall(b"query")
    peer.close()
    assert ended.get().destroyed
    assert hub_errors == []


def test_a_blocked_sendall_is_interrupted_and_leaves_the_stream_whole(tcp: Net) -> None:
    sock, peer = tcp.accepted(allow_half_open=True)
    data = bytes(1 << 24)

    def send() -> None:
        with sock.interrupt_on_peer_end():
            sock.sendall(data)

    sender = tcp.start(send)
    peer.shutdown(socket.SHUT_WR)
    assert isinstance(sender.get(), PeerEndError)
    sock.end(b"!")
    assert receive_all(peer) == data + b"!"


def test_an_end_of_ones_own_making_is_no_peers_end(net: Net, must_not_call: Any) -> None:
    sock, _ = net.accepted(allow_half_open=True)
    sock.on("peer_end", must_not_call("peer_end"))
    worker = net.start(outcome_of, sock)
    sock.shutdown(socket.SHUT_RD)
    assert sock.recv() == b""
    net.turns()
    assert not worker.ready()
    sock.destroy()
    assert isinstance(worker.get(), PeerEndError)


# -- what it costs, and whom ----------------------------------------------------------------------


def test_one_descriptor_and_one_watcher_serve_all_connections(tcp: Net) -> None:
    before = set(descriptors()), len(watchers())
    ends = [unread(tcp, "event") for _ in range(10)]
    during = len(watchers())
    for sock, _ in ends:
        sock.on("peer_end", lambda: None)
    assert len(watchers()) == during + 1
    for sock, peer in ends:
        sock.destroy()
        tcp.closed(sock)
        peer.close()
    for made in tcp._made:
        made.close()
    tcp.turns()
    assert set(descriptors()) == before[0]
    assert len(watchers()) == before[1]


def test_who_is_watched_can_be_collected(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = gnet.connect(*tcp.target(listener))
    sock.wait("connect")
    with sock.interrupt_on_peer_end():
        pass
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock
        gc.collect()


def test_a_descriptor_number_that_is_used_again_is_not_mixed_up(
    tcp: Net, must_call: Calls, must_not_call: Any
) -> None:
    first, _ = unread(tcp, "event")
    first.on("peer_end", must_not_call("the first one's"))
    number = first.fileno()
    first.destroy()
    tcp.closed(first)
    second, peer = unread(tcp, "event")
    second.on("peer_end", told := must_call())
    assert second.fileno() >= 0
    assert number >= 0
    peer.close()
    told.wait()


def test_a_descriptor_that_is_given_away_is_not_watched(tcp: Net, must_not_call: Any) -> None:
    sock, peer = unread(tcp, "event")
    sock.on("peer_end", must_not_call("peer_end"))
    with socket.socket(fileno=sock.detach()) as plain:
        peer.close()
        tcp.turns()
        assert plain.recv(9) == b"a request"


def test_without_a_descriptor_for_it_an_end_with_nothing_before_it_is_noticed(
    net: Net, must_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoll() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(monkey, "get_original", lambda module, name: epoll)
    sock, peer = net.accepted()
    sock.on("peer_end", told := must_call())
    peer.close()
    told.wait()


def test_on_other_systems_an_end_with_nothing_before_it_is_noticed(
    net: Net, must_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_watch, "AVAILABLE", False)
    sock, peer = net.accepted(allow_half_open=True)
    sock.on("peer_end", told := must_call())
    worker = net.start(outcome_of, sock)
    peer.sendall(b"first this")
    peer.close()
    net.turns()
    assert told.count == 0
    sock.resume()
    told.wait()
    assert isinstance(worker.get(), PeerEndError)


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_does_not_make_its_parent_deaf(tcp: Net, must_call: Calls) -> None:
    sock, peer = unread(tcp, "event")
    sock.on("peer_end", told := must_call())

    def task() -> int:
        sock.destroy()
        return len([kind for kind in descriptors().values() if "socket" in kind])

    assert fork is not None
    Child(task, fork).result()
    peer.close()
    told.wait()
