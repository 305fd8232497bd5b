"""``settimeout(0)`` and ``MSG_DONTWAIT``: calls that raise instead of waiting."""

from __future__ import annotations

import codecs
import errno
import os
import socket as std_socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
from tests.helpers.blackhole import blackhole
from tests.helpers.servers import closing, place_at, raw_peer, receive, send_end, serving

DONTWAIT = getattr(std_socket, "MSG_DONTWAIT", 0)
needs_dontwait = pytest.mark.skipif(not DONTWAIT, reason="no MSG_DONTWAIT")

# More than the kernel takes at once.
LARGE = bytes(1 << 24)

READS: dict[str, Callable[[gnet.Socket, int], Any]] = {
    "recv": lambda sock, flags: sock.recv(100, flags),
    "recv_into": lambda sock, flags: sock.recv_into(bytearray(100), 0, flags),
    "recvfrom": lambda sock, flags: sock.recvfrom(100, flags),
    "recvfrom_into": lambda sock, flags: sock.recvfrom_into(bytearray(100), 0, flags),
    "recvmsg": lambda sock, flags: sock.recvmsg(100, 0, flags),
    "recvmsg_into": lambda sock, flags: sock.recvmsg_into([bytearray(100)], 0, flags),
}

modes = pytest.mark.parametrize(
    "flags", [0, pytest.param(DONTWAIT, marks=needs_dontwait)], ids=["mode", "flag"]
)


def begin(sock: gnet.Socket, flags: int) -> None:
    """Have the calls not wait: by the mode, where they have no flag."""
    if not flags:
        sock.setblocking(False)


def fill(send: Callable[[], int]) -> int:
    """Send until that would block; gives how much was sent."""
    count = 0
    with pytest.raises(BlockingIOError) as caught:
        while True:
            count += send()
    assert caught.value.code == "EAGAIN"  # type: ignore[attr-defined]
    return count


@contextmanager
def full_pair() -> Iterator[tuple[gnet.Socket, socket.socket, int]]:
    """A socket that sends nothing more, its peer, and how much that has to read.

    It is of the Unix domain: behind one of TCP the kernel hands on what it has, and there is room
    for a few bytes again.
    """
    here, there = socket.socketpair()
    client = gnet.Socket(handle=here)
    with closing(client), there:
        client.settimeout(0)
        yield client, there, fill(lambda: client.send(LARGE))


def readable(sock: gnet.Socket) -> None:
    """Block until the kernel has something for the socket."""
    gevent.get_hub().wait(gevent.get_hub().loop.io(sock.fileno(), 1))


# -- the mode -------------------------------------------------------------------------------------


def test_the_mode_is_told_as_python_tells_it() -> None:
    with raw_peer() as (client, _):
        for switch in client.settimeout, lambda value: client.setblocking(bool(value)):
            switch(0)
            assert client.gettimeout() == 0.0
            assert client.getblocking() is False
            assert client.timeout is None
            client.settimeout(5)
            assert client.gettimeout() == 5.0
            assert client.getblocking() is True
        client.settimeout(0.0)
        client.setblocking(True)
        assert client.gettimeout() is None


@pytest.mark.parametrize("off", [0, None])
def test_set_timeout_is_nodes_and_switches_off(off: Any) -> None:
    with raw_peer() as (client, peer):
        client.setblocking(False)
        client.set_timeout(off)
        assert client.gettimeout() is None
        assert client.getblocking()
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        peer.sendall(b"waited for")
        assert reading.get() == b"waited for"


def test_no_idle_timeout_runs_in_it() -> None:
    with raw_peer() as (client, _):
        client.set_timeout(0.01)
        client.on("timeout", lambda: pytest.fail("there is no timeout"))
        client.settimeout(0)
        with pytest.raises(TimeoutError):
            client.wait("data", 0.1)


def test_a_redialled_socket_is_still_in_it() -> None:
    with serving() as server:
        client = gnet.Socket()
        client.settimeout(0)
        for _ in range(2):
            client.connect(*place_at(server))
            with client:
                assert client.gettimeout() == 0.0
                with pytest.raises(BlockingIOError):
                    client.recv()
            client.destroy()
            client.wait("close")


# -- reading --------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("call", READS)
def test_a_read_of_nothing_raises_and_leaves_the_socket_as_it_was(call: str, flags: int) -> None:
    with raw_peer() as (client, peer):
        begin(client, flags)
        for _ in range(3):
            with pytest.raises(BlockingIOError) as caught:
                READS[call](client, flags)
            assert caught.value.code == "EAGAIN"  # type: ignore[attr-defined]
        peer.sendall(b"hello")
        readable(client)
        READS[call](client, flags)
        assert client.bytes_read == 5
        with pytest.raises(BlockingIOError):
            READS[call](client, flags)


