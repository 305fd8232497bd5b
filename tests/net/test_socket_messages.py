"""recvmsg and its kin, descriptors over a Unix socket, and connect_ex: as Python's ``socket``."""

from __future__ import annotations

import array
import errno
import os
import socket as std_socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult

import gnet
from tests.helpers.blackhole import blackhole
from tests.helpers.servers import (
    closing,
    pair,
    place_at,
    raw_bound,
    raw_peer,
    receive,
    send_end,
    serving,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="no recvmsg()")
needs_waitall = pytest.mark.skipif(not hasattr(std_socket, "MSG_WAITALL"), reason="no MSG_WAITALL")

FD_SIZE = array.array("i").itemsize


@contextmanager
def unix_pair() -> Iterator[tuple[gnet.Socket, socket.socket]]:
    """A socket of gnet's and a plain one, with each other over the Unix domain."""
    here, there = socket.socketpair()
    ours = gnet.Socket(handle=here)
    with closing(ours), there:
        yield ours, there


def descriptors_in(ancdata: list[Any]) -> list[int]:
    """The descriptors that ancillary data brings."""
    ((level, kind, data),) = ancdata
    assert (level, kind) == (socket.SOL_SOCKET, std_socket.SCM_RIGHTS)
    fds = array.array("i")
    fds.frombytes(data[: len(data) - len(data) % FD_SIZE])
    return list(fds)


def rights(*fds: int) -> list[Any]:
    return [(socket.SOL_SOCKET, std_socket.SCM_RIGHTS, array.array("i", fds))]


# -- receiving ------------------------------------------------------------------------------------


def test_recvfrom_gives_an_address_beside_the_data() -> None:
    with raw_peer() as (client, peer):
        reading = gevent.spawn(client.recvfrom, 100)
        gevent.sleep(0)
        peer.sendall(b"hello")
        data, _ = reading.get()
        assert data == b"hello"
        send_end(peer)
        assert client.recvfrom(100)[0] == b""


def test_recvfrom_into_fills_the_buffer() -> None:
    with raw_peer() as (client, peer):
        buffer = bytearray(8)
        peer.sendall(b"abcdef")
        assert client.recvfrom_into(buffer, 3)[0] == 3
        assert client.recvfrom_into(memoryview(buffer)[3:])[0] == 3
        assert buffer == b"abcdef\0\0"
        with pytest.raises(ValueError, match="nbytes"):
            client.recvfrom_into(buffer, 9)
        with pytest.raises(TypeError, match="buffer"):
            client.recvfrom_into(b"constant")


@posix
def test_recvmsg_gives_what_the_system_tells() -> None:
    with raw_peer() as (client, peer):
        reading = gevent.spawn(client.recvmsg, 100)
        gevent.sleep(0)
        peer.sendall(b"hello")
        data, ancdata, flags, _ = reading.get()
        assert (data, ancdata, flags & ~0x40000000) == (b"hello", [], 0)
        assert client.bytes_read == 5
        send_end(peer)
        assert client.recvmsg(100)[:2] == (b"", [])
        client.wait("end")


@posix
def test_recvmsg_into_fills_one_buffer_after_another() -> None:
    with raw_peer() as (client, peer):
        first, second = bytearray(2), array.array("h", [0, 0])
        peer.sendall(b"abcdef")
        assert client.recvmsg_into([first, second])[0] == 6
        assert bytes(first) + second.tobytes() == b"abcdef"
        with pytest.raises(TypeError, match="buffer"):
            client.recvmsg_into([b"constant"])


