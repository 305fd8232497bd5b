"""Messages in a stream: read_exactly(), read_until(), readline(), unread()."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from tests.helpers.servers import memory_pair, pair, path_at, raw_peer, tls_pair

Ends = tuple[gnet.Socket, gnet.Socket]


@contextmanager
def pipe_pair(**_: Any) -> Iterator[Ends]:
    """The two ends of a pipe of the system's: what is read, and what is written."""
    reader, writer = os.pipe()
    ends = gnet.Socket(fd=reader), gnet.Socket(fd=writer)
    try:
        yield ends
    finally:
        for each in ends:
            each.destroy()


KINDS = ["tcp", "unix", "tls", "memory"]
if sys.platform != "win32":
    KINDS.append("pipe")


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """Who reads, and who writes, over each kind of transport."""
    makes: dict[str, Callable[[], Any]] = {
        "tcp": lambda: pair((0, "127.0.0.1"), allow_half_open=True),
        "unix": lambda: pair(path_at(tmp_path), allow_half_open=True),
        "tls": lambda: tls_pair(allow_half_open=True),
        "memory": lambda: memory_pair(allow_half_open=True),
        "pipe": pipe_pair,
    }
    with makes[request.param]() as made:
        yield made


def test_read_exactly_gives_so_many_bytes_and_leaves_the_rest(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"abc")
    late = gevent.spawn(lambda: writer.sendall(b"defgh"))
    assert reader.read_exactly(5) == b"abcde"
    assert reader.read_exactly(0) == b""
    assert reader.recv(2) == b"fg"
    assert reader.read_exactly(1) == b"h"
    assert reader.bytes_read == 8
    late.join()


def test_read_exactly_of_much_takes_it_in_pieces(ends: Ends) -> None:
    reader, writer = ends
    data = bytes(range(250)) * 2000
    sending = gevent.spawn(writer.sendall, data)
    assert reader.read_exactly(len(data)) == data
    sending.join()


def test_read_exactly_of_a_stream_that_ends_before_has_what_came(ends: Ends) -> None:
    reader, writer = ends
    writer.end(b"abc")
    with pytest.raises(EOFError, match="3 of 5 bytes") as caught:
        reader.read_exactly(5)
    assert caught.value.partial == b"abc"  # type: ignore[attr-defined]
    assert caught.value.code == "ERR_STREAM_PREMATURE_CLOSE"  # type: ignore[attr-defined]
    assert reader.recv() == b""
    with pytest.raises(EOFError) as again:
        reader.read_exactly(1)
    assert again.value.partial == b""  # type: ignore[attr-defined]


def test_read_until_gives_the_separator_too(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"a;b\r")
    late = gevent.spawn(lambda: writer.end(b"\nc\r\nrest"))
    assert reader.read_until(b";") == b"a;"
    assert reader.read_until(b"\r\n") == b"b\r\n", "the separator came in two pieces"
    assert reader.read_until(bytearray(b"\r\n")) == b"c\r\n"
    assert reader.read_until(b"\r\n") == b"rest"
    assert reader.read_until(b"\r\n") == b""
    late.join()


def test_lines(ends: Ends) -> None:
    reader, writer = ends
    writer.end(b"one\n\ntwo\nthree")
    assert [reader.readline() for _ in range(5)] == [b"one\n", b"\n", b"two\n", b"three", b""]


def test_a_line_that_is_too_long_is_an_error_and_not_lost(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"x" * 20 + b"\nnext\n")
    for limit in (10, 20):
        with pytest.raises(ValueError, match=f"first {limit} bytes") as caught:
            reader.readline(limit)
        assert caught.value.code == "ERR_LINE_TOO_LONG"  # type: ignore[attr-defined]
    assert reader.readline(21) == b"x" * 20 + b"\n", "the limit counts the separator"
    assert reader.readline() == b"next\n"


def test_a_line_without_an_end_is_too_long_as_soon_as_it_is(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"x" * 8)
    with pytest.raises(ValueError, match="first 8 bytes"):
        reader.readline(8)
    assert reader.recv() == b"x" * 8


@pytest.mark.parametrize("call", ["read_exactly", "read_until", "readline"])
def test_an_interruption_loses_nothing(ends: Ends, call: str) -> None:
    reader, writer = ends
    arguments: dict[str, tuple[Any, ...]] = {
        "read_exactly": (8,), "read_until": (b"||",), "readline": ()
    }  # fmt: skip
    message = {"read_exactly": b"abcdefgh", "read_until": b"abcdef||", "readline": b"abcdefg\n"}
    whole = message[call]
    writer.sendall(whole[:3])
    with gevent.Timeout(0.03, False):
        getattr(reader, call)(*arguments[call])
        raise AssertionError("the message is not whole yet")
    writer.sendall(whole[3:7])
    blocked = gevent.spawn(getattr(reader, call), *arguments[call])
    gevent.idle()
    blocked.kill()
    reader.settimeout(0)
    with pytest.raises(BlockingIOError):
        getattr(reader, call)(*arguments[call])
    reader.settimeout(None)
    writer.sendall(whole[7:])
    assert getattr(reader, call)(*arguments[call]) == whole


def test_an_idle_timeout_loses_nothing(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"abc")
    reader.settimeout(0.03)
    with pytest.raises(TimeoutError):
        reader.readline()
    writer.sendall(b"d\n")
    assert reader.readline() == b"abcd\n"


def test_what_is_unread_comes_first_for_every_call(ends: Ends) -> None:
    reader, writer = ends
    writer.sendall(b"world")
    assert reader.read_exactly(5) == b"world"
    writer.sendall(b"!")
    reader.unread(b"world")
    reader.unread(memoryview(b"hello "))
    assert reader.recv(3) == b"hel"
    buffer = bytearray(3)
    assert reader.recv_into(buffer) == 3
    assert buffer == b"lo "
    assert reader.makefile("rb").read(2) == b"wo"
    assert reader.read_exactly(4) == b"rld!"
    assert reader.bytes_read == 6