@modes
@pytest.mark.parametrize("call", READS)
def test_the_end_is_met_by_such_a_read_as_by_any_other(call: str, flags: int) -> None:
    with raw_peer() as (client, peer):
        begin(client, flags)
        send_end(peer)
        readable(client)
        got = READS[call](client, flags)
        assert not (got[0] if isinstance(got, tuple) else got)
        client.wait("end")
        # It is the caller's to answer.
        client.sendall(b"bye")
        assert receive(peer, 3) == b"bye"


@modes
def test_a_read_beside_one_that_waits_leaves_that_its_bytes(flags: int) -> None:
    with raw_peer() as (client, peer):
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        if flags:
            with pytest.raises(BlockingIOError):
                client.recv(100, flags)
        peer.sendall(b"for who waits")
        assert reading.get() == b"for who waits"


@needs_dontwait
def test_peek_takes_nothing_and_waits_or_does_not() -> None:
    with raw_peer() as (client, peer):
        with pytest.raises(BlockingIOError):
            client.recv(5, std_socket.MSG_PEEK | DONTWAIT)
        peeking = gevent.spawn(client.recv, 5, std_socket.MSG_PEEK)
        gevent.sleep(0)
        peer.sendall(b"hello")
        assert peeking.get() == b"hello"
        assert client.recv(5, std_socket.MSG_PEEK | DONTWAIT) == b"hello"
        assert client.bytes_read == 0
        assert client.recv(5, DONTWAIT) == b"hello"


# A mode, its buffering, and its encoding.
FILES: dict[str, tuple[Any, ...]] = {
    "rb": ("rb",),
    "rwb": ("rwb",),
    "rb, raw": ("rb", 0),
    "rwb, raw": ("rwb", 0),
    "rb, small": ("rb", 2),
    "r": ("r", None, "utf-8"),
    "rw": ("rw", None, "utf-8"),
    "r, UTF-16": ("r", None, "utf-16-le"),
}


def opened(
    client: gnet.Socket, mode: str, buffering: int | None = None, encoding: str | None = None
) -> Any:
    return client.makefile(mode, buffering, encoding=encoding)


def in_form(file: Any, text: str) -> Any:
    """What a file gives for ``text``."""
    return text if hasattr(file, "encoding") else text.encode()


def bytes_of(file: Any, text: str) -> bytes:
    """What stands for ``text`` below the file."""
    return text.encode(getattr(file, "encoding", "utf-8"))


def raises_again(read: Callable[[], Any]) -> None:
    for _ in range(2):
        with pytest.raises(BlockingIOError) as caught:
            read()
        assert caught.value.code == "EAGAIN"  # type: ignore[attr-defined]
        assert caught.value.errno == errno.EAGAIN


@pytest.mark.parametrize("arguments", FILES.values(), ids=FILES)
def test_a_file_raises_and_loses_nothing(arguments: tuple[Any, ...]) -> None:
    with raw_peer() as (client, peer), opened(client, *arguments) as file:
        client.settimeout(0)
        raises_again(file.readline)
        peer.sendall(bytes_of(file, "first\nhal"))
        readable(client)
        assert file.readline() == in_form(file, "first\n")
        raises_again(file.readline)
        peer.sendall(bytes_of(file, "f\n"))
        readable(client)
        assert file.readline() == in_form(file, "half\n")


@pytest.mark.parametrize("call", ["read", "readlines", "readline", "iterate"])
@pytest.mark.parametrize("arguments", FILES.values(), ids=FILES)
def test_a_file_that_is_read_to_its_end_loses_nothing(
    arguments: tuple[Any, ...], call: str
) -> None:
    with raw_peer() as (client, peer), opened(client, *arguments) as file:
        client.settimeout(0)
        lines: list[Any] = []

        def go_on() -> None:
            if call == "readline":
                while line := file.readline():
                    lines.append(line)
            elif call == "iterate":
                lines.extend(iter(file))
            elif call == "read":
                lines.append(file.read())
            else:
                lines.extend(file.readlines())

        for part in "one\ntw", "o\n\N{EURO SIGN}", "\nthr":
            data = bytes_of(file, part)
            for piece in data[:-1], data[-1:]:
                peer.sendall(piece)
                readable(client)
                raises_again(go_on)
        send_end(peer)
        readable(client)
        go_on()
        assert type(lines[0])().join(lines) == in_form(file, "one\ntwo\n\N{EURO SIGN}\nthr")