@posix
@needs_waitall
@pytest.mark.parametrize("call", ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"])
def test_waitall_is_all_of_it(call: str) -> None:
    with raw_peer() as (client, peer):
        buffers = [bytearray(1), bytearray(5)]
        arguments: dict[str, tuple[Any, ...]] = {
            "recvfrom": (6, std_socket.MSG_WAITALL),
            "recvfrom_into": (buffers[1], 0, std_socket.MSG_WAITALL),
            "recvmsg": (6, 0, std_socket.MSG_WAITALL),
            "recvmsg_into": (buffers, 0, std_socket.MSG_WAITALL),
        }
        reading = gevent.spawn(getattr(client, call), *arguments[call])
        for part in b"ab", b"cd", b"ef":
            peer.sendall(part)
            gevent.sleep(0)
        got = reading.get()[0]
        if call == "recvfrom_into":
            assert (got, bytes(buffers[1])) == (5, b"abcde")
        elif call == "recvmsg_into":
            assert (got, b"".join(buffers)) == (6, b"abcdef")
        else:
            assert got == b"abcdef"


@posix
def test_a_flowing_socket_is_not_received_from() -> None:
    with raw_peer() as (client, _):
        client.on("data", print)
        for call in client.recvfrom, client.recvmsg:
            with pytest.raises(RuntimeError, match="flowing"):
                call(1)


# -- ancillary data -------------------------------------------------------------------------------


@posix
def test_descriptors_go_over_a_unix_socket_both_ways() -> None:
    with unix_pair() as (ours, theirs), open(os.devnull, "rb") as file:
        assert ours.sendmsg([b"one", b"two"], rights(file.fileno())) == 6
        data, ancdata, _, _ = theirs.recvmsg(100, std_socket.CMSG_SPACE(FD_SIZE))
        (fd,) = descriptors_in(ancdata)
        assert data == b"onetwo"
        assert os.path.sameopenfile(fd, file.fileno())
        reading = gevent.spawn(ours.recvmsg, 100, std_socket.CMSG_SPACE(FD_SIZE))
        gevent.sleep(0)
        theirs.sendmsg([b"back"], rights(fd))
        os.close(fd)
        data, ancdata, _, _ = reading.get()
        (fd,) = descriptors_in(ancdata)
        assert data == b"back"
        os.close(fd)


@posix
def test_the_standard_librarys_functions_for_descriptors_take_it() -> None:
    with unix_pair() as (ours, theirs), open(os.devnull, "rb") as file:
        std_socket.send_fds(ours, [b"x"], [file.fileno()])  # type: ignore[arg-type]
        data, fds, _, _ = std_socket.recv_fds(theirs, 10, 1)
        std_socket.send_fds(theirs, [b"y"], fds)
        os.close(fds[0])
        data, fds, _, _ = std_socket.recv_fds(ours, 10, 1)  # type: ignore[arg-type]
        assert data == b"y"
        os.close(fds[0])


@posix
def test_what_nobody_has_room_for_is_said_and_closed() -> None:
    with unix_pair() as (ours, theirs), open(os.devnull, "rb") as file:
        theirs.sendmsg([b"abc"], rights(file.fileno()))
        data, ancdata, flags, _ = ours.recvmsg(100)
        assert (data, ancdata) == (b"abc", [])
        assert flags & std_socket.MSG_CTRUNC


@posix
def test_a_message_with_descriptors_is_behind_what_is_queued_and_whole() -> None:
    large = os.urandom(1 << 20)
    with unix_pair() as (ours, theirs), open(os.devnull, "rb") as file:
        ours.write(large)
        sending = gevent.spawn(ours.sendmsg, [b"with it", large], rights(file.fileno()))
        gevent.sleep(0)
        assert not sending.ready()
        assert receive(theirs, len(large)) == large
        data, ancdata, _, _ = theirs.recvmsg(7, std_socket.CMSG_SPACE(FD_SIZE))
        assert data == b"with it"
        os.close(*descriptors_in(ancdata))
        assert receive(theirs, len(large)) == large
        assert sending.get() == 7 + len(large)
        assert ours.bytes_written == 2 * len(large) + 7


@posix
@pytest.mark.parametrize("by", ["mode", "flag"])
def test_a_message_with_descriptors_that_must_not_wait_raises(by: str) -> None:
    with unix_pair() as (ours, theirs), open(os.devnull, "rb") as file:
        flags = std_socket.MSG_DONTWAIT if by == "flag" else 0
        if by == "mode":
            ours.settimeout(0)
        sent = 0
        with pytest.raises(BlockingIOError) as caught:
            while True:
                sent += ours.sendmsg([bytes(4096)], rights(file.fileno()), flags)
        assert caught.value.code == "EAGAIN"  # type: ignore[attr-defined]
        assert ours.bytes_written == sent
        ours.end()
        assert len(receive(theirs, sent + 1)) == sent


@posix
def test_wrong_ancillary_data_costs_no_connection() -> None:
    with unix_pair() as (ours, theirs):
        with pytest.raises(OSError) as caught:
            ours.sendmsg([b"x"], rights(99999))
        assert caught.value.code == "EBADF"  # type: ignore[attr-defined]
        with pytest.raises(TypeError):
            ours.sendmsg([b"x"], [("no", "such", "thing")])  # type: ignore[list-item]
        ours.sendall(b"goes on")
        assert receive(theirs, 7) == b"goes on"


@posix
def test_a_pipe_has_no_messages_and_no_address() -> None:
    reading, writing = os.pipe()
    source, sink = gnet.Socket(fd=reading), gnet.Socket(fd=writing)
    with closing(source, sink):
        calls: list[Any] = [
            source.getsockname,
            source.getpeername,
            lambda: source.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
            lambda: source.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            lambda: source.recvmsg(1),
            lambda: source.recvmsg_into([bytearray(1)]),
            lambda: source.recvfrom(1),
            lambda: sink.sendmsg([b"x"], rights(0)),
        ]
        for call in calls:
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.ENOTSOCK
            assert caught.value.code == "ENOTSOCK"  # type: ignore[attr-defined]
        assert sink.sendmsg([b"plain ", b"ones"]) == 10
        assert source.recv(10) == b"plain ones"
        assert source.address() is None
        assert source.local_address is None
        assert source.family == socket.AF_UNSPEC


# -- addresses ------------------------------------------------------------------------------------


def test_sendto_takes_no_address_but_none() -> None:
    with raw_peer() as (client, peer):
        assert client.sendto(b"one", None) == 3
        assert client.sendto(b"two", 0, None) == 3
        assert receive(peer, 6) == b"onetwo"
        for call in (
            lambda: client.sendto(b"x", ("127.0.0.1", 1)),
            lambda: client.sendmsg([b"x"], [], 0, ("127.0.0.1", 1)),  # type: ignore[arg-type]
        ):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.EISCONN
        with pytest.raises(TypeError):
            client.sendto(b"x")
        with pytest.raises(TypeError, match="flags"):
            client.sendto(b"x", "no flags", None)
        for call in (
            lambda: client.sendto(b"x", object()),
            lambda: client.sendmsg([b"x"], [], 0, object()),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError, match="address"):
                call()
    with pytest.raises(OSError) as caught:
        gnet.Socket().sendto(b"x", ("127.0.0.1", 1))
    assert caught.value.errno == errno.ENOTCONN


# -- connect_ex -----------------------------------------------------------------------------------


def test_connect_ex_gives_zero_when_it_is_connected(tmp_path: Any) -> None:
    for at in (0, "127.0.0.1"), (str(tmp_path / "s"),):
        if len(at) == 1 and sys.platform == "win32":
            continue
        with serving(at=at) as server:
            place = place_at(server)
            client = gnet.Socket()
            with closing(client):
                assert client.connect_ex(place[0] if len(place) == 1 else place[::-1]) == 0
                assert client.ready_state == "open"
                assert client.connect_ex(place[0]) == errno.EISCONN


def test_connect_ex_gives_the_number_of_what_failed() -> None:
    with raw_bound() as bound:
        client = gnet.Socket()
        with closing(client):
            for _ in range(2):
                assert client.connect_ex(bound.getsockname()) == errno.ECONNREFUSED


def test_connect_ex_raises_where_there_is_no_such_host() -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    class Client(gnet.Socket):
        def connect(self, *args: Any, **options: Any) -> Any:
            return super().connect(*args, lookup=lookup, **options)

    client = Client()
    with closing(client), pytest.raises(socket.gaierror):
        client.connect_ex(("no.such.host.invalid", 80))


def test_connect_ex_that_must_not_wait_tells_how_it_stands() -> None:
    with serving() as server:
        client = gnet.Socket()
        with closing(client):
            client.settimeout(0)
            address = place_at(server)[::-1]
            assert client.connect_ex(address) == errno.EINPROGRESS
            assert client.connect_ex(address) == errno.EALREADY
            client.wait("connect")
            assert client.connect_ex(address) == errno.EISCONN


def test_connect_ex_that_must_not_wait_tells_once_what_failed() -> None:
    with raw_bound() as bound:
        client = gnet.Socket()
        with closing(client):
            client.settimeout(0)
            assert client.connect_ex(bound.getsockname()) == errno.EINPROGRESS
            for _ in range(2):
                closed = AsyncResult()
                client.once("close", closed.set)
                assert closed.get() is True
                assert client.connect_ex(bound.getsockname()) == errno.ECONNREFUSED
                assert client.connect_ex(bound.getsockname()) == errno.EINPROGRESS


def test_connect_ex_gives_eagain_when_the_time_is_over() -> None:
    with blackhole() as hole:
        client = gnet.Socket()
        with closing(client):
            client.settimeout(0.05)
            assert client.connect_ex((hole.host, hole.port)) == errno.EAGAIN


def test_both_ends_may_be_gnets() -> None:
    with pair() as (client, served):
        if sys.platform != "win32":
            client.sendmsg([b"a", b"b"])
            assert served.recvmsg(10)[0] == b"ab"
        client.sendto(b"c", None)
        assert served.recvfrom(10)[0] == b"c"


# -- interrupted ----------------------------------------------------------------------------------


@posix
@needs_waitall
@pytest.mark.parametrize("room", [1, 0])
@pytest.mark.parametrize("into", [False, True])
@pytest.mark.parametrize("again_into", [False, True])
def test_an_interrupted_message_keeps_its_descriptors(
    room: int, into: bool, again_into: bool
) -> None:
    def receive_message(into: bool, room: int) -> tuple[bytes, list[Any], int]:
        space = socket.CMSG_SPACE(FD_SIZE) * room
        if not into:
            data, ancillary, flags, _ = ours.recvmsg(6, space, std_socket.MSG_WAITALL)
            return data, ancillary, flags
        buffers = [bytearray(2), bytearray(4)]
        count, ancillary, flags, _ = ours.recvmsg_into(buffers, space, std_socket.MSG_WAITALL)
        return b"".join(buffers)[:count], ancillary, flags

    with unix_pair() as (ours, there):
        reading, writing = os.pipe()
        there.sendmsg([b"abc"], rights(writing))
        std_socket.close(writing)
        for _ in range(2):
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
                receive_message(into, 1)
        there.sendall(b"def")
        data, ancillary, flags = receive_message(again_into, room)
        assert data == b"abcdef"
        if room:
            (fd,) = descriptors_in(ancillary)
            os.write(fd, b"x")
            std_socket.close(fd)
        else:
            assert (ancillary, flags & std_socket.MSG_CTRUNC) == ([], std_socket.MSG_CTRUNC)
        # It was the only one that was left.
        assert os.read(reading, 2) == (b"x" if room else b"")
        assert os.read(reading, 1) == b""
        std_socket.close(reading)


@posix
@needs_waitall
@pytest.mark.parametrize("end", ["destroy", "close", "redial", "collect"])
def test_descriptors_that_nobody_takes_are_closed(end: str, tmp_path: Any) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        ours = gnet.connect(str(tmp_path / "s"))
        there, _ = listener.accept()
        reading, writing = os.pipe()
        with there:
            there.sendmsg([b"abc"], rights(writing))
            std_socket.close(writing)
            space = socket.CMSG_SPACE(FD_SIZE)
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
                ours.recvmsg(6, space, std_socket.MSG_WAITALL)
            os.set_blocking(reading, False)
            with pytest.raises(BlockingIOError):
                os.read(reading, 1)
            if end == "redial":
                # The peer has ended the connection, which leaves what was read.
                there.close()
                ours.resume()
                ours.wait("close")
                ours.connect(str(tmp_path / "s"))
            elif end == "collect":
                ours.destroy()
            else:
                getattr(ours, end)()
                there.close()
                ours.wait("close")
            assert os.read(reading, 1) == b""
        std_socket.close(reading)
        ours.destroy()


@needs_waitall
@pytest.mark.parametrize("call", ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"])
def test_a_call_for_all_after_an_interrupted_one_gives_all(call: str) -> None:
    buffer = bytearray(6)
    args: dict[str, tuple[Any, ...]] = {
        "recvfrom": (6, std_socket.MSG_WAITALL),
        "recvfrom_into": (buffer, 0, std_socket.MSG_WAITALL),
        "recvmsg": (6, 0, std_socket.MSG_WAITALL),
        "recvmsg_into": ([buffer], 0, std_socket.MSG_WAITALL),
    }
    with raw_peer() as (client, peer):
        if not hasattr(std_socket.socket, call):
            pytest.skip(f"no {call}()")
        peer.sendall(b"abc")
        for _ in range(2):
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
                getattr(client, call)(*args[call])
        peer.sendall(b"def")
        got = getattr(client, call)(*args[call])[0]
        assert (bytes(buffer) if isinstance(got, int) else got) == b"abcdef"
