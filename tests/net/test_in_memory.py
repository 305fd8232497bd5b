"""Connections without a descriptor: ``gnet.testing``."""

from __future__ import annotations

import errno
import gc
import os
import socket
import warnings
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

import gnet
from tests.helpers.calls import Calls
from tests.helpers.forks import In, ways
from tests.helpers.servers import closing, memory_pair, serving


def started(call: Callable[[], Any]) -> gevent.Greenlet[..., Any]:
    """A greenlet that has begun a call that blocks; it gives its value, or its error."""

    def run() -> Any:
        try:
            return call()
        except Exception as exc:
            return exc

    greenlet = gevent.spawn(run)
    gevent.sleep(0)
    return greenlet


CLIENT = ("192.0.2.1", 40000)
SERVER = ("198.51.100.1", 8124)


def test_the_ends_say_the_addresses_that_they_were_given() -> None:
    with memory_pair(addresses=(CLIENT, ("2001:db8::1", 80))) as (client, served):
        assert (client.local_address, client.local_port) == CLIENT
        assert (client.remote_address, client.remote_port) == ("2001:db8::1", 80)
        assert (served.local_family, served.remote_family) == ("IPv6", "IPv4")
        assert client.family == socket.AF_INET


def test_without_addresses_they_have_none() -> None:
    with memory_pair() as (client, _):
        assert client.address() is client.remote_address is client.peer_credentials is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"buffer_size": 0}, ValueError),
        ({"buffer_size": "1"}, TypeError),
        ({"max_read": 0}, ValueError),
        ({"max_read": 1.5}, TypeError),
        ({"addresses": CLIENT[0]}, TypeError),
        ({"addresses": (CLIENT,)}, TypeError),
        ({"addresses": (CLIENT[0], None)}, TypeError),
        ({"addresses": (("localhost", 1), None)}, ValueError),
        ({"addresses": (("127.0.0.1", 65536), None)}, ValueError),
        ({"high_water_mark": -1}, ValueError),
        ({"fd": 3}, TypeError),
        ({"nonsense": 1}, TypeError),
    ],
    ids=str,
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        gnet.testing.pair(**options)


def test_there_is_no_descriptor_and_what_needs_one_says_so() -> None:
    with memory_pair() as (client, served):
        assert client.fileno() == -1
        for call in (
            client.detach,
            lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            lambda: client.recvmsg(10),
        ):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.code in ("ENOTSUP", "EOPNOTSUPP", "ENOTSOCK")  # type: ignore[attr-defined]
        client.set_no_delay().set_keep_alive(True)
        client.sendall(b"still there")
        assert served.recv() == b"still there"


def test_no_read_gives_more_than_was_said() -> None:
    with memory_pair(max_read=2) as (client, served):
        client.write(b"abcde")
        assert [served.recv() for _ in range(3)] == [b"ab", b"cd", b"e"]
        chunks: list[bytes] = []
        served.on("data", chunks.append)
        client.end(b"abc")
        served.wait("end")
        assert chunks == [b"ab", b"c"]


def test_a_full_buffer_holds_the_writer_up() -> None:
    with memory_pair(buffer_size=4) as (client, served):
        writing = gevent.spawn(client.sendall, b"0123456789")
        received = served.recv()
        assert received == b"0123"
        assert not writing.ready()
        while len(received) < 10:
            received += served.recv()
        writing.get()
        assert received == b"0123456789"


def test_a_reset_reaches_the_other_end() -> None:
    with memory_pair() as (client, served):
        served.write(b"lost")
        served.reset_and_destroy()
        with pytest.raises(ConnectionResetError) as caught:
            client.recv()
        assert caught.value.code == "ECONNRESET"  # type: ignore[attr-defined]


@pytest.mark.parametrize("style", ["event", "blocking"])
def test_a_failure_of_the_network_reaches_one_end_and_then_the_other(style: str) -> None:
    with memory_pair() as (client, served):
        other = started(served.recv)
        if style == "event":
            errors: list[Any] = []
            client.on("error", errors.append)
            client.on("data", lambda chunk: None)
            closed = AsyncResult()
            client.on("close", closed.set)
            gnet.testing.fail(client, errno.EHOSTUNREACH)
            assert closed.get() is True
            (error,) = errors
        else:
            reading = started(client.recv)
            gnet.testing.fail(client, errno.EHOSTUNREACH)
            error = reading.get()
        assert (error.errno, error.code) == (errno.EHOSTUNREACH, "EHOSTUNREACH")
        client.destroy()
        assert isinstance(other.get(), ConnectionResetError)


def test_only_a_connection_in_memory_can_be_failed() -> None:
    with closing(sock := gnet.Socket()):
        for other in (sock, None, socket.socket):
            with pytest.raises(TypeError):
                gnet.testing.fail(other)  # type: ignore[arg-type]


