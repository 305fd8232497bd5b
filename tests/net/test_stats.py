"""What ``stats()`` of a socket, of a server and of ``gnet`` tells."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest
from gevent.event import Event
from gevent.monkey import get_original

import gnet
from gnet._sight.living import living
from tests.helpers.authority import client_context, server_context
from tests.helpers.servers import receive_all
from tests.helpers.threads import Thread, destroy_loops, in_thread
from tests.helpers.turns import until
from tests.net.conftest import Net


@pytest.fixture(autouse=True)
def no_loop_is_left() -> Iterator[None]:
    yield
    destroy_loops()


# -- sockets --------------------------------------------------------------------------------------


def test_a_connection_tells_its_ends_and_what_went_over_it(tcp: Net) -> None:
    ours, peer = tcp.accepted()
    peer.sendall(b"abc")
    assert ours.recv() == b"abc"
    ours.sendall(b"defgh")
    stats = ours.stats()
    assert (stats.bytes_in, stats.bytes_out, stats.queued) == (3, 5, 0)
    assert stats.peer == gnet.AddressInfo(ours.remote_address, "IPv4", ours.remote_port)
    assert stats.local == ours.address()
    assert (stats.proxy, stats.tls_protocol, stats.tls_cipher) == (None, None, None)
    assert stats.state == ours.ready_state == "open"
    assert stats.style == "blocking"
    assert 0 <= stats.last_activity <= stats.age < 10


def test_a_path_is_told_as_one(unix: Net) -> None:
    server = unix.server()
    sock = unix.connect(server)
    sock.wait("connect")
    assert sock.stats().peer == server.stats().address == server.address()


def test_the_statistics_are_frozen_and_a_plain_dictionary(tcp: Net) -> None:
    ours, _ = tcp.accepted()
    stats = ours.stats()
    with pytest.raises(FrozenInstanceError):
        stats.bytes_in = 1  # type: ignore[misc]
    for each in (stats, ours.server.stats(), gnet.stats()):
        assert json.loads(json.dumps(asdict(each)))


def test_what_the_kernel_has_not_taken_is_queued(net: Net) -> None:
    ours, peer = net.accepted()
    data = bytes(8_000_000)
    ours.write(data)
    stats = ours.stats()
    assert 0 < stats.queued < len(data)
    assert stats.bytes_out + stats.queued == ours.bytes_written == len(data)
    assert ours.server.stats().queued == stats.queued
    assert gnet.stats().queued >= stats.queued
    received = 0
    while received < len(data):
        received += len(peer.recv(1 << 20))
    until(lambda: not ours.writable_length)
    assert ours.stats().bytes_out == len(data)
    assert ours.server.stats().longest_queue >= stats.queued


def test_what_was_dropped_was_not_sent(net: Net) -> None:
    ours, _ = net.accepted()
    server = ours.server
    ours.write(bytes(8_000_000))
    before = ours.stats()
    ours.destroy()
    ours.wait("close")
    after = ours.stats()
    assert after.bytes_out == before.bytes_out
    assert after.bytes_out + after.queued == ours.bytes_written
    assert after.state == "closed"
    assert server.stats().bytes_out == before.bytes_out
    assert server.stats().queued == 0


def test_a_redial_begins_the_sockets_numbers_anew_and_no_others(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    sock = tcp.connect(server)
    sock.sendall(b"abc")
    assert sock.recv() == b"abc"
    sock.destroy()
    sock.wait("close")
    total = gnet.stats().bytes_in
    sock.connect(server.port, "127.0.0.1")
    sock.wait("connect")
    assert (sock.stats().bytes_in, sock.stats().bytes_out) == (0, 0)
    assert gnet.stats().bytes_in >= total


def test_the_age_of_a_closed_connection_stands_still(tcp: Net) -> None:
    ours, _ = tcp.accepted()
    ours.destroy()
    ours.wait("close")
    age = ours.stats().age
    time.sleep(0.02)
    assert ours.stats().age == age < 10


def test_a_socket_that_never_had_a_connection_has_no_age() -> None:
    stats = gnet.Socket().stats()
    assert (stats.age, stats.state, stats.peer, stats.waits_in) == (0.0, "closed", None, None)


def test_the_time_limits_in_force_are_told(tcp: Net) -> None:
    ours, _ = tcp.accepted(lifetime=60, first_byte_timeout=30, write_timeout=20)
    ours.set_timeout(5)
    assert ours.stats().timeouts == {"lifetime": 60, "first_byte_timeout": 30, "timeout": 5}
    ours.write(bytes(8_000_000))
    assert ours.stats().timeouts["write_timeout"] == 20
    ours.destroy()
    assert ours.stats().timeouts == {}


def test_the_proxy_is_told_beside_the_client(tcp: Net) -> None:
    trusted = gnet.BlockList()
    trusted.add_subnet("127.0.0.0", 8)
    ours: list[gnet.Socket] = []
    server = tcp.server(ours.append, proxy_protocol="require", trusted_proxies=trusted)
    peer = tcp.peer(server)
    peer.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 1111 2222\r\n")
    until(lambda: ours)
    stats = tcp.keep(ours[0]).stats()
    assert stats.peer == gnet.AddressInfo("192.0.2.7", "IPv4", 1111)
    assert stats.local == gnet.AddressInfo("198.51.100.1", "IPv4", 2222)
    assert stats.proxy.address == "127.0.0.1"  # type: ignore[union-attr]
    assert stats.proxy.port == peer.getsockname()[1]  # type: ignore[union-attr]


def test_tls_is_told_with_its_handshakes(tcp: Net) -> None:
    before = gnet.stats().handshakes
    server = tcp.server(lambda sock: sock.pipe(sock), tls=server_context())
    sock = tcp.connect(server, tls=client_context())
    sock.sendall(b"x")
    assert sock.recv() == b"x"
    stats = sock.stats()
    assert stats.tls_protocol == sock.get_protocol() == "TLSv1.3"
    assert stats.tls_cipher == sock.cipher()[0]
    assert (server.stats().handshakes, server.stats().handshakes_active) == (1, 0)
    # Both ends are this process'.
    assert gnet.stats().handshakes == before + 2


def test_a_handshake_is_active_from_the_accept_and_may_fail(tcp: Net) -> None:
    server = tcp.server(tls=server_context())
    peer = tcp.peer(server)
    until(lambda: server.stats().handshakes_active == 1)
    assert server.stats().accepted == 0
    peer.sendall(b"no hello, but a line of text\r\n")
    server.wait("drop")
    stats = server.stats()
    assert (stats.handshakes, stats.handshakes_failed, stats.handshakes_active) == (0, 1, 0)
    assert stats.refused["tls"] == 1


# -- what a greenlet waits in ---------------------------------------------------------------------


def sleeps_elsewhere(begun: Event, end: Event) -> None:
    begun.set()
    end.wait()


def test_a_blocked_call_is_told(tcp: Net) -> None:
    ours, peer = tcp.accepted()
    assert ours.stats().waits_in is None
    reader = tcp.start(ours.recv)
    until(lambda: ours.stats().waits_in == "recv")
    peer.sendall(b"x")
    assert reader.get() == b"x"
    writer = tcp.start(ours.sendall, bytes(8_000_000))
    until(lambda: ours.stats().waits_in == "sendall")
    waiter = tcp.start(ours.wait, "close")
    ours.destroy()
    assert waiter.get() == (False,)
    assert isinstance(writer.get(), OSError)


@pytest.mark.parametrize("end_on_return", [False, True])
def test_a_handler_tells_in_which_function_it_is(tcp: Net, end_on_return: bool) -> None:
    begun, end = Event(), Event()
    server = tcp.server(lambda sock: sleeps_elsewhere(begun, end), end_on_return=end_on_return)
    tcp.peer(server)
    begun.wait()
    (sock,) = server.connections
    assert str(sock.stats().waits_in).endswith("test_stats.sleeps_elsewhere")
    # Another thread does not look at what the greenlet does just then.
    assert in_thread(sock.stats).waits_in == "listener"
    end.set()


def test_a_data_listener_tells_in_which_function_it_is(tcp: Net) -> None:
    begun, end = Event(), Event()
    ours, peer = tcp.accepted()
    ours.on("data", lambda data: sleeps_elsewhere(begun, end))
    peer.sendall(b"x")
    begun.wait()
    assert str(ours.stats().waits_in).endswith("test_stats.sleeps_elsewhere")
    end.set()
    until(lambda: ours.stats().waits_in is None)


# -- servers --------------------------------------------------------------------------------------


def test_a_server_counts_who_comes_and_who_goes(net: Net) -> None:
    begun = time.time()
    server = net.server(lambda sock: sock.pipe(sock))
    assert begun - 1 < server.stats().listening_since < time.time() + 1  # type: ignore[operator]
    for _ in range(3):
        peer = net.peer(server)
        peer.sendall(b"abcd")
        assert peer.recv(4) == b"abcd"
    stats = server.stats()
    assert (stats.active, stats.accepted, stats.closed) == (3, 3, 0)
    assert (stats.bytes_in, stats.bytes_out) == (12, 12)
    assert sum(stats.ages.values()) == 3
    server.shutdown(0)
    stats = server.stats()
    assert (stats.active, stats.accepted, stats.closed) == (0, 3, 3)
    assert (stats.bytes_in, stats.bytes_out, stats.listening_since) == (12, 12, None)
    assert sum(stats.ages.values()) == 0


def test_refusals_are_counted_by_their_reason(tcp: Net) -> None:
    server = tcp.server(max_connections=1)
    tcp.peer(server)
    until(lambda: server.connections)
    for _ in range(2):
        assert receive_all(tcp.peer(server)) == b""
    refused = server.stats().refused
    assert refused["max_connections"] == 2
    assert sorted(refused) == sorted(
        ["max_connections", "per_address", "rate", "block_list", "proxy_protocol", "tls", "emfile"]
    )
    assert sum(refused.values()) == 2


def test_pauses_are_counted(tcp: Net) -> None:
    ours, _ = tcp.accepted()
    ours.pause().pause().resume().pause()
    assert ours.server.stats().pauses == 2


def test_a_server_that_listens_again_goes_on_counting(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.end(b"x"))
    with tcp.peer(server) as peer:
        assert receive_all(peer) == b"x"
    server.close()
    server.wait_closed()
    server.listen(0, "127.0.0.1")
    assert receive_all(tcp.peer(server)) == b"x"
    assert (server.stats().accepted, server.stats().bytes_out) == (2, 2)


# -- the process ----------------------------------------------------------------------------------


def test_the_process_counts_servers_and_connects(tcp: Net) -> None:
    before = gnet.stats()
    server = tcp.server(lambda sock: sock.pipe(sock))
    sock = tcp.connect(server)
    sock.sendall(b"abc")
    assert sock.recv() == b"abc"
    now = gnet.stats()
    assert now.servers_opened == before.servers_opened + 1
    assert now.accepted == before.accepted + 1
    assert now.connects.tried == before.connects.tried + 1
    assert now.connects.made == before.connects.made + 1
    # Each byte went out and came in twice.
    assert now.bytes_in == before.bytes_in + 6
    assert now.bytes_out == before.bytes_out + 6
    assert [each.address for each in now.servers] == [server.address()]
    sock.destroy()
    sock.wait("close")
    server.shutdown(0)
    end = gnet.stats()
    assert end.closed == before.closed + 2
    assert (end.bytes_in, end.bytes_out) == (now.bytes_in, now.bytes_out)
    assert (end.servers, end.servers_closed) == ((), before.servers_closed + 1)
    assert (end.active, end.connects.active) == (0, 0)


def test_what_is_collected_stays_in_the_totals(tcp: Net) -> None:
    before = gnet.stats()
    server = tcp.server(lambda sock: sock.pipe(sock))
    sock = gnet.connect(server.port, "127.0.0.1")
    sock.sendall(b"abc")
    assert sock.recv() == b"abc"
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock
        gc.collect()
    assert gnet.stats().bytes_in >= before.bytes_in + 6
    server.shutdown(0)
    server = None
    gc.collect()
    after = gnet.stats()
    assert after.bytes_in == before.bytes_in + 6
    assert after.closed == before.closed + 2


def test_failed_connects_are_counted_by_their_code(tcp: Net) -> None:
    before = gnet.stats().connects
    sock = tcp.keep(gnet.connect(*tcp.refusing()))
    with pytest.raises(ConnectionRefusedError):
        sock.wait("connect")
    sock.wait("close")
    now = gnet.stats().connects
    assert now.tried == before.tried + 1
    assert now.made == before.made
    assert now.failed["ECONNREFUSED"] == before.failed.get("ECONNREFUSED", 0) + 1


def test_a_connect_that_its_program_gives_up_is_told_from_one_that_failed(tcp: Net) -> None:
    before = gnet.stats().connects.failed.get("ERR_SOCKET_CLOSED", 0)
    sock = tcp.connect(tcp.server())
    sock.destroy()
    sock.wait("close")
    assert gnet.stats().connects.failed["ERR_SOCKET_CLOSED"] == before + 1


@pytest.mark.parametrize("own", [True, False])
def test_lookups_are_counted_once(tcp: Net, own: bool) -> None:
    server = tcp.server()

    def hook(hostname: str, **options: Any) -> Any:
        return "127.0.0.1"

    before = gnet.stats().dns
    lookup = gnet.dns.lookup if own else hook
    sock = tcp.keep(gnet.connect(server.port, "localhost", lookup=lookup, family=4))
    sock.wait("connect")
    now = gnet.stats().dns
    assert (now.asked, now.failed) == (before.asked + 1, before.failed)
    # Windows' clock has not always gone on.
    assert now.seconds > before.seconds or sys.platform == "win32"


def test_a_failed_lookup_is_counted(tcp: Net) -> None:
    def hook(hostname: str, **options: Any) -> Any:
        return []

    before = gnet.stats().dns
    sock = tcp.keep(gnet.connect(1, "nowhere.test", lookup=hook))
    with pytest.raises(OSError):
        sock.wait("connect")
    assert gnet.stats().dns.failed == before.failed + 1


def test_the_loops_lag_is_measured_after_a_look() -> None:
    gnet.stats()
    until(lambda: gnet.stats().loop_lag is not None)
    get_original("time", "sleep")(0.25)
    until(lambda: gnet.stats().loop_lag > 0.1)  # type: ignore[operator]
    # It keeps no program running.
    assert gnet.run(0) is True


def test_greenlets_are_counted(tcp: Net) -> None:
    begun, end = Event(), Event()
    server = tcp.server(lambda sock: sleeps_elsewhere(begun, end))
    tcp.peer(server)
    begun.wait()
    assert gnet.stats().greenlets_lent >= 1
    end.set()
    until(lambda: not gnet.stats().greenlets_lent)
    assert gnet.stats().greenlets_idle >= 1


# -- threads --------------------------------------------------------------------------------------


def test_everything_can_be_asked_from_any_thread(tcp: Net) -> None:
    ours, peer = tcp.accepted()
    peer.sendall(b"abc")
    assert ours.recv() == b"abc"
    assert in_thread(ours.stats).bytes_in == 3
    assert in_thread(ours.server.stats).bytes_in == 3
    assert in_thread(gnet.stats).bytes_in >= 3


def test_what_a_thread_has_counted_stays_when_it_ends(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    before = gnet.stats()

    def talk() -> None:
        sock = gnet.connect(server.port, "127.0.0.1")
        sock.sendall(b"abc")
        assert sock.recv() == b"abc"
        # It goes with its thread.
        kept.append(sock)

    kept: list[gnet.Socket] = []
    in_thread(talk)
    until(lambda: not server.connections)
    now = gnet.stats()
    assert now.bytes_in == before.bytes_in + 6
    assert now.closed == before.closed + 2
    assert now.connects.made == before.connects.made + 1


def test_no_number_falls_while_another_thread_looks(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    falls: list[Any] = []
    over = False
    looks = 0

    def watch() -> None:
        nonlocal looks
        last = (0, 0, 0)
        while not over:
            stats = server.stats()
            now = (stats.bytes_in, stats.bytes_out, stats.closed)
            if any(map(lambda new, old: new < old, now, last)):
                falls.append((last, now))
            last = now
            looks += 1

    thread = Thread(watch)
    try:
        for _ in range(60):
            peer = tcp.peer(server)
            peer.sendall(b"abcd")
            assert peer.recv(4) == b"abcd"
            peer.close()
        # On a busy machine the thread may come to its first look late.
        until(lambda: not server.connections and looks > 0)
    finally:
        over = True
        thread.result()
    assert looks
    assert falls == []
    assert server.stats().bytes_in == 240


# -- who there is ---------------------------------------------------------------------------------


def test_all_that_live_are_found_and_none_is_kept(tcp: Net) -> None:
    server = tcp.server()
    sock = tcp.connect(server)
    sock.wait("connect")
    until(lambda: server.connections)
    found = living()
    assert found.servers == [server]
    assert set(found.sockets) == {sock, *server.connections}
    del found
    sock.destroy()
    server.shutdown(0)
    until(lambda: living() == ([], []))


def test_those_of_other_threads_are_found(tcp: Net) -> None:
    def listen() -> int:
        server = gnet.create_server().listen(0, "127.0.0.1")
        port = server.port
        found = [each.port for each in living().servers]
        server.close()
        server.wait_closed()
        return found.count(port)

    assert in_thread(listen) == 1


def test_an_uncounted_server_is_nowhere(tcp: Net) -> None:
    before = gnet.stats()
    server = gnet.create_server(lambda sock: sock.pipe(sock))
    server._uncounted()
    tcp.keep(server).listen(0, "127.0.0.1")
    peer = tcp.peer(server)
    peer.sendall(b"abc")
    assert peer.recv(3) == b"abc"
    now = gnet.stats()
    assert (now.accepted, now.bytes_in, now.servers) == (before.accepted, before.bytes_in, ())
    assert living() == ([], [])
    assert server.stats().bytes_in == 3
    server.shutdown(0)
    end = gnet.stats()
    assert (end.closed, end.bytes_in) == (before.closed, before.bytes_in)
    assert end.servers_closed == before.servers_closed
