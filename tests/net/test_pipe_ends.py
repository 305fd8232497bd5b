"""The ends of a pipe: files, destinations and sources that have ended, listeners that are gone."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import subprocess
from gevent.event import Event

from gnet._core.dispatcher import dispatcher
from gnet._loop import splicer
from tests.helpers.calls import Calls
from tests.helpers.servers import receive, receive_all, send_end
from tests.net.conftest import Net

BIG = bytes(range(256)) * 4096


@pytest.fixture(params=["kernel", "copied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "copied":
        monkeypatch.setattr(splicer, "AVAILABLE", False)
    elif not splicer.AVAILABLE:
        pytest.skip("this system has no splice()")
    return str(request.param)


def users() -> int:
    """How many pipes may have the kernel move something."""
    return dispatcher().splicer.users


# -- files --------------------------------------------------------------------------------------


class Short(io.RawIOBase):
    """A raw file that takes a part, or nothing for now."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.calls = 0
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        self.calls += 1
        if self.calls % 3 == 0:
            return None
        part = bytes(data[: self.most])
        self.data += part
        return len(part)


def test_a_raw_file_gets_every_byte_however_little_it_takes(net: Net) -> None:
    sock, peer = net.accepted()
    file = Short(70_001)
    sock.pipe(file)
    net.start(lambda: (peer.sendall(BIG), send_end(peer)))
    net.closed(sock)
    assert file.data == BIG
    assert file.closed


def test_a_text_file_gets_every_character(net: Net) -> None:
    sock, peer = net.accepted()
    sock.set_encoding("utf-8")
    file = io.StringIO()
    sock.pipe(file, end=False)
    peer.sendall("äöü€\n".encode() * 1000)
    send_end(peer)
    net.closed(sock)
    assert file.getvalue() == "äöü€\n" * 1000


@pytest.mark.parametrize("buffering", [0, 1024, -1])
def test_a_file_on_the_disk_is_flushed_and_closed(
    net: Net, tmp_path: Path, buffering: int
) -> None:
    sock, peer = net.accepted()
    file = open(tmp_path / "file", "wb", buffering)  # noqa: SIM115
    sock.pipe(file)
    peer.sendall(BIG)
    send_end(peer)
    net.closed(sock)
    assert file.closed
    assert (tmp_path / "file").read_bytes() == BIG


def test_without_end_a_file_is_flushed_and_stays_open(net: Net, tmp_path: Path) -> None:
    sock, peer = net.accepted()
    with open(tmp_path / "file", "wb") as file:
        sock.pipe(file, end=False)
        peer.sendall(b"little")
        send_end(peer)
        net.closed(sock)
        assert not file.closed
        assert (tmp_path / "file").read_bytes() == b"little"


def test_a_file_is_flushed_behind_each_chunk(net: Net) -> None:
    reader, writer = os.pipe()
    sock, peer = net.accepted()
    os.set_blocking(reader, False)
    with open(writer, "wb") as file:
        sock.pipe(file, end=False)
        peer.sendall(b"question")
        while sock.bytes_read < 8:
            gevent.sleep(0)
        assert os.read(reader, 100) == b"question"
        sock.unpipe(file)
    os.close(reader)


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_pipe_that_does_not_block_is_waited_for(net: Net, buffering: int) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    file = open(writer, "wb", buffering)  # noqa: SIM115
    sock, peer = net.accepted()
    sock.pipe(file)
    net.start(lambda: (peer.sendall(BIG), send_end(peer)))
    taken = gevent.get_hub().threadpool.spawn(_read_all, reader).get()
    assert taken == BIG
    net.closed(sock)


def _read_all(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


@pytest.mark.limit(60)
@pytest.mark.parametrize("bufsize", [0, -1])
def test_a_childs_input_gets_every_byte_and_its_end(net: Net, bufsize: int) -> None:
    sock, peer = net.accepted()
    program = "import sys, time; time.sleep(0.2); print(len(sys.stdin.buffer.read()))"
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=bufsize,
    )
    sock.pipe(child.stdin)
    net.start(lambda: (peer.sendall(BIG), send_end(peer)))
    assert int(child.stdout.read()) == len(BIG)
    child.stdout.close()
    assert child.wait() == 0
    net.closed(sock)


