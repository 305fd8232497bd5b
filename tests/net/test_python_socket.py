"""What code that knows Python's socket looks for on a gnet socket."""

from __future__ import annotations

import errno
import io
import os
import socket as std_socket
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
from gnet._transport.stream_socket import is_libuv
from tests.helpers.peers import python, run
from tests.helpers.servers import (
    closing,
    echoing,
    pair,
    place_at,
    raw_peer,
    receive,
    receive_all,
    send_reset,
    serving,
)

# More than the kernel takes at once.
LARGE = os.urandom(1024) * 4096


def test_calls_that_need_a_descriptor_wait_for_the_connection() -> None:
    def options(sock: gnet.Socket) -> Any:
        sock.setsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_NODELAY, 1)
        return sock.getsockopt(std_socket.SOL_SOCKET, std_socket.SO_TYPE)

    calls = {
        options: std_socket.SOCK_STREAM,
        lambda sock: sock.getpeername()[0]: "127.0.0.1",
        lambda sock: sock.getsockname()[0]: "127.0.0.1",
        lambda sock: sock.get_inheritable(): False,
        lambda sock: sock.shutdown(std_socket.SHUT_WR): None,
    }
    with serving() as server:
        for call, result in calls.items():
            sock = gnet.connect(*place_at(server))
            with closing(sock):
                assert sock.connecting
                assert call(sock) == result
                assert not sock.connecting


def test_calls_that_need_a_descriptor_raise_what_the_connection_failed_with() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        sock = gnet.connect(bound.getsockname()[1], "127.0.0.1")
        with pytest.raises(ConnectionRefusedError):
            sock.getpeername()


def test_detach_waits_for_the_connection_and_gives_a_descriptor() -> None:
    with echoing() as server:
        sock = gnet.connect(*place_at(server))
        with socket.socket(fileno=sock.detach()) as plain:
            plain.sendall(b"echo")
            assert plain.recv(4) == b"echo"
        assert sock.fileno() == sock.detach() == -1


# In a process of its own: one connection that notes what comes keeps the hub looking for all.
DETACHING = """
import os, sys
import gevent, gnet
from gnet._core import noted

def turn():
    with gevent.get_hub().loop.timer(0) as now:
        gevent.get_hub().wait(now)

made = []
each_turn = noted.each_turn
noted.each_turn = lambda loop: made.append(each_turn(loop)) or made[-1]

server = gnet.create_server(lambda sock: None).listen(0, "127.0.0.1")
sock = gnet.connect(server.port, "127.0.0.1")
{begin}
looks = made[0].active
os.close(sock.detach())
server.shutdown(0)
turn()
turn()
print(looks, [each.active for each in made])
"""


@pytest.mark.skipif(is_libuv(gevent.get_hub().loop), reason="on libuv nothing looks in each turn")
@pytest.mark.parametrize(
    "begin",
    [
        'sock.wait("connect"); turn()',
        'sock.on("data", print).wait("connect"); turn()',
        "sock.settimeout(0.01)\ntry: sock.recv()\nexcept TimeoutError: pass",
    ],
    ids=["idle", "flowing", "blocking"],
)
def test_a_detached_connection_leaves_nothing_that_the_hub_looks_for(begin: str) -> None:
    done = run(*python(DETACHING.format(begin=begin)))
    assert (done.output, done.complaints) == (b"True [False]\n", b"")


def test_it_says_what_kind_of_socket_it_is(tmp_path: Path) -> None:
    places = {(0, "127.0.0.1"): std_socket.AF_INET, (str(tmp_path / "s"),): std_socket.AF_UNIX}
    for at, family in places.items():
        with pair(at) as (client, _):
            assert client.family == family
            assert client.type == std_socket.SOCK_STREAM
            assert client.proto == 0
            assert client.getblocking() is True