def test_an_end_that_nobody_refers_to_is_closed_and_the_other_one_hears_of_it() -> None:
    client, served = gnet.testing.pair()
    with closing(served):
        # What was deferred when they were made refers to them.
        gevent.sleep(0)
        with pytest.warns(ResourceWarning, match="unclosed"):
            del client
            gc.collect()
        assert served.recv() == b""


def test_an_idle_pair_keeps_nothing_running() -> None:
    with memory_pair() as (client, served):
        client.pause()
        served.pause()
        assert gnet.run(timeout=5) is True
        served.on("data", lambda chunk: None)
        served.resume()
        assert gnet.run(timeout=0.01) is False
        served.unref()
        assert gnet.run(timeout=5) is True


def test_a_blocked_read_is_interrupted_by_timeout_close_and_kill() -> None:
    with memory_pair() as (client, served):
        client.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.recv()
        client.settimeout(None)
        reading = started(client.recv)
        reading.kill()
        served.sendall(b"nothing is lost")
        assert client.recv() == b"nothing is lost"
        reading = started(client.recv)
        client.destroy()
        assert isinstance(reading.get(), gnet.errors.SocketClosedError)


def test_pipes_and_relays_carry_it_on() -> None:
    one, other = (memory_pair(allow_half_open=True) for _ in range(2))
    with one as (client, near), other as (far, server):
        near.pipe(far)
        far.pipe(near)
        server.pipe(server)
        client.end(b"there and back" * 10000)
        assert b"".join(client) == b"there and back" * 10000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("in_child", ways().values() if hasattr(os, "fork") else [])
def test_a_forked_child_ends_nothing_of_its_parents(in_child: In) -> None:
    with memory_pair() as (client, served):

        def child() -> None:
            with pytest.raises(gnet.errors.SocketClosedError):
                client.recv()

        in_child(child)
        client.sendall(b"alive")
        assert served.recv() == b"alive"


# -- places ---------------------------------------------------------------------------------------


def test_a_server_listens_at_a_place_and_is_told_who_comes(must_call: Calls) -> None:
    place = gnet.testing.Place(SERVER)
    with serving(must_call(lambda sock: sock.end("hello")), (place,)) as server:
        assert server.address() == gnet.AddressInfo(*SERVER[:1], "IPv4", SERVER[1])
        with place.connect(CLIENT) as client:
            (served,) = server.wait("connection")
            assert (served.remote_address, served.remote_port) == CLIENT
            assert (served.local_address, served.local_port) == SERVER
            assert b"".join(client) == b"hello"


def test_limits_and_block_lists_hold() -> None:
    blocked = gnet.BlockList()
    blocked.add_address("203.0.113.7")
    place = gnet.testing.Place(SERVER)
    drops: list[Any] = []
    with serving(at=(place,), block_list=blocked, max_connections_per_address=1) as server:
        server.on("drop", drops.append)
        with place.connect(CLIENT) as first, place.connect(CLIENT) as second:
            assert second.recv() == b""
            with place.connect(("203.0.113.7", 1)) as third:
                assert third.recv() == b""
            first.sendall(b"x")
        assert [each.reason for each in drops] == ["per_address", "block_list"]
        assert drops[0].remote_address == CLIENT[0]


def test_nobody_is_reached_where_nobody_listens() -> None:
    place = gnet.testing.Place()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError) as caught:
            place.connect()
        assert caught.value.code == "ECONNREFUSED"  # type: ignore[attr-defined]
        server = gnet.create_server().listen(place)
        with pytest.raises(OSError) as in_use:
            gnet.create_server().listen(place)
        assert in_use.value.code == "EADDRINUSE"  # type: ignore[attr-defined]
        server.close()
        server.wait_closed()


def test_who_waits_when_a_server_closes_is_reset() -> None:
    place = gnet.testing.Place()
    server = gnet.create_server(max_connections=1, when_full="wait").listen(place)
    with place.connect() as first:
        server.wait("connection")
        with place.connect() as second:
            server.close()
            with pytest.raises(ConnectionResetError):
                second.recv()
        first.end()
    server.shutdown(grace=0)


def test_serve_takes_a_place() -> None:
    place = gnet.testing.Place()
    serve = gevent.spawn(gnet.serve, lambda sock: sock.sendall(sock.recv().upper()), place)
    gevent.sleep(0)
    with place.connect() as client:
        client.sendall(b"loud")
        assert client.recv() == b"LOUD"
    serve.kill()


@pytest.mark.parametrize("address", ["127.0.0.1", 80, ("127.0.0.1",), (80, "127.0.0.1")])
def test_what_is_no_address_is_refused(address: Any) -> None:
    with pytest.raises(TypeError):
        gnet.testing.Place(address)
    place = gnet.testing.Place()
    with serving(at=(place,)), pytest.raises(TypeError):
        place.connect(address)


def test_it_warns_of_nothing_when_all_is_closed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with memory_pair():
            pass
        gc.collect()