@pytest.mark.parametrize("name", ["rb", "rwb", "rb, small", "r", "rw"])
def test_a_part_of_what_was_asked_for_is_kept(name: str) -> None:
    with raw_peer() as (client, peer), opened(client, *FILES[name]) as file:
        client.settimeout(0)
        peer.sendall(b"hel")
        readable(client)
        raises_again(lambda: file.read(5))
        peer.sendall(b"lo")
        readable(client)
        assert file.read(5) == in_form(file, "hello")


@pytest.mark.parametrize("call", ["read", "read1", "readinto", "readinto1", "peek"])
@pytest.mark.parametrize("name", ["rb", "rwb", "rb, raw", "rwb, raw"])
def test_every_read_of_a_file_raises(name: str, call: str) -> None:
    with raw_peer() as (client, peer), opened(client, *FILES[name]) as file:
        if not hasattr(file, call):
            pytest.skip(f"no {call}()")
        client.settimeout(0)
        argument = bytearray(5) if call.startswith("readinto") else 5
        raises_again(lambda: getattr(file, call)(argument))
        peer.sendall(b"hello")
        readable(client)
        got = getattr(file, call)(argument)
        assert (bytes(argument) if isinstance(got, int) else got) == b"hello"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [("wb",), ("wb", 0), ("rwb",), ("rwb", 0), ("wb", 100), ("w", None, "utf-16"), ("rw",)],
    ids=str,
)
def test_a_file_that_is_written_to_raises_and_sends_nothing_twice(
    arguments: tuple[Any, ...],
) -> None:
    with raw_peer() as (client, peer):
        client.settimeout(0)
        file = opened(client, *arguments)
        expected = bytearray()
        encoder = codecs.getincrementalencoder(getattr(file, "encoding", "utf-8"))()
        full = False
        for number in range(10_000):
            text = f"{number:09}," * 1000
            message = in_form(file, text)
            try:
                count = file.write(message)
            except BlockingIOError as exc:
                assert exc.code == "EAGAIN"  # type: ignore[attr-defined]
                full = True
                break
            if count is None:
                # As an unbuffered file of the standard library's says that it took nothing.
                full = True
                break
            expected += encoder.encode(text[:count])
        assert full
        received = bytearray()

        def read_on() -> None:
            while data := peer.recv(1 << 18):
                received.extend(data)

        reader = gevent.spawn(read_on)
        while True:
            try:
                file.flush()
                break
            except BlockingIOError:
                gevent.get_hub().wait(gevent.get_hub().loop.io(client.fileno(), 2))
        file.close()
        client.end()
        reader.join()
        assert received == expected


def test_a_first_text_that_was_refused_keeps_its_mark() -> None:
    with full_pair() as (client, peer, sent):
        with client.makefile("w", 1024, encoding="utf-16") as file:
            file.write("")
            with pytest.raises(BlockingIOError):
                file.write("x" * 4096)
            assert len(receive(peer, sent)) == sent
            gevent.get_hub().wait(gevent.get_hub().loop.io(client.fileno(), 2))
            file.write("hello")
        client.end()
        assert receive(peer, 100) == "hello".encode("utf-16")


def test_iteration_raises_as_well() -> None:
    with raw_peer() as (client, _):
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            next(iter(client))


def test_events_wait_and_with_are_as_ever() -> None:
    with raw_peer() as (client, peer):
        client.settimeout(0)
        with client:
            gevent.spawn(peer.sendall, b"an event")
            assert client.wait("data", 5) == (b"an event",)


# -- writing --------------------------------------------------------------------------------------


@modes
@pytest.mark.parametrize("call", ["send", "sendmsg", "sendto"])
def test_send_takes_a_part_and_then_raises(call: str, flags: int) -> None:
    with raw_peer() as (client, peer):
        begin(client, flags)
        sends: dict[str, Callable[[], int]] = {
            "send": lambda: client.send(LARGE, flags),
            "sendmsg": lambda: client.sendmsg([LARGE[:10], LARGE[10:]], [], flags, None),
            "sendto": lambda: client.sendto(LARGE, flags, None),
        }
        sent = fill(sends[call])
        assert 0 < sent < len(LARGE)
        assert client.bytes_written == sent
        assert client.writable_length == 0
        client.end()
        assert len(receive(peer, len(LARGE))) == sent


@modes
def test_sendall_sends_what_goes_and_queues_nothing(flags: int) -> None:
    with raw_peer() as (client, peer):
        begin(client, flags)
        client.sendall(b"small", flags)
        with pytest.raises(BlockingIOError) as caught:
            client.sendall(LARGE, flags)
        sent = caught.value.characters_written
        assert 0 < sent < len(LARGE)
        assert client.bytes_written == 5 + sent
        assert client.writable_length == 0
        client.end()
        assert len(receive(peer, len(LARGE))) == 5 + sent


