"""Pipes, FIFOs and terminals that others have as well: they keep their bytes, and their mode."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent
import pytest
from gevent import subprocess

import gnet
from tests.helpers import forks, threads
from tests.helpers.peers import python
from tests.helpers.servers import closing

if sys.platform == "win32":
    pytest.skip("there are handles, not descriptors", allow_module_level=True)

import pty

from gnet._transport import file

ROOT = str(Path(__file__).parents[3])
LARGE = bytes(range(256)) * 4096

Ends = tuple[int, int]


@contextmanager
def pipe(tmp_path: Path) -> Iterator[Ends]:
    reading, writing = os.pipe()
    with closing_fds(reading, writing):
        yield reading, writing


@contextmanager
def fifo(tmp_path: Path) -> Iterator[Ends]:
    os.mkfifo(tmp_path / "fifo")
    both = os.open(tmp_path / "fifo", os.O_RDWR)
    with closing_fds(both):
        reading = os.open(tmp_path / "fifo", os.O_RDONLY)
        with closing_fds(reading):
            yield reading, both


@contextmanager
def terminal(tmp_path: Path) -> Iterator[Ends]:
    master, slave = pty.openpty()
    with closing_fds(master, slave):
        yield slave, master


@contextmanager
def closing_fds(*fds: int) -> Iterator[None]:
    try:
        yield
    finally:
        for fd in fds:
            with suppress(OSError):
                forks.close(fd)


KINDS = {"pipe": pipe, "fifo": fifo, "terminal": terminal}
Kind = Callable[[Path], "contextmanager[Ends]"]


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """A descriptor to read from, and one to write to, of each kind."""
    with KINDS[request.param](tmp_path) as made:
        yield made


def rest_of(fd: int) -> bytes:
    """What stands in a descriptor."""
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 1000)
    except BlockingIOError:
        return b""


# -- what stands in them --------------------------------------------------------------------------


def test_close_leaves_what_is_unread_to_the_others(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    os.write(writing, b"first\n")
    assert sock.recv(6) == b"first\n"
    os.write(writing, b"second\n")
    sock.close()
    sock.wait("close", 1)
    os.write(writing, b"third\n")
    assert rest_of(reading).startswith(b"second\n")


def test_close_in_event_style_leaves_it_as_well(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    sock.once("data", lambda chunk: sock.close())
    os.write(writing, b"first\n")
    sock.wait("close", 1)
    os.write(writing, b"second\n")
    assert rest_of(reading) == b"second\n"


def test_the_end_of_a_with_statement_leaves_it_as_well(ends: Ends) -> None:
    reading, writing = ends
    os.write(writing, b"unread\n")
    with gnet.Socket(fd=os.dup(reading), writable=False):
        pass
    assert rest_of(reading) == b"unread\n"


def test_close_sends_what_is_queued_and_does_not_wait_for_more(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        source, sink = gnet.Socket(fd=os.dup(reading)), gnet.Socket(fd=os.dup(writing))
        with closing(source):
            sink.write(LARGE)
            sink.close()
            got = b""
            while len(got) < len(LARGE):
                got += source.recv()
            assert got == LARGE
            sink.wait("close", 1)


def test_a_terminal_that_is_written_to_closes_behind_its_last_byte(tmp_path: Path) -> None:
    with terminal(tmp_path) as (slave, master):
        sock = gnet.Socket(fd=os.dup(slave))
        sock.write(b"prompt> ")
        sock.close()
        sock.wait("close", 1)
        assert rest_of(master) == b"prompt> "
        os.write(master, b"ls -l\n")
        assert rest_of(slave) == b"ls -l\n"


TAKE = """
import os, sys
while data := os.read(0, 60):
    os.write(1, data)
"""


@pytest.mark.parametrize("names", ["named", "nameless"])
def test_who_sits_in_a_read_of_the_same_one_stops_nobody(
    ends: Ends, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes wakes both, and either may be second: all is taken, and the hub goes on."""
    if names == "nameless":
        monkeypatch.setattr(file, "_names", lambda fd, terminal: iter(()))
    reading, writing = ends
    taken = {"here": 0, "there": 0}

    def count(who: str, chunk: bytes) -> None:
        taken[who] += len(chunk)

    gevent.get_hub().threadpool.apply(int)
    running = threads.count()
    other = subprocess.Popen(python(TAKE), stdin=reading, stdout=subprocess.PIPE)
    theirs = gnet.Socket(fd=os.dup(other.stdout.fileno()))
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    sock.on("data", lambda chunk: count("here", chunk))
    theirs.on("data", lambda chunk: count("there", chunk))
    for _ in range(100):
        os.write(writing, b"line\n")
        gevent.sleep(0.001)
    with gevent.Timeout(5):
        while sum(taken.values()) < 500:
            gevent.sleep(0.01)
    assert not sock.destroyed
    assert sum(taken.values()) == 500
    other.kill()
    other.wait()
    other.stdout.close()
    theirs.destroy()
    sock.destroy()
    # What is caught in a read of a terminal's ends with that.
    os.write(writing, b"line\n")
    threads.wait_for_count(running)


# -- whether they block ---------------------------------------------------------------------------