def test_shutdown_of_a_connection_that_was_reset_is_enotconn() -> None:
    with raw_peer() as (client, peer):
        send_reset(peer)
        with pytest.raises(ConnectionResetError):
            client.recv()
        with pytest.raises(OSError) as caught:
            client.shutdown(std_socket.SHUT_RDWR)
        assert caught.value.errno == errno.ENOTCONN


def test_there_is_no_second_socket_of_a_connection() -> None:
    with pair() as (client, _), pytest.raises(NotImplementedError):
        client.dup()


def test_inheritable_is_the_descriptors() -> None:
    with pair() as (client, _):
        client.set_inheritable(True)
        assert client.get_inheritable() is os.get_inheritable(client.fileno()) is True


# -- files and messages ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "count"), [(0, None), (1000, None), (0, 100_000), (1000, 1), (len(LARGE), None)]
)
@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "on disk"])
def test_sendfile_sends_a_part_of_a_file(
    offset: int, count: int | None, in_memory: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    expected = LARGE[offset:][:count]
    with raw_peer() as (client, peer), path.open("rb") as on_disk:
        file = io.BytesIO(LARGE) if in_memory else on_disk
        sending = gevent.spawn(client.sendfile, file, offset, count)
        assert receive(peer, len(expected)) == expected
        assert sending.get() == len(expected)
        assert file.tell() == offset + len(expected)


def test_sendfile_refuses_what_it_cannot_send(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pair() as (client, _), (tmp_path / "file").open() as text:
        with pytest.raises(ValueError, match="binary"):
            client.sendfile(text)
        for count, error in (0, ValueError), ("1", TypeError):
            with pytest.raises(error, match="count"):
                client.sendfile(io.BytesIO(b"x"), 0, count)  # type: ignore[arg-type]
        assert client.sendfile(io.BytesIO()) == 0


def test_sendmsg_sends_its_buffers_as_one() -> None:
    with raw_peer() as (client, peer):
        assert client.sendmsg([b"one", bytearray(b"two"), memoryview(b"three")]) == 11
        assert receive(peer, 11) == b"onetwothree"
        assert client.sendmsg([b"x"], [], 0, None) == 1
        assert receive(peer, 1) == b"x"


def test_recv_into_takes_any_writable_buffer() -> None:
    with raw_peer() as (client, peer):
        peer.sendall(b"abcdefgh")
        buffer = bytearray(8)
        assert client.recv_into(memoryview(buffer)[2:5]) == 3
        assert client.recv_into(buffer, 2) == 2
        assert buffer == b"de" + b"abc" + bytes(3)


def test_socketio_is_a_file_of_it() -> None:
    with raw_peer() as (client, peer):
        peer.sendall(b"line\n")
        raw = std_socket.SocketIO(client, "rwb")  # type: ignore[arg-type]
        file = io.BufferedRWPair(raw, raw)  # type: ignore[type-var]
        assert file.readline() == b"line\n"
        file.write(b"answer")
        file.flush()
        assert receive(peer, 6) == b"answer"
        client._io_refs += 1
        client.close()
        assert client._closed
        assert client.fileno() >= 0
        file.close()
        assert client.fileno() == -1


@pytest.mark.parametrize("mode", ["r", "w", "rw", "rb", "wb", "rwb", "br", "wrb"])
def test_makefile_has_the_modes_of_the_standard_library(mode: str) -> None:
    ours, theirs = socket.socketpair()
    here, there = std_socket.socketpair()
    with here, there, theirs, gnet.Socket(handle=ours) as sock:
        file, model = sock.makefile(mode), here.makefile(mode)  # type: ignore[call-overload]
        with file, model:
            assert (file.readable(), file.writable()) == (model.readable(), model.writable())
            assert isinstance(file, io.TextIOBase) is isinstance(model, io.TextIOBase)


def test_what_was_sent_before_a_close_arrives() -> None:
    with raw_peer() as (client, peer):
        with client:
            client.sendall(b"last words")
        assert receive_all(peer) == b"last words"
