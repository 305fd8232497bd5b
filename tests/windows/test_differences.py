"""What of gnet is different on Windows, or not there."""

from __future__ import annotations

import _socket
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.queue import Queue

import gnet
from gnet import cluster, errors
from gnet._transport.stream_socket import Wire
from tests.helpers.calls import Calls
from tests.helpers.servers import pair, place_at, serving

# -- one server to a port ------------------------------------------------------------------------


@pytest.fixture
def thief() -> Iterator[socket.socket]:
    """A socket that takes a port from whoever has it, if that lets it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield sock


def test_a_port_is_its_servers_alone(thief: socket.socket) -> None:
    with serving() as server:
        port, host = place_at(server)
        with pytest.raises(OSError, match="EADDRINUSE|EACCES"):
            gnet.create_server().listen(port, host)
        with pytest.raises(OSError) as caught:
            thief.bind((host, port))
        assert caught.value.errno in (errno.EADDRINUSE, errno.EACCES, errno.WSAEACCES)


def test_a_client_takes_no_port_away(must_call: Calls) -> None:
    failed = must_call()
    with serving() as server, serving() as other:
        port, host = place_at(other)
        client = gnet.connect(*place_at(server), local_address=host, local_port=port)
        client.on("error", failed)
        (error,) = failed.wait()
    assert error.code in ("EADDRINUSE", "EACCES")
    assert error.syscall == "bind"


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.WSAECONNREFUSED, "ECONNREFUSED"),
        (errno.WSAEMFILE, "EMFILE"),
        (errno.ECONNRESET, "ECONNRESET"),
        (errno.ENOENT, "ENOENT"),
    ],
)
def test_a_code_is_nodes_and_not_winsocks(number: int, code: str) -> None:
    assert errors.code_of(OSError(number, "")) == code


# -- what is not there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ((0, "127.0.0.1"), {"reuse_port": True}),
        ((r"\\.\pipe\gnet-test",), {"replace_stale": True}),
        (("\0abstract",), {}),
    ],
)
def test_listen_refuses_what_is_not_there(place: Any, options: dict[str, bool]) -> None:
    with pytest.raises(OSError) as caught:
        gnet.create_server().listen(*place, **options)
    assert caught.value.code == "ENOTSUP"
    assert "ENOTSUP" in str(caught.value)


def test_an_abstract_name_cannot_be_connected_to(must_call: Calls) -> None:
    failed = must_call()
    gnet.connect("\0abstract").on("error", failed)
    (error,) = failed.wait()
    assert error.code == "ENOTSUP"


def test_the_descriptor_of_a_file_is_no_socket(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        with pytest.raises(OSError) as caught:
            gnet.Socket(fd=file.fileno())
        assert caught.value.code == "ENOTSUP"
        file.write(b"still open")


def test_the_descriptor_of_a_pipe_is_no_socket() -> None:
    reader, writer = os.pipe()
    try:
        for fd in (reader, writer):
            with pytest.raises(OSError) as caught:
                gnet.Socket(fd=fd)
            assert caught.value.code == "ENOTSUP"
    finally:
        os.close(reader)
        os.close(writer)


def test_there_are_no_peer_credentials(name: str) -> None:
    with pair((name,)) as (client, served):
        assert client.peer_credentials is None
        assert served.peer_credentials is None


def test_there_are_no_clusters() -> None:
    with pytest.raises(OSError) as caught:
        cluster.fork(1)
    assert caught.value.code == "ENOTSUP"


def test_nothing_is_handed_over(name: str) -> None:
    with serving() as server, pytest.raises(OSError) as caught:
        server.hand_over(name)
    assert caught.value.code == "ENOTSUP"
    with pytest.raises(OSError) as caught:
        gnet.take_over(name)
    assert caught.value.code == "ENOTSUP"


# -- what is there all the same ------------------------------------------------------------------


def test_a_socket_can_be_given_away_and_taken() -> None:
    here, there = socket.socketpair()
    with there, gnet.Socket(handle=here) as sock:
        sock.sendall(b"hello")
        assert there.recv(100) == b"hello"
        again = gnet.Socket(fd=sock.detach())
        there.sendall(b"and again")
        assert again.recv() == b"and again"
        again.destroy()


def test_a_bound_socket_can_be_listened_to_by_two_servers() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    with serving(at=(bound,)) as first, serving(at=(first,)) as second:
        assert first.address() == second.address()
        first.close()
        with gnet.connect(*place_at(second)):
            second.wait("connection")


def test_many_small_writes_go_out_in_their_order() -> None:
    with pair() as (client, served):
        client.cork()
        for number in range(1000):
            client.write(b"%d," % number)
        client.write(bytes(1_000_000))
        client.uncork()
        client.end()
        assert b"".join(served) == b"".join(b"%d," % n for n in range(1000)) + bytes(1_000_000)


def test_a_reader_sees_the_end_when_its_side_is_shut_down() -> None:
    arrived: Queue[bytes] = Queue()
    with pair() as (client, served):
        client.sendall(b"before")
        reader = gevent.spawn(lambda: [arrived.put(chunk) for chunk in served])
        assert arrived.get() == b"before"
        # It is blocked in its next read.
        served.shutdown(socket.SHUT_RD)
        assert reader.get() == [None]
        client.sendall(b"after")
        served.sendall(b"still")
        assert client.recv() == b"still"


def test_what_has_come_is_read_after_its_side_was_shut_down() -> None:
    with pair() as (client, served):
        client.sendall(b"here already")
        assert served.recv(4, socket.MSG_PEEK) == b"here"
        served.shutdown(socket.SHUT_RD)
        assert served.recv() == b"here already"
        assert served.recv() == b""


def test_a_flow_ends_when_its_side_is_shut_down(must_call: Calls) -> None:
    with pair(allow_half_open=True) as (_, served):
        served.on("data", lambda chunk: None)
        served.on("end", must_call())
        served.shutdown(socket.SHUT_RD)
        served.wait("end")


def test_an_old_windows_has_its_keep_alive_delay_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ioctl(wire: Wire, *request: Any) -> None:
        asked.append(request)
        _socket.socket.ioctl(wire, *request)

    for option in ("TCP_KEEPIDLE", "TCP_KEEPALIVE"):
        monkeypatch.delattr(_socket, option, raising=False)
    monkeypatch.setattr(Wire, "ioctl", ioctl, raising=False)
    with pair() as (client, _):
        client.set_keep_alive(True, 5)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    # Milliseconds.
    assert asked == [(socket.SIO_KEEPALIVE_VALS, (1, 5000, 1000))]
