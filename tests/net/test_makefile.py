"""Files over a socket lose nothing: not by a timeout, not by a write, not by who reads next."""

from __future__ import annotations

import io
import socket as std_socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.queue import Queue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gnet
from tests.helpers.servers import closing, receive_all, send_end
from tests.net.conftest import Net, Peer

# The modes that read, and their buffering.
FILES = [("rb", -1), ("rwb", -1), ("rb", 0), ("rwb", 0), ("rb", 2), ("r", -1), ("rw", -1)]
BUFFERED = [each for each in FILES if each[1]]


@pytest.fixture(params=FILES, ids=lambda file: f"{file[0]}, {file[1]}")
def opened(request: pytest.FixtureRequest, net: Net) -> Iterator[tuple[Any, gnet.Socket, Peer]]:
    mode, buffering = request.param
    sock, peer = net.accepted()
    text = {} if "b" in mode else {"encoding": "utf-8"}
    with sock.makefile(mode, buffering, **text) as file:
        yield file, sock, peer


def as_read(file: Any, data: bytes) -> Any:
    return data if "b" in file.mode else data.decode()


READS: dict[str, Callable[[Any], Any]] = {
    "readline": lambda file: file.readline(),
    "readlines": lambda file: file.readlines(),
    "read": lambda file: file.read(),
    "iteration": lambda file: next(iter(file)),
}


@pytest.mark.parametrize("read", READS)
def test_an_interrupted_read_loses_nothing(
    opened: tuple[Any, gnet.Socket, Peer], read: str
) -> None:
    file, sock, peer = opened
    sock.settimeout(0.05)
    begun = "half ö".encode()
    if read == "readlines":
        begun = b"whole\nlines\n" + begun
    for part in (begun, b" li"):
        peer.sendall(part)
        with pytest.raises(TimeoutError):
            READS[read](file)
    sock.settimeout(None)
    peer.sendall(b"ne\nnext\n")
    send_end(peer)
    assert file.read() == as_read(file, begun + b" line\nnext\n")


@pytest.mark.parametrize("error", [gevent.Timeout, ZeroDivisionError])
def test_a_read_that_is_killed_or_timed_out_from_outside_loses_nothing(
    opened: tuple[Any, gnet.Socket, Peer], net: Net, error: type[BaseException]
) -> None:
    file, _, peer = opened
    peer.sendall(b"half")

    def read() -> None:
        with pytest.raises(error):
            file.readline()

    reader = gevent.spawn(read)
    net.turns()
    reader.kill(error)
    assert reader.successful()
    peer.sendall(b" line\n")
    assert file.readline() == as_read(file, b"half line\n")


