"""Names are looked up in a forked child, whatever the parent has done before."""

from __future__ import annotations

import _socket
import os
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.monkey import get_original

import gnet
from gnet import dns
from gnet.dns import Resolver, libc
from tests.helpers import forks
from tests.helpers.dnsserver import DNSServer, honest, released, silent, wait_for_queries
from tests.helpers.forks import Child, In
from tests.helpers.turns import until
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

LOCAL = ("127.0.0.1", 4)


@pytest.fixture(params=["os", "gevent", "multiprocessing"])
def child(request: pytest.FixtureRequest) -> In:
    """Runs a function in a forked child, under a time limit, and gives what it returns."""
    return forks.ways()[request.param]


def look_up() -> Any:
    return dns.lookup("localhost", family=4)


def test_a_child_looks_up_what_its_parent_has_just_looked_up(child: In) -> None:
    assert look_up() == LOCAL
    assert child(look_up) == LOCAL
    # And the parent goes on.
    assert look_up() == LOCAL


def test_a_child_uses_the_pool_of_its_hub(child: In) -> None:
    look_up()
    pool = gevent.get_hub().threadpool
    assert pool.apply(os.getpid) == os.getpid()
    assert child(lambda: pool.apply(os.getpid) == os.getpid())
    assert child(lambda: socket.gethostbyname("localhost")) == "127.0.0.1"


def test_a_thread_of_the_pool_may_have_looked_names_up_too(child: In) -> None:
    pool = gevent.get_hub().threadpool
    # It has a hub and a pool of its own then.
    assert pool.apply(look_up) == LOCAL
    try:
        assert child(look_up) == LOCAL
        assert pool.apply(look_up) == LOCAL
    finally:
        pool.apply(lambda: gevent.get_hub().destroy(destroy_loop=True))


def test_a_child_of_a_child_looks_names_up(child: In) -> None:
    look_up()
    assert child(lambda: (look_up(), Child(look_up, forks.fork).result())) == (LOCAL, LOCAL)


def test_a_lookup_that_is_under_way_is_the_parents(child: In) -> None:
    busy = [gevent.spawn(look_up) for _ in range(20)]
    gevent.sleep(0)
    assert child(look_up) == LOCAL
    assert [each.get(timeout=10) for each in busy] == [LOCAL] * 20


def test_a_fork_comes_when_no_question_is_inside_libc(
    child: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As glibc does with its own lock, which a child would have as it is at the fork.
    inside = get_original("_thread", "allocate_lock")()

    def answer(*question: Any) -> Any:
        with inside:
            get_original("time", "sleep")(0.002)
            return getaddrinfo(*question)

    getaddrinfo = _socket.getaddrinfo
    monkeypatch.setattr(_socket, "getaddrinfo", answer)
    # A busy machine does not count.
    monkeypatch.setattr(libc, "_PATIENCE", 10)
    for _ in range(5):
        busy = [gevent.spawn(look_up) for _ in range(20)]
        until(inside.locked)
        assert child(look_up) == LOCAL
        assert [each.get(timeout=10) for each in busy] == [LOCAL] * 20


def test_a_fork_does_not_wait_for_a_question_of_the_network(
    child: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = get_original("_thread", "allocate_lock")()
    parent = os.getpid()

    def answer(*question: Any) -> Any:
        if os.getpid() == parent:
            with answered:
                pass
        return getaddrinfo(*question)

    getaddrinfo = _socket.getaddrinfo
    monkeypatch.setattr(_socket, "getaddrinfo", answer)
    with answered:
        asking = [gevent.spawn(look_up) for _ in range(3)]
        until(lambda: len(libc._asked) == 3)
        assert child(look_up) == LOCAL
        assert not any(each.ready() for each in asking)
    assert [each.get(timeout=10) for each in asking] == [LOCAL] * 3
    assert not libc._asked


def test_a_child_connects_by_name(net: Net, child: In) -> None:
    look_up()

    def task() -> bytes:
        server = gnet.create_server(lambda sock: sock.end(b"hi")).listen(0, "127.0.0.1")
        with gnet.connect(server.address().port, "localhost", family=4) as sock:  # type: ignore[union-attr]
            received = b"".join(sock)
        server.close()
        return received

    assert child(task) == b"hi"


def test_a_question_on_its_way_is_the_parents_and_the_child_asks_its_own(child: In) -> None:
    with DNSServer() as server:
        server.add("four.test", "A", "127.0.0.9")
        gate = Event()
        server.udp = [released(gate), honest]
        resolver = Resolver(
            [f"127.0.0.1:{server.port}"], timeout=30, tries=1, hosts=None, search=[]
        )
        asking = gevent.spawn(resolver.lookup, "four.test", family=4)
        wait_for_queries(server, 1)
        socket_of_the_parent = server.clients[0]

        def task() -> Any:
            # The server is the parent's: nobody answers in the child but what it has itself.
            with DNSServer() as own:
                own.add("four.test", "A", "127.0.0.7")
                resolver._questions._servers = [
                    each._replace(port=own.port) for each in resolver._questions._servers
                ]
                found = resolver.lookup("four.test", family=4)
                return found, own.clients[0] != socket_of_the_parent

        assert child(task) == (("127.0.0.7", 4), True)
        gate.set()
        assert asking.get(timeout=10) == ("127.0.0.9", 4)


def test_who_waits_for_an_answer_in_the_parent_is_not_run_on_in_the_child(child: In) -> None:
    with DNSServer() as server:
        server.udp = [silent]
        resolver = Resolver(
            [f"127.0.0.1:{server.port}"], timeout=30, tries=1, hosts=None, search=[]
        )
        ended: list[Any] = []

        def ask() -> None:
            try:
                resolver.lookup("four.test", family=4)
            finally:
                ended.append(os.getpid())

        asking = gevent.spawn(ask)
        wait_for_queries(server, 1)

        def task() -> Any:
            for _ in range(10):
                gevent.sleep(0)
            return list(ended)

        assert child(task) == []
        asking.kill()
        assert ended == [os.getpid()]