def test_the_given_descriptor_blocks_all_the_while(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    with closing(sock):
        assert os.get_blocking(reading)
        assert os.get_blocking(sock.fileno())
        read = gevent.spawn(sock.recv, 6)
        gevent.sleep(0)
        os.write(writing, b"hello\n")
        assert read.get() == b"hello\n"
        assert os.get_blocking(reading)
    assert os.get_blocking(reading)


def test_a_writers_descriptor_blocks_all_the_while(tmp_path: Path) -> None:
    with pipe(tmp_path) as (_, writing):
        sock = gnet.Socket(fd=os.dup(writing))
        with closing(sock):
            sock.write(LARGE)
            assert sock.writable_length
            assert os.get_blocking(writing)


def test_one_that_does_not_block_is_left_so(ends: Ends) -> None:
    reading, writing = ends
    os.set_blocking(reading, False)
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    os.write(writing, b"hello\n")
    assert sock.recv(6) == b"hello\n"
    sock.destroy()
    assert not os.get_blocking(reading)


def test_detach_gives_the_descriptor_that_was_given(ends: Ends) -> None:
    reading, _ = ends
    fd = os.dup(reading)
    sock = gnet.Socket(fd=fd, writable=False)
    assert sock.fileno() == fd
    assert sock.detach() == fd
    assert os.get_blocking(fd)
    forks.close(fd)


@pytest.mark.parametrize("kind", ["pipe", "fifo"])
def test_the_end_of_a_pipe_is_met(kind: str, tmp_path: Path) -> None:
    with KINDS[kind](tmp_path) as (reading, writing):
        sock = gnet.Socket(fd=os.dup(reading), writable=False)
        with closing(sock):
            os.write(writing, b"last\n")
            forks.close(writing)
            assert b"".join(sock) == b"last\n"


def test_a_fifo_whose_writer_has_gone_before_is_at_its_end(tmp_path: Path) -> None:
    with fifo(tmp_path) as (reading, both):
        writing = os.open(tmp_path / "fifo", os.O_WRONLY)
        forks.close(both)
        forks.close(writing)
        sock = gnet.Socket(fd=os.dup(reading))
        sock.resume()
        sock.wait("end", 2)


def test_the_master_of_a_terminal_is_read_and_left_as_it_was(tmp_path: Path) -> None:
    """Its name would open another terminal."""
    with terminal(tmp_path) as (slave, master):
        sock = gnet.Socket(fd=os.dup(master))
        os.write(slave, b"output")
        assert sock.recv(6) == b"output"
        sock.sendall(b"input\n")
        assert os.read(slave, 100) == b"input\n"
        sock.destroy()
        assert os.get_blocking(master)


AT_EXIT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import gevent, gnet
from gnet._transport import file

if sys.argv[2] == "nameless":
    file._names = lambda fd, terminal: iter(())
sock = gnet.Socket(fd=0)
gevent.spawn(sock.recv)
gevent.sleep(0)
assert os.get_blocking(0)
"""


@pytest.mark.parametrize("how", ["named", "nameless"])
def test_a_program_that_ends_leaves_its_standard_input_blocking(how: str, tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, _):
        assert subprocess.run(python(AT_EXIT, ROOT, how), stdin=reading).returncode == 0
        assert os.get_blocking(reading)


IN_A_CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import gevent, gnet

sock = gnet.Socket(fd=0)
child = os.fork()
if not child:
    assert sock.fileno() == -1
    assert os.get_blocking(0)
    os.write(1, os.read(0, 6))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert sock.recv(7) == b"parent\\n"
sock.destroy()
"""


def test_a_forked_child_has_the_standard_input_as_it_was(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        os.write(writing, b"child\nparent\n")
        outcome = subprocess.run(
            python(IN_A_CHILD, ROOT), stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert outcome.stderr == b""
        assert outcome.stdout == b"child\n"


# -- what another process has read ----------------------------------------------------------------


@pytest.mark.parametrize("flowing", [False, True])
def test_what_another_has_read_is_no_end(ends: Ends, flowing: bool) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading))
    seen: list[object] = []
    sock.on("end", lambda: seen.append("end"))
    with closing(sock):
        gevent.sleep(0)
        os.write(writing, b"another's\n")
        assert os.read(reading, 100) == b"another's\n"
        # As the loop calls it that has seen the bytes, and finds none any more.
        with pytest.raises(BlockingIOError):
            sock._wire.at_end()  # type: ignore[union-attr]
        sock._on_unread()
        if flowing:
            sock.on("data", seen.append)
            sock._serve()
        gevent.sleep(0.001)
        assert sock.readable
        assert seen == []
        os.write(writing, b"ours\n")
        if flowing:
            while not seen:
                gevent.sleep(0.001)
        else:
            seen.append(sock.recv(100))
        assert seen == [b"ours\n"]


@pytest.mark.parametrize("kind", ["pipe", "fifo", "terminal", "typed", "master"])
def test_an_end_that_nobody_reads_is_one(kind: str, tmp_path: Path) -> None:
    if kind in ("pipe", "fifo"):
        reading, writing = os.pipe()
        if kind == "fifo":
            forks.close(reading)
            forks.close(writing)
            os.mkfifo(tmp_path / "fifo")
            reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
            writing = os.open(tmp_path / "fifo", os.O_WRONLY)
    else:
        writing, reading = pty.openpty()
        if kind == "master":
            reading, writing = writing, reading
    sock = gnet.Socket(fd=reading)
    with closing(sock), closing_fds(writing):
        gevent.sleep(0)
        assert sock.readable
        if kind == "typed":
            os.write(writing, b"\x04")
        else:
            forks.close(writing)
        sock.wait("end", 5)
        assert not sock.readable


def test_what_stands_before_an_end_that_nobody_reads_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    sock = gnet.Socket(fd=reading)
    with closing(sock):
        gevent.sleep(0)
        os.write(writing, b"last words")
        forks.close(writing)
        gevent.sleep(0.001)
        assert sock.recv() == b"last words"
        assert sock.recv() == b""
