"""A connection that takes no time is made in the call that waits for it, and everybody else's
turn comes all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet import dns
from tests.helpers.blackhole import blackhole, refusing

if TYPE_CHECKING:
    from tests.net.conftest import Net


def test_a_blocking_call_connects(net: Net) -> None:
    target = net.target(net.listening_peer())
    calls: list[Callable[[gnet.Socket], Any]] = [
        gnet.Socket.__enter__,
        gnet.Socket.getpeername,
        lambda sock: sock.sendall(b"x"),
    ]
    for call in calls:
        sock = net.keep(gnet.connect(*target))
        assert sock.connecting
        call(sock)
        assert (sock.connecting, sock.ready_state) == (False, "open")


def test_connecting_again_and_again_leaves_the_others_their_turn(net: Net) -> None:
    server = net.server(lambda sock: None)
    turns = 0
    over = False

    def others() -> None:
        nonlocal turns
        while not over:
            turns += 1
            gevent.sleep(0)

    runner = gevent.spawn(others)
    for _ in range(300):
        with gnet.connect(*net.target(server)):
            pass
        if turns > 2:
            break
    over = True
    runner.join()
    assert turns > 2


def test_who_connects_first_goes_on_first(net: Net) -> None:
    target = net.target(net.listening_peer())
    order: list[int] = []

    def connects(number: int) -> None:
        with gnet.connect(*target):
            order.append(number)

    gevent.joinall([gevent.spawn(connects, number) for number in range(9)], raise_error=True)
    assert order == [*range(9)]


def test_what_a_dial_tells_is_told_while_it_goes_on(tcp: Net) -> None:
    told: list[Any] = []
    sock = tcp.keep(gnet.connect(*tcp.target(tcp.listening_peer())))
    for event in ("connection_attempt", "connect", "ready"):
        sock.on(event, lambda *args, event=event: told.append((event, sock.connecting)))
    sock.sendall(b"x")
    sock.wait("ready")
    assert told == [("connection_attempt", True), ("connect", False), ("ready", False)]


def test_two_calls_that_wait_make_one_attempt(net: Net) -> None:
    with blackhole() as hole:
        sock = gnet.connect(hole.port, "127.0.0.1")
        callers = [net.start(sock.getpeername) for _ in range(2)]
        assert sock.auto_select_family_attempted_addresses == [f"127.0.0.1:{hole.port}"]
        sock.destroy()
        for each in callers:
            assert isinstance(each.get(), gnet.errors.SocketClosedError)


def test_a_call_that_is_interrupted_leaves_the_connection_to_go_on() -> None:
    with blackhole() as hole:
        sock = gnet.connect(hole.port, "127.0.0.1")
        with gevent.Timeout(0.05, False):
            sock.getpeername()
        assert sock.connecting
        hole.open_up()
        sock.sendall(b"message")
        assert not sock.connecting
        sock.destroy()


def test_a_refusal_is_raised_by_the_call_and_told(tcp: Net) -> None:
    with refusing() as (port, host):
        sock = gnet.connect(port, host)
        with pytest.raises(ConnectionRefusedError) as caught:
            sock.getpeername()
        assert (caught.value.code, caught.value.syscall) == ("ECONNREFUSED", "connect")
        assert (caught.value.address, caught.value.port) == (host, port)
        assert sock.destroyed


def test_a_connection_made_so_is_noticed_to_be_over(net: Net) -> None:
    listening = net.listening_peer()
    sock = net.keep(gnet.connect(*net.target(listening)))
    sock.getpeername()
    over = Event()
    sock.on("end", over.set)
    peer, _ = listening.accept()
    peer.close()
    assert over.wait(5)


# -- the name of this machine ---------------------------------------------------------------------


def test_a_resolver_of_the_programs_own_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    class Own:
        def getaddrinfo(self, name: str, *rest: Any) -> Any:
            asked.append(name)
            return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(gevent.get_hub(), "resolver", Own())
    for _ in range(2):
        dns.lookup("localhost")
    assert asked == ["localhost"] * 2