@pytest.mark.parametrize(("mode", "buffering"), [file for file in BUFFERED if "w" in file[0]])
def test_a_write_drops_nothing_of_what_was_read_ahead(net: Net, mode: str, buffering: int) -> None:
    sock, peer = net.accepted()
    with sock.makefile(mode, buffering, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
        peer.sendall("one\ntwo\nthree\nfö".encode())
        for line in (b"one\n", b"two\n", b"three\n"):
            assert file.readline() == as_read(file, line)
            file.write(as_read(file, b"answer\n"))
            file.flush()
        peer.sendall("ö\n".encode())
        assert file.readline() == as_read(file, "föö\n".encode())
        file.write(as_read(file, b"last words"))
    sock.close()
    assert receive_all(peer) == b"answer\n" * 3 + b"last words"


# -- the stream has one position --------------------------------------------------------------


def test_recv_goes_on_where_a_file_has_stopped(net: Net) -> None:
    sock, peer = net.accepted()
    file = sock.makefile("rb")
    peer.sendall(b"one\ntwo\nthree\nfour\n")
    assert file.readline() == b"one\n"
    assert sock.recv(2, std_socket.MSG_PEEK) == b"tw"
    assert sock.recv(2) == b"tw"
    buffer = bytearray(2)
    assert sock.recv_into(buffer) == 2
    assert buffer == b"o\n"
    with sock.makefile("rb") as other:
        assert other.readline() == b"three\n"
    assert file.readline() == b"four\n"
    file.close()
    peer.sendall(b"five")
    assert sock.recv() == b"five"
    assert sock.bytes_read == 23


def test_a_closed_file_leaves_what_it_has_read_ahead(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"one\ntwo\n")
    with sock.makefile("rb") as file:
        file.readline()
    assert sock.recv() == b"two\n"


def test_listeners_get_what_a_file_has_read_ahead(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"one\ntwo\n")
    file = sock.makefile("rb")
    file.readline()
    chunks: Queue[Any] = Queue()
    sock.on("data", chunks.put)
    assert chunks.get() == b"two\n"
    peer.sendall(b"three\n")
    assert chunks.get() == b"three\n"
    file.close()


def test_a_decoder_gets_what_a_file_has_read_ahead(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"one\ntwo \xe2\x82")
    file = sock.makefile("rb")
    file.readline()
    texts: Queue[str] = Queue()
    sock.set_encoding("utf-8")
    sock.on("data", texts.put)
    assert texts.get() == "two "
    peer.sendall(b"\xac")
    assert texts.get() == "€"
    file.close()


def test_a_pipe_gets_what_a_file_has_read_ahead(net: Net) -> None:
    sock, peer = net.accepted()
    target, sink = net.connected()
    peer.sendall(b"one\ntwo\n")
    file = sock.makefile("rb")
    file.readline()
    sock.pipe(target)
    peer.sendall(b"three\n")
    send_end(peer)
    assert receive_all(sink) == b"two\nthree\n"
    file.close()


def test_onread_gets_what_a_file_has_read_ahead(tcp: Net) -> None:
    chunks: Queue[bytes] = Queue()
    onread = gnet.OnRead(bytearray(3), lambda size, buffer: chunks.put(bytes(buffer[:size])))
    sock, peer = tcp.connected(onread=onread)
    sock.pause()
    peer.sendall(b"one\nfour")
    file = sock.makefile("rb")
    file.readline()
    sock.resume()
    assert chunks.get() + chunks.get() == b"four"
    peer.sendall(b"x")
    assert chunks.get() == b"x"
    file.close()


def test_the_end_comes_behind_what_a_file_has_read_ahead(net: Net) -> None:
    sock, peer = net.accepted()
    order: list[Any] = []
    sock.on("end", lambda: order.append("end"))
    peer.sendall(b"one\ntwo\n")
    file = sock.makefile("rb")
    file.readline()
    send_end(peer)
    net.turns()
    assert order == []
    sock.on("data", order.append)
    sock.wait("end")
    assert order == [b"two\n", "end"]
    file.close()


def test_what_a_file_has_read_ahead_survives_a_reset(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    peer.sendall(b"one\ntwo\nthree")
    file = sock.makefile("rb")
    file.readline()
    sock.on("error", lambda error: None)
    tcp.reset(sock, peer)
    tcp.closed(sock)
    assert file.readline() == b"two\n"
    with pytest.raises(ConnectionResetError):
        file.readline()
    assert sock.recv() == b"three"
    with pytest.raises(ConnectionResetError):
        sock.recv()
    file.close()


def test_two_greenlets_read_whole_lines_of_one_file(net: Net) -> None:
    sock, peer = net.accepted()
    lines: list[bytes] = []
    with sock.makefile("rb") as file:
        readers = [gevent.spawn(lambda: lines.extend(file)) for _ in range(3)]
        sent = [b"%d" % number * 50 + b"\n" for number in range(100)]
        for line in sent:
            peer.sendall(line[:20])
            net.turns(1)
            peer.sendall(line[20:])
        send_end(peer)
        gevent.joinall(readers, raise_error=True)
    assert sorted(lines) == sorted(sent)


# -- MSG_WAITALL ------------------------------------------------------------------------------


@pytest.mark.parametrize("into", [False, True])
def test_waitall_waits_for_all(net: Net, into: bool) -> None:
    sock, peer = net.accepted()

    def receive(size: int, flags: int = 0) -> bytes:
        flags |= std_socket.MSG_WAITALL
        if not into:
            return sock.recv(size, flags)
        buffer = bytearray(size + 2)
        return bytes(buffer[: sock.recv_into(buffer, size, flags)])

    reader = net.start(receive, 10)
    for part in (b"01234", b"567", b"89abc"):
        peer.sendall(part)
        net.turns()
    assert reader.get() == b"0123456789"
    # Looked at, all of it is there again.
    reader = net.start(receive, 5, std_socket.MSG_PEEK)
    peer.sendall(b"de")
    assert reader.get() == b"abcde"
    # Interrupted, it gives nothing, and loses nothing.
    sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        receive(10)
    assert receive(5) == b"abcde"
    peer.sendall(b"f")
    with pytest.raises(TimeoutError):
        receive(10)
    assert receive(10, std_socket.MSG_DONTWAIT) == b"f"
    with pytest.raises(BlockingIOError):
        receive(10, std_socket.MSG_DONTWAIT)


@pytest.mark.parametrize("into", [False, True])
def test_waitall_gives_what_there_is_before_the_end(net: Net, into: bool) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"0123")
    send_end(peer)
    if into:
        assert sock.recv_into(bytearray(10), 10, std_socket.MSG_WAITALL) == 4
    else:
        assert sock.recv(10, std_socket.MSG_WAITALL) == b"0123"
    assert sock.recv(10, std_socket.MSG_WAITALL) == b""


def test_what_is_received_without_waiting_counts(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"0123")
    net.turns()
    assert sock.recv(10, std_socket.MSG_DONTWAIT) == b"0123"
    assert sock.bytes_read == 4
    send_end(peer)
    net.turns()
    assert sock.recv(10, std_socket.MSG_DONTWAIT) == b""
    sock.wait("end")


# -- writes -----------------------------------------------------------------------------------


def test_an_interrupted_flush_sends_nothing_twice(net: Net) -> None:
    sock, peer = net.accepted()
    # More than the kernel takes.
    data = bytes(range(256)) * 80_000
    file = sock.makefile("wb", len(data) + 1)
    file.write(data)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        file.flush()
    receiver = net.start(receive_all, peer)
    file.write(b"next")
    file.close()
    sock.close()
    assert receiver.get() == data + b"next"


def test_a_file_of_bytes_takes_bytes(net: Net) -> None:
    sock, _ = net.accepted()
    with sock.makefile("rwb") as file:
        with pytest.raises(TypeError):
            file.write("text")
        with pytest.raises(TypeError):
            file.readinto(b"not writable")
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")


def test_a_file_of_one_way_refuses_the_other(net: Net) -> None:
    sock, _ = net.accepted()
    for mode, call in (
        ("rb", lambda file: file.write(b"x")),
        ("r", lambda file: file.write("x")),
        ("wb", lambda file: file.read()),
        ("w", lambda file: file.readline()),
    ):
        with sock.makefile(mode) as file, pytest.raises(io.UnsupportedOperation):
            call(file)


def test_a_bad_form_of_text_leaves_the_count_of_files_alone(net: Net) -> None:
    sock, peer = net.accepted()
    file = sock.makefile("rb")
    with pytest.raises(LookupError):
        sock.makefile("r", encoding="no such encoding")
    with pytest.raises(LookupError):
        sock.makefile("r", encoding="hex")
    with pytest.raises(LookupError):
        sock.makefile("r", errors="no such handler")
    with pytest.raises(ValueError, match="newline"):
        sock.makefile("r", newline="x")
    sock.close()
    peer.sendall(b"line\n")
    # It holds the close back still.
    assert file.readline() == b"line\n"
    file.close()
    assert peer.recv(1) == b""


# -- against the standard library's -----------------------------------------------------------

CALLS = st.sampled_from(
    [
        ("readline",), ("readline", 0), ("readline", 3), ("readline", 8), ("read", 0),
        ("read", 1), ("read", 5), ("read", 100), ("readlines", 4),
    ]
)  # fmt: skip
TEXT = st.text(st.sampled_from("ab\r\nö€\U0001f600"), max_size=60)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    text=TEXT,
    parts=st.lists(st.integers(1, 9), max_size=8),
    calls=st.lists(CALLS, max_size=12),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-7", "latin-1"]),
    newline=st.sampled_from([None, "", "\n", "\r", "\r\n"]),
    buffering=st.sampled_from([-1, 1, 2, 3, 7]),
    binary=st.booleans(),
)
def test_a_file_gives_what_the_standard_librarys_gives(
    text: str,
    parts: list[int],
    calls: list[tuple[Any, ...]],
    encoding: str,
    newline: str | None,
    buffering: int,
    binary: bool,
) -> None:
    data = text.encode(encoding, "replace")
    here, there = std_socket.socketpair()
    sock = gnet.Socket(handle=here)
    form = {"encoding": encoding, "newline": newline}
    # As the standard library's own: BytesIO has a readlines() that takes its hint otherwise.
    buffered: Any = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type,unused-ignore]
    plain = buffered if binary else io.TextIOWrapper(buffered, **form)

    def send() -> None:
        at = 0
        for size in parts:
            there.send(data[at : at + size])
            at += size
            gevent.sleep(0)
        there.sendall(data[at:])
        there.close()

    sender = gevent.spawn(send)
    with closing(sock):
        file = sock.makefile("rb" if binary else "r", buffering, **({} if binary else form))
        with file:
            for name, *args in [*calls, ("read",), ("read", 1), ("readline",)]:
                assert getattr(file, name)(*args) == getattr(plain, name)(*args)
    sender.join()


@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
def test_a_file_of_text_sends_lines_as_the_standard_librarys_does(
    net: Net, newline: str | None
) -> None:
    sock, peer = net.accepted()
    sent = io.BytesIO()
    plain = io.TextIOWrapper(sent, "utf-16", newline=newline)
    with sock.makefile("w", encoding="utf-16", newline=newline) as file:
        for text in ("one\n", "two\r\n", "thrëe\r"):
            assert file.write(text) == plain.write(text)
    sock.close()
    plain.flush()
    assert receive_all(peer) == sent.getvalue()
