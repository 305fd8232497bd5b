"""A pool: who is served when, what is lent again, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from tests.helpers.authority import client_context, server_context
from tests.helpers.blackhole import refusing
from tests.helpers.servers import place_at, serving
from tests.helpers.threads import in_thread
from tests.helpers.windows import needs_resets


class Served:
    """A server that echoes, and the connections that it has had."""

    def __init__(self, **options: Any) -> None:
        self.peers: list[gnet.Socket] = []
        self.server = gnet.create_server(self._came, **options).listen(0, "127.0.0.1")
        port, host = place_at(self.server)
        self.place = (host, port)

    def _came(self, peer: gnet.Socket) -> None:
        peer.on("error", lambda error: None)
        peer.on("data", peer.write)
        self.peers.append(peer)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.shutdown(grace=0)


@pytest.fixture
def pool(served: Served) -> Iterator[gnet.Pool]:
    made = gnet.Pool(served.place, 2)
    yield made
    made.close(grace=0)


def ask(pool: gnet.Pool, text: bytes = b"hello") -> int | None:
    """Have an echo; gives the local port of the connection."""
    with pool.connection() as sock:
        sock.sendall(text)
        assert sock.recv() == text
        return sock.local_port


def counts(pool: gnet.Pool) -> tuple[int, int, int, int]:
    told = pool.stats()
    return told.in_use, told.idle, told.waiting, told.opened


# -- lending -------------------------------------------------------------------------------------


def test_a_connection_is_lent_again(pool: gnet.Pool) -> None:
    assert ask(pool) == ask(pool)
    assert counts(pool) == (0, 1, 0, 1)


def test_no_more_than_so_many(pool: gnet.Pool) -> None:
    first, second = pool.acquire(), pool.acquire()
    waiting = gevent.spawn(pool.acquire)
    gevent.idle()
    assert counts(pool) == (2, 0, 1, 2)
    pool.release(first)
    assert waiting.get() is first
    pool.release(first)
    pool.release(second)
    assert counts(pool) == (0, 2, 0, 2)


def test_who_comes_first_is_served_first(pool: gnet.Pool) -> None:
    order: list[int] = []

    def work(number: int) -> None:
        with pool.connection():
            order.append(number)
            gevent.idle()

    gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
    assert order == [*range(20)]


def test_who_comes_later_does_not_overtake_who_waits(served: Served) -> None:
    with gnet.Pool(served.place, 1) as pool:
        first = pool.acquire()
        waiting = gevent.spawn(pool.acquire)
        gevent.idle()
        pool.release(first)
        # It is the waiter's by now, although that has not run yet.
        later = gevent.spawn(pool.acquire)
        sock = waiting.get()
        assert pool.stats().waiting == 1
        pool.release(sock)
        pool.release(later.get())


def test_waiting_has_a_limit(served: Served) -> None:
    with gnet.Pool(served.place, 1, wait_timeout=0.01) as pool, pool.connection():
        with pytest.raises(TimeoutError) as caught:
            pool.acquire()
        assert caught.value.code == "ETIMEDOUT"  # type: ignore[attr-defined]
        assert pool.stats().waiting == 0


def test_no_waiting_at_all(served: Served) -> None:
    with (
        gnet.Pool(served.place, 1, wait_timeout=0) as pool,
        pool.connection(),
        pytest.raises(TimeoutError),
    ):
        pool.acquire()


@pytest.mark.parametrize("granted", [False, True])
def test_a_waiter_that_is_killed_costs_no_turn(pool: gnet.Pool, granted: bool) -> None:
    first, second = pool.acquire(), pool.acquire()
    doomed = gevent.spawn(pool.acquire)
    gevent.idle()
    # It is killed in the next turn, and may be given its turn in this one.
    doomed.kill(block=not granted)
    pool.release(first)
    doomed.join()
    pool.release(second)
    assert counts(pool)[::2] == (0, 0)
    assert ask(pool)


def test_a_dial_that_fails_costs_no_turn() -> None:
    with refusing() as (port, host):
        pool = gnet.Pool((host, port), 1)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                pool.acquire()
        told = pool.stats()
        assert (told.in_use, told.failed, told.opened) == (0, 2, 0)
        pool.close()


def test_the_options_are_those_of_the_connections(served: Served) -> None:
    with gnet.Pool([served.place], 1, no_delay=True, timeout=5) as pool:
        for _ in range(2):
            with pool.connection() as sock:
                assert sock.timeout == 5
                sock.settimeout(1)
                sock.set_encoding("utf-8")


# -- what is lent again --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("noticed", [False, True])
def test_a_peer_that_has_ended_is_never_lent(
    served: Served, pool: gnet.Pool, how: str, noticed: bool
) -> None:
    if how == "reset":
        needs_resets()
    former = ask(pool)
    (peer,) = served.peers
    peer.end() if how == "end" else peer.reset_and_destroy()
    if noticed:
        while pool.stats().idle:
            gevent.sleep(0.001)
    assert ask(pool) != former
    assert pool.stats().opened == 2


def test_what_arrives_while_it_is_idle_is_nobodys(served: Served, pool: gnet.Pool) -> None:
    former = ask(pool)
    served.peers[0].write(b"late")
    gevent.sleep(0.01)
    assert ask(pool) != former


@pytest.mark.parametrize("spoil", ["unread", "ahead", "flowing", "ended", "corked", "raised"])
def test_one_that_is_not_clean_is_not_lent_again(pool: gnet.Pool, spoil: str) -> None:
    with pool.connection() as sock:
        former = sock.local_port
        sock.sendall(b"hello")
        if spoil == "unread":
            sock.recv(1)
        elif spoil == "ahead":
            sock.makefile("rb").peek()
        else:
            assert sock.recv() == b"hello"
        if spoil == "flowing":
            sock.resume()
        elif spoil == "ended":
            sock.end()
        elif spoil == "corked":
            sock.cork()
            sock.write(b"last words")
    if spoil == "raised":
        with pytest.raises(ZeroDivisionError), pool.connection() as sock:
            assert sock.local_port == former
            raise ZeroDivisionError
    assert pool.stats().idle == 0
    assert ask(pool) != former


def test_what_is_queued_is_sent_although_it_is_not_lent_again(served: Served) -> None:
    with gnet.Pool(served.place) as pool:
        with pool.connection() as sock:
            sock.cork()
            sock.write(b"last words")
        while not served.peers or served.peers[0].bytes_read < 10:
            gevent.sleep(0.001)


def test_listeners_of_the_last_borrower_are_taken_off(pool: gnet.Pool) -> None:
    with pool.connection() as sock:
        sock.on("timeout", lambda: None)
    with pool.connection() as again:
        assert again is sock
        assert not again.listener_count("timeout")


def test_the_check_is_asked_of_what_is_lent_again(served: Served) -> None:
    asked: list[gnet.Socket] = []
    answers: list[Any] = [True, False, ZeroDivisionError()]

    def check(sock: gnet.Socket) -> Any:
        asked.append(sock)
        sock.sendall(b"ping")
        assert sock.recv() == b"ping"
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with gnet.Pool(served.place, 1, check=check) as pool:
        ports = [ask(pool) for _ in range(4)]
        assert ports[0] == ports[1]
        assert len(set(ports)) == 3
        assert (len(asked), pool.stats().opened) == (3, 3)


def test_a_check_that_is_interrupted_costs_no_turn(served: Served) -> None:
    never = Event()
    with gnet.Pool(served.place, 1, check=lambda sock: never.wait()) as pool:
        ask(pool)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
            pool.acquire()
        assert counts(pool) == (0, 0, 0, 1)


def test_an_idle_connection_is_closed_after_a_while(served: Served) -> None:
    with gnet.Pool(served.place, 1, idle_timeout=0.01) as pool:
        former = ask(pool)
        while pool.stats().idle:
            gevent.sleep(0.001)
        assert ask(pool) != former


def test_an_old_connection_is_not_lent_again(served: Served) -> None:
    with gnet.Pool(served.place, 1, lifetime=0.02) as pool:
        with pool.connection() as sock:
            former = sock.local_port
            gevent.sleep(0.03)
            # It is not taken away from who has it.
            sock.sendall(b"x")
            assert sock.recv() == b"x"
        assert pool.stats().idle == 0
        assert ask(pool) != former


def test_idle_connections_keep_no_program_running(pool: gnet.Pool, served: Served) -> None:
    ask(pool)
    served.server.shutdown(grace=0)
    assert gnet.run(5)


# -- the end -------------------------------------------------------------------------------------


def test_close_waits_for_what_is_lent(pool: gnet.Pool) -> None:
    borrowed, go_on = Event(), Event()

    def work() -> None:
        with pool.connection() as sock:
            borrowed.set()
            go_on.wait()
            sock.sendall(b"x")
            assert sock.recv() == b"x"

    worker = gevent.spawn(work)
    borrowed.wait()
    closer = gevent.spawn(pool.close)
    gevent.idle()
    assert not closer.ready()
    go_on.set()
    worker.get()
    closer.get()
    assert counts(pool)[:2] == (0, 0)


def test_close_destroys_what_is_lent_after_the_grace(pool: gnet.Pool) -> None:
    sock = gevent.spawn(pool.acquire).get()
    pool.close(grace=0.01)
    assert sock.destroyed
    pool.release(sock)


def test_close_does_not_wait_for_its_own_greenlet(pool: gnet.Pool) -> None:
    with pool.connection() as sock:
        pool.close()
        assert not sock.destroyed
    assert sock.destroyed


def test_a_closed_pool_lends_nothing(pool: gnet.Pool) -> None:
    first, second = pool.acquire(), pool.acquire()
    seen: list[Any] = []

    def work() -> None:
        try:
            pool.acquire()
        except RuntimeError as exc:
            seen.append(exc)

    waiter = gevent.spawn(work)
    gevent.idle()
    pool.close()
    waiter.get()
    with pytest.raises(RuntimeError) as caught:
        pool.acquire()
    assert [each.code for each in (*seen, caught.value)] == ["ERR_POOL_CLOSED"] * 2
    pool.release(first)
    pool.release(second)
    pool.close()
    assert "closed" in repr(pool)


def test_a_file_that_a_client_keeps_does_not_keep_the_connection(served: Served) -> None:
    pool = gnet.Pool(served.place)
    with pool.connection() as sock:
        file = sock.makefile("rwb")
    assert pool.stats().idle == 1
    pool.close()
    sock.wait("close")
    file.close()


# -- TLS, threads, bad input ---------------------------------------------------------------------


def test_over_tls_tickets_are_nothing_unread() -> None:
    served = Served(tls=server_context())
    with gnet.Pool(served.place, 1, tls=client_context(), server_hostname="localhost") as pool:
        assert ask(pool) == ask(pool) == ask(pool)
    served.server.shutdown(grace=0)


def test_a_pool_is_of_its_thread(pool: gnet.Pool) -> None:
    with pytest.raises(RuntimeError) as caught:
        in_thread(pool.acquire)
    assert caught.value.code == "ERR_WRONG_THREAD"  # type: ignore[attr-defined]


@pytest.mark.parametrize("times", [0, 2])
def test_only_what_is_lent_is_handed_back(pool: gnet.Pool, times: int) -> None:
    sock = pool.acquire() if times else gnet.Socket()
    if times:
        pool.release(sock)
    with pytest.raises(ValueError, match="not lent"):
        pool.release(sock)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"size": 0}, ValueError, "size"), ({"size": "3"}, TypeError, "size"),
        ({"idle_timeout": -1}, ValueError, "idle_timeout"),
        ({"lifetime": "1"}, TypeError, "lifetime"),
        ({"wait_timeout": -1}, ValueError, "wait_timeout"), ({"check": 5}, TypeError, "check"),
        ({"reconnect": None}, TypeError, "reconnect"), ({"fd": 5}, TypeError, "fd"),
        ({"handle": 5}, TypeError, "handle"), ({"no_delai": True}, TypeError, "no_delay"),
        ({"family": 5}, ValueError, "family"), ({"timeout": "1"}, TypeError, "timeout"),
        ({"target": []}, ValueError, "target"), ({"target": None}, TypeError, "port"),
        ({"target": "host:1"}, ValueError, "host"),
        ({"write_limit": 0}, ValueError, "write_limit"),
    ],
)  # fmt: skip
def test_bad_input_before_anything_is_opened(
    options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        gnet.Pool(**{"target": 1, **options})


def test_a_pool_of_listeners_is_none() -> None:
    with serving() as server, pytest.raises(TypeError, match="no listener"):
        gnet.Pool(server)