def test_an_unbuffered_file_takes_a_part_and_then_gives_none() -> None:
    with raw_peer() as (client, peer), client.makefile("wb", 0) as file:
        client.settimeout(0)
        sent = 0
        while (count := file.write(LARGE)) is not None:
            sent += count
        assert 0 < sent == client.bytes_written
        assert client.writable_length == 0
        client.close()
        file.close()
        assert len(receive(peer, sent)) == sent


def test_a_buffered_file_raises_and_keeps_what_was_not_sent() -> None:
    with full_pair() as (client, _, _), client.makefile("wb") as file:
        file.write(b"kept")
        with pytest.raises(BlockingIOError) as caught:
            file.flush()
        assert caught.value.code == "EAGAIN"  # type: ignore[attr-defined]
        client.destroy()
        with pytest.raises(OSError):
            file.flush()
        file.raw.close()


@modes
@pytest.mark.parametrize("corked", [False, True])
def test_a_message_never_goes_ahead_of_what_is_queued(flags: int, corked: bool) -> None:
    with raw_peer() as (client, peer):
        if corked:
            client.cork()
        client.write(b"queued,")
        begin(client, flags)
        assert client.send(b"sent", flags) == 4
        client.write(LARGE)
        with pytest.raises(BlockingIOError):
            client.send(b"not sent", flags)
        client.end()
        got = receive(peer, len(LARGE) + 100)
        assert got == b"queued,sent" + LARGE


@modes
def test_a_kernel_that_has_room_again_takes_more(flags: int) -> None:
    with raw_peer() as (client, peer):
        begin(client, flags)
        sent = fill(lambda: client.send(LARGE, flags))
        assert len(receive(peer, sent)) == sent
        gevent.get_hub().wait(gevent.get_hub().loop.io(client.fileno(), 2))
        assert client.send(b"more", flags) == 4
        assert receive(peer, 4) == b"more"


@modes
def test_nothing_waits_for_a_connection_that_is_being_made(flags: int) -> None:
    with blackhole() as hole:
        client = gnet.connect(hole.port, hole.host)
        with closing(client):
            begin(client, flags)
            for call in READS.values():
                with pytest.raises(BlockingIOError):
                    call(client, flags)
            for send in client.send, client.sendall:
                with pytest.raises(BlockingIOError):
                    send(b"x", flags)
            assert client.connecting
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.05), client:
                pytest.fail("with waits as ever")


def test_sendfile_wants_to_wait() -> None:
    with raw_peer() as (client, _), open(os.devnull, "rb") as file:
        client.settimeout(0)
        with pytest.raises(ValueError, match="non-blocking"):
            client.sendfile(file)


# -- flags that a transport does not have ---------------------------------------------------------


@pytest.mark.skipif(not hasattr(std_socket, "MSG_OOB"), reason="no urgent data")
def test_urgent_data_that_is_not_there_costs_no_connection() -> None:
    with raw_peer() as (client, peer):
        with pytest.raises(OSError) as caught:
            client.recv(1, std_socket.MSG_OOB)
        assert caught.value.code in ("EINVAL", "EAGAIN")  # type: ignore[attr-defined]
        reading = gevent.spawn(client.recv)
        gevent.sleep(0)
        # Beside a reader as well, and without waiting for its turn.
        with pytest.raises(OSError):
            client.recv(1, std_socket.MSG_OOB)
        peer.sendall(b"!", std_socket.MSG_OOB)
        assert client.recv(1, std_socket.MSG_OOB) == b"!"
        peer.sendall(b"plain")
        assert reading.get() == b"plain"
        assert client.ready_state == "open"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_a_flag_that_a_pipe_does_not_have_costs_no_connection() -> None:
    reading, writing = os.pipe()
    source, sink = gnet.Socket(fd=reading), gnet.Socket(fd=writing)
    with closing(source, sink):
        with pytest.raises(OSError) as caught:
            source.recv(1, std_socket.MSG_PEEK)
        assert caught.value.errno == errno.EOPNOTSUPP
        with pytest.raises(BlockingIOError):
            source.recv(1, DONTWAIT)
        with pytest.raises(OSError):
            sink.send(b"x", std_socket.MSG_OOB)
        assert sink.send(b"hello", DONTWAIT) == 5
        assert source.recv(5) == b"hello"
        assert sink.bytes_written == 5
        fill(lambda: sink.send(LARGE, DONTWAIT))
