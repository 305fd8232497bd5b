"""Descriptors over a Unix socket: send_fds(), recv_fds(), and the event 'fds'."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from gnet._transport.descriptors import close_descriptor
from tests.helpers.servers import pair, path_at, place_at, serving

Ends = tuple[gnet.Socket, gnet.Socket]


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    """The two ends of a connection over a Unix socket."""
    with pair(path_at(tmp_path)) as made:
        yield made


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the descriptor to read from, and the one to write to."""
    made = os.pipe()
    yield made
    for fd in made:
        os.close(fd)


def speaks(fd: int, reader: int, text: bytes = b"x") -> bool:
    """Whether a descriptor leads to a pipe; it is closed."""
    os.write(fd, text)
    os.close(fd)
    return os.read(reader, 100) == text


def is_over(reader: int) -> bool:
    """Whether nobody can write to a pipe any more; its other end is closed."""
    with gnet.Socket(fd=reader) as sock:
        return sock.recv() == b""


def test_in_blocking_style(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    assert here.send_fds(b"take", [pipe[1]]) == 4
    data, fds, flags, _ = there.recv_fds(100, 4)
    assert (data, len(fds), flags & ~getattr(socket, "MSG_CMSG_CLOEXEC", 0)) == (b"take", 1, 0)
    assert not os.get_inheritable(fds[0])
    assert speaks(fds[0], pipe[0])
    here.sendall(b"plain")
    assert there.recv_fds(100, 4)[:2] == (b"plain", [])


def test_objects_have_descriptors_too_and_none_is_none(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    with os.fdopen(os.dup(pipe[1]), "wb") as file:
        here.send_fds(b"a", [file, pipe[1]])
    here.send_fds(b"b", [])
    data, fds, *_ = there.recv_fds(1, 4)
    assert data == b"a"
    assert [speaks(fd, pipe[0]) for fd in fds] == [True, True]
    assert there.recv_fds(1, 4)[:2] == (b"b", [])


def test_more_than_are_asked_for_are_closed(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    here.send_fds(b"a", [pipe[1]] * 3)
    _, fds, flags, _ = there.recv_fds(10, 2)
    assert len(fds) == 2
    assert flags & socket.MSG_CTRUNC
    for fd in fds:
        os.close(fd)


def test_in_event_style_they_come_just_before_their_data(
    ends: Ends, pipe: tuple[int, int]
) -> None:
    here, there = ends
    seen: list[Any] = []
    there.on("fds", lambda fds: seen.append([speaks(fd, pipe[0]) for fd in fds]))
    there.on("data", seen.append)
    for text, fds in ((b"one", [pipe[1]]), (b"two", []), (b"three", [pipe[1], pipe[1]])):
        here.send_fds(text, fds)
        there.wait("data")
    assert seen == [[True], b"one", b"two", [True, True], b"three"]


def test_they_can_be_waited_for_and_come_to_a_client_that_listens_early(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    def serve(sock: gnet.Socket) -> None:
        sock.send_fds(b"hello", [pipe[1]])

    with serving(serve, at=path_at(tmp_path), end_on_return=True) as server:
        client = gnet.connect(*place_at(server))
        client.on("fds", lambda fds: None if speaks(fds[0], pipe[0]) else pytest.fail("not it"))
        client.resume()
        assert len(client.wait("fds")[0]) == 1
        client.wait("close")


def test_a_pipe_moves_the_data_and_the_listener_has_the_descriptors(
    ends: Ends, pipe: tuple[int, int]
) -> None:
    here, there = ends
    with pair((0, "127.0.0.1")) as (to, end):
        there.on("fds", lambda fds: os.close(fds[0]))
        there.pipe(to)
        here.send_fds(b"moved", [pipe[1]])
        assert end.read_exactly(5) == b"moved"


def test_those_that_nobody_asked_for_are_closed(ends: Ends) -> None:
    here, there = ends
    reader, writer = os.pipe()
    here.send_fds(b"a", [writer])
    close_descriptor(writer)
    assert there.recv() == b"a"
    assert is_over(reader), "the last one that could write is closed"
    # And where the only listener has gone.
    there.on("fds", print)
    there.off("fds", print)
    reader, writer = os.pipe()
    here.send_fds(b"b", [writer])
    close_descriptor(writer)
    assert there.recv() == b"b"
    assert is_over(reader)


def test_a_listener_may_close_the_connection(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    seen: list[Any] = []

    @there.on("fds")
    def take(fds: list[int]) -> None:
        os.close(fds[0])
        there.destroy()

    there.on("data", seen.append)
    here.send_fds(b"late", [pipe[1]])
    there.wait("close")
    assert seen == []


def test_a_blocking_read_tells_the_listener(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    seen: list[int] = []
    there.on("fds", seen.extend)
    here.send_fds(b"abc", [pipe[1]])
    assert there.read_exactly(3) == b"abc"
    assert len(seen) == 1
    os.close(seen[0])


def test_over_tcp_and_tls_nothing_is_sent(pipe: tuple[int, int]) -> None:
    with pair((0, "127.0.0.1")) as (here, there):
        with pytest.raises(OSError) as caught:
            here.send_fds(b"x", [pipe[1]])
        assert caught.value.errno == errno.EOPNOTSUPP
        with pytest.raises(OSError, match="recvmsg"):
            there.recv_fds(1, 1)
        here.sendall(b"y")
        assert there.recv() == b"y"
        assert here.bytes_written == 1


@pytest.mark.parametrize(
    ("data", "fds", "error"),
    [
        (b"", [0], ValueError),
        ("text", [0], TypeError),
        (b"x", ["0"], TypeError),
        (b"x", [True], TypeError),
        (b"x", [-1], ValueError),
        (b"x", [0] * 254, ValueError),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(
    ends: Ends, data: Any, fds: Any, error: Any
) -> None:
    here, there = ends
    with pytest.raises(error):
        here.send_fds(data, fds)
    with pytest.raises(ValueError, match="maxfds"):
        there.recv_fds(1, 254)
    assert here.bytes_written == 0


def test_a_descriptor_that_is_not_open_costs_the_call_only(ends: Ends) -> None:
    here, there = ends
    reader, writer = os.pipe()
    close_descriptor(reader)
    close_descriptor(writer)
    with pytest.raises(OSError) as caught:
        here.send_fds(b"x", [writer])
    assert caught.value.errno == errno.EBADF
    here.sendall(b"y")
    assert there.recv() == b"y"


def test_they_keep_their_place_among_what_is_queued(ends: Ends, pipe: tuple[int, int]) -> None:
    here, there = ends
    queued = b"q" * 1_000_000
    here.write(queued)
    sending = gevent.spawn(here.send_fds, b"!", [pipe[1]])
    assert there.read_exactly(len(queued)) == queued
    data, fds, *_ = there.recv_fds(10, 1)
    assert (data, len(fds)) == (b"!", 1)
    os.close(fds[0])
    assert sending.get() == 1