def test_what_is_unread_behind_the_end_comes_again(ends: Ends) -> None:
    reader, writer = ends
    writer.end(b"ab")
    assert b"".join(reader) == b"ab"
    reader.unread(b"ab")
    assert reader.recv() == b"ab"
    assert reader.recv() == b""


# -- in event style ------------------------------------------------------------------------------


def test_a_listener_reads_the_rest_of_a_message(ends: Ends) -> None:
    reader, writer = ends
    messages = []

    @reader.on("data")
    def received(chunk: bytes) -> None:
        # The length, and so much behind it: the chunks are cut wherever they are.
        reader.unread(chunk)
        size = reader.read_exactly(1)[0]
        messages.append(reader.read_exactly(size))

    writer.write(b"\x03abc\x05de")
    writer.write(b"fgh\x01")
    writer.end(b"x")
    reader.wait("end")
    assert messages == [b"abc", b"defgh", b"x"]


def test_what_is_unread_is_emitted_again_ahead_of_what_follows(ends: Ends) -> None:
    reader, writer = ends
    chunks = []

    @reader.once("data")
    def first(chunk: bytes) -> None:
        reader.pause()
        reader.unread(chunk[2:])
        chunks.append(chunk[:2])

    writer.write(b"abcd")
    reader.wait("pause")
    reader.on("data", chunks.append)
    writer.end(b"ef")
    reader.resume()
    reader.wait("end")
    assert chunks[0] == b"ab"
    assert b"".join(chunks) == b"abcdef"
    assert reader.bytes_read == 6


def test_a_listener_that_always_puts_back_holds_nobody_up() -> None:
    with pair() as (reader, writer):
        count = 0

        def received(chunk: bytes) -> None:
            nonlocal count
            count += 1
            reader.unread(chunk)

        reader.on("data", received)
        writer.write(b"again")
        reader.wait("data")
        for _ in range(20):
            gevent.sleep(0)
        reader.off("data", received)
        assert reader.recv() == b"again"


def test_what_is_unread_goes_into_a_pipe_and_behind_an_encoding() -> None:
    with pair() as (reader, writer), pair() as (to, end):
        writer.write(b"\xc3")
        assert reader.recv() == b"\xc3"
        reader.unread(b"\xc3")
        reader.pipe(to)
        writer.write(b"\xa9")
        assert end.read_exactly(2) == b"\xc3\xa9"
        reader.unpipe()
        reader.set_encoding("utf-8")
        reader.unread(b"\xc3")
        texts: list[Any] = []
        reader.on("data", texts.append)
        writer.end(b"\xa9")
        reader.wait("end")
        assert "".join(texts) == "\xe9"


def test_unread_behind_end_in_event_style_is_refused() -> None:
    with pair() as (reader, writer):
        caught = []

        @reader.on("end")
        def ended() -> None:
            with pytest.raises(RuntimeError) as error:
                reader.unread(b"x")
            caught.append(error.value.code)  # type: ignore[attr-defined]

        reader.resume()
        writer.end()
        reader.wait("close")
        assert caught == ["ERR_STREAM_UNSHIFT_AFTER_END_EVENT"]


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_what_a_file_has_read_ahead_goes_into_a_pipe_that_follows(mode: str) -> None:
    with raw_peer() as (source, peer), pair() as (to, end):
        peer.sendall(b"head\nbo")
        file = source.makefile(mode)
        assert file.readline() in (b"head\n", "head\n")
        if mode == "r":
            assert file.read(1) == "b"
        source.pipe(to)
        peer.sendall(b"dy")
        peer.close()
        assert b"".join(end) == (b"body" if mode == "rb" else b"ody")
        file.close()


# -- wrong kinds, values and states --------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        ("read_exactly", (-1,), ValueError),
        ("read_exactly", ("1",), TypeError),
        ("read_exactly", (True,), TypeError),
        ("read_until", (b"",), ValueError),
        ("read_until", ("\n",), TypeError),
        ("read_until", (b"\n", 0), ValueError),
        ("readline", ("1",), TypeError),
        ("unread", ("text",), TypeError),
    ],
)
def test_what_is_wrong_is_refused(call: str, arguments: Any, error: Any) -> None:
    with memory_pair() as (sock, _), pytest.raises(error):
        getattr(sock, call)(*arguments)


def test_they_are_refused_where_recv_is() -> None:
    with memory_pair() as (sock, _):
        sock.resume()
        for call in (lambda: sock.read_exactly(1), sock.readline):
            with pytest.raises(RuntimeError, match="flowing"):
                call()
        sock.pause().destroy()
        for use in (sock.readline, lambda: sock.unread(b"x")):
            with pytest.raises(OSError) as caught:
                use()
            assert caught.value.code == "ERR_SOCKET_CLOSED"  # type: ignore[attr-defined]
    with pytest.raises(OSError) as unconnected:
        gnet.Socket().unread(b"x")
    assert unconnected.value.errno == errno.ENOTCONN


def test_unread_under_a_blocked_read_is_refused() -> None:
    with memory_pair() as (sock, other), ExitStack() as stack:
        blocked = gevent.spawn(sock.recv)
        stack.callback(blocked.kill)
        gevent.idle()
        with pytest.raises(RuntimeError) as caught:
            sock.unread(b"x")
        assert caught.value.code == "ERR_SOCKET_READING"  # type: ignore[attr-defined]
        other.write(b"y")
        assert blocked.get() == b"y"