def test_a_file_that_fails_fails_the_source(net: Net, must_call: Calls) -> None:
    class Full(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    sock, peer = net.accepted()
    sock.on("error", errored := must_call())
    sock.pipe(Full())
    peer.sendall(b"x")
    assert errored.wait()[0].errno == 28
    net.closed(sock)


def test_standard_output_is_never_closed(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", output)
    sock, peer = net.accepted()
    sock.pipe(output.buffer)
    peer.sendall(b"x")
    send_end(peer)
    net.closed(sock)
    assert not output.closed
    assert output.buffer.getvalue() == b"x"


def test_a_source_that_fails_closes_no_file(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("error", must_call())
    file = io.BytesIO()
    sock.pipe(file)
    peer.sendall(b"x")
    while not file.getvalue():
        gevent.sleep(0)
    sock.destroy(ValueError("boom"))
    net.closed(sock)
    assert file.getvalue() == b"x"


# -- destinations that have ended ---------------------------------------------------------------


def test_a_destination_that_ends_is_unpiped_and_keeps_what_it_has(net: Net, way: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    seen: list[str] = []
    for event in ("finish", "unpipe", "error"):
        to.on(event, lambda *_, event=event: seen.append(event))
    source.pipe(to)
    to.end(BIG)
    sender.sendall(b"too late")
    assert receive_all(receiver) == BIG
    while "unpipe" not in seen:
        gevent.sleep(0)
    assert sorted(seen) == ["finish", "unpipe"]
    assert source.is_paused()
    assert not to.destroyed
    # Nothing of it is lost: it is for whoever comes next.
    assert source.recv() == b"too late"
    receiver.sendall(b"answer")
    assert to.recv() == b"answer"
    assert users() == 0


@pytest.mark.parametrize("first", [True, False])
def test_a_destination_that_dials_again_is_unpiped_at_once(
    net: Net, way: str, first: bool, must_call: Calls
) -> None:
    listener = net.listening_peer()
    source, sender = net.accepted(allow_half_open=True)
    to = net.connect(listener)
    net.keep(listener.accept()[0])
    to.wait("connect")
    seen: list[Any] = []

    def dial(had_error: bool) -> None:
        to.connect(*net.target(listener))
        # The listener of the pipe's has not been called, or has been.
        seen.append((source.is_paused(), source.listener_count("data")))
        net.turns()
        seen.append(source.bytes_read)
        done.set()

    done = Event()
    if first:
        source.pipe(to)
        to.prepend_once_listener("close", must_call(dial))
    else:
        to.once("close", must_call(dial))
        source.pipe(to)
    to.destroy()
    again = net.keep(listener.accept()[0])
    sender.sendall(b"too late")
    done.wait()
    assert seen == [(True, 0), 0]
    assert to.listener_count("drain") == to.listener_count("finish") == 0
    assert source.recv() == b"too late"
    to.end(b"new")
    assert receive_all(again) == b"new"
    assert users() == 0


@pytest.mark.parametrize("how", ["end", "destroy", "redial"])
def test_a_listener_ahead_of_the_pipe_that_ends_the_destination(
    net: Net, how: str, must_call: Calls
) -> None:
    listener = net.listening_peer()
    source, sender = net.accepted(allow_half_open=True)
    to = net.connect(listener)
    peers = [net.keep(listener.accept()[0])]
    to.wait("connect")
    to.on("error", must_call(times=0))

    done = Event()

    def ahead(chunk: bytes) -> None:
        if how == "end":
            to.end()
        else:
            to.destroy()
        if how == "redial":
            to.wait("close")
            to.connect(*net.target(listener))
            peers.append(net.keep(listener.accept()[0]))
            to.wait("connect")
        done.set()

    source.once("data", must_call(ahead))
    source.pipe(to)
    sender.sendall(b"for who was there")
    done.wait()
    net.turns()
    if how == "redial":
        to.end()
    assert receive_all(peers[-1]) == b""
    assert source.is_paused()
    assert users() == 0


def test_a_pipe_that_a_listener_ahead_of_it_takes_off_leaves_nobody_paused(net: Net) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True, high_water_mark=1)
    to.cork()
    rest = bytearray()

    def ahead(chunk: bytes) -> None:
        if not rest:
            source.unpipe(to)
        rest.extend(chunk)

    source.on("data", ahead)
    source.pipe(to)
    sender.sendall(b"one")
    while len(rest) < 3:
        gevent.sleep(0)
    net.turns()
    sender.sendall(b"two")
    while len(rest) < 6:
        gevent.sleep(0)
    # As in Node, the chunk under way is still the pipe's.
    to.uncork()
    to.end()
    assert receive_all(receiver) == b"one"


@pytest.mark.parametrize("how", ["end", "destroy"])
def test_a_pipe_into_what_has_ended_takes_nothing(net: Net, must_call: Calls, how: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, _ = net.accepted(allow_half_open=True)
    getattr(to, how)()
    to.on("pipe", must_call())
    to.on("unpipe", must_call())
    sender.sendall(b"data")
    assert source.pipe(to) is to
    must_call.wait()
    assert source.is_paused()
    assert source.recv() == b"data"
    assert users() == 0


def test_another_destination_goes_on(net: Net) -> None:
    source, sender = net.accepted(allow_half_open=True)
    first, _ = net.accepted(allow_half_open=True)
    second, receiver = net.accepted(allow_half_open=True)
    source.pipe(first)
    source.pipe(second)
    first.end()
    first.wait("finish")
    sender.sendall(b"data")
    assert receive(receiver, 4) == b"data"
    assert not source.is_paused()
    source.unpipe()


# -- sources that have ended --------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True])
def test_a_source_that_has_ended_ends_its_destination(
    net: Net, must_call: Calls, closed: bool
) -> None:
    source, sender = net.accepted(allow_half_open=not closed)
    to, receiver = net.accepted(allow_half_open=True)
    source.resume()
    send_end(sender)
    source.wait("close" if closed else "end")
    to.on("pipe", must_call())
    to.on("unpipe", must_call())
    source.pipe(to)
    assert receive_all(receiver) == b""
    must_call.wait()
    assert to.writable_ended
    assert users() == 0


def test_a_source_that_has_ended_leaves_a_destination_open_if_told_to(net: Net) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    source.resume()
    send_end(sender)
    source.wait("end")
    source.pipe(to, end=False)
    net.turns()
    to.write(b"goes on")
    assert receive(receiver, 7) == b"goes on"


def test_a_source_that_was_destroyed_ends_nothing(net: Net) -> None:
    source, _ = net.accepted()
    to, _ = net.accepted(allow_half_open=True)
    source.destroy()
    net.closed(source)
    source.pipe(to)
    net.turns()
    assert not to.writable_ended
    assert users() == 0


@pytest.mark.parametrize("ended", [False, True])
def test_a_pipe_from_a_source_that_dials_again_at_once_is_of_the_former_connection(
    net: Net, ended: bool
) -> None:
    listener = net.listening_peer()
    source = net.connect(listener)
    sender = net.keep(listener.accept()[0])
    to, receiver = net.accepted(allow_half_open=True)
    sender.sendall(b"header\nbody")

    def dial(had_error: bool) -> None:
        source.pipe(to)
        source.connect(*net.target(listener))

    source.once("close", dial)
    with source.makefile("rb") as file:
        assert file.readline() == b"header\n"
        if ended:
            assert file.read(4) == b"body"
            send_end(sender)
            source.resume()
            source.wait("end")
        source.destroy()
        again = net.keep(listener.accept()[0])
        again.sendall(b"new")
        if ended:
            assert receive_all(receiver) == b""
        else:
            # What was read ahead comes, and a source that was destroyed ends nothing.
            assert receive(receiver, 4) == b"body"
            net.turns()
            assert to.writable
        source.pause()
        if not ended:
            assert source.recv() == b"new"


# -- who carries --------------------------------------------------------------------------------


def test_a_listener_in_the_place_of_the_pipes_gets_the_data(net: Net, way: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, _ = net.accepted(allow_half_open=True)
    mine = bytearray()
    source.pipe(to)
    source.remove_all_listeners("data")
    source.on("data", mine.extend)
    sender.sendall(b"two")
    while len(mine) < 3:
        gevent.sleep(0)
    assert mine == b"two"
    assert to.bytes_written == 0


def test_a_write_that_was_replaced_gets_the_data(net: Net, way: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    plain = to.write
    to.write = lambda data, *rest: plain(bytes(data).upper(), *rest)  # type: ignore[method-assign]
    source.pipe(to)
    sender.sendall(b"one")
    assert receive(receiver, 3) == b"ONE"
    del to.write
    sender.sendall(b"two")
    assert receive(receiver, 3) == b"two"
    source.unpipe()


def test_no_pipe_is_left_of_a_source_without_listeners(net: Net) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    source.pipe(to)
    sender.sendall(b"x")
    assert receive(receiver, 1) == b"x"
    assert users() == 1
    source.remove_all_listeners()
    source.destroy()
    net.closed(source)
    assert users() == 0


def test_pipes_that_change_in_mid_flow_lose_nothing(net: Net, way: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    ends = [net.accepted(allow_half_open=True) for _ in range(4)]
    readers = [net.start(receive_all, peer) for _, peer in ends]
    writer = net.start(lambda: (sender.sendall(BIG * 8), send_end(sender)))
    for to, _ in ends:
        before = source.bytes_read
        source.pipe(to)
        while source.bytes_read < min(before + len(BIG), 8 * len(BIG)):
            gevent.sleep(0)
        if to is not ends[-1][0]:
            source.unpipe(to)
    source.wait("end")
    for to, _ in ends:
        to.end()
    assert b"".join(reader.get() for reader in readers) == BIG * 8
    writer.get()
    assert users() == 0


# -- what a file has read ahead -----------------------------------------------------------------


def test_what_a_file_has_read_ahead_comes_first(net: Net, way: str) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    sender.sendall(b"header\nbody ")
    file = source.makefile("rb")
    assert file.readline() == b"header\n"
    source.pipe(to)
    sender.sendall(b"and more")
    send_end(sender)
    assert receive_all(receiver) == b"body and more"
    file.close()


def test_what_a_file_has_read_ahead_up_to_the_end_comes_ahead_of_the_end(net: Net) -> None:
    source, sender = net.accepted(allow_half_open=True)
    to, receiver = net.accepted(allow_half_open=True)
    sender.sendall(b"header\nbody")
    send_end(sender)
    file = source.makefile("rb")
    assert file.readline() == b"header\n"
    assert file.peek() == b"body"
    source.pipe(to)
    assert receive_all(receiver) == b"body"
    file.close()
    gc.collect()
