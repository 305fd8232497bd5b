"""Descriptors that cannot be opened anew, and block: pipes, FIFOs and terminals without a name."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
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
import tty

from gnet._transport import blocking_file, file, file_thread
from gnet._transport.stream_socket import is_libuv
from tests.net.processes.test_shared_descriptors import (
    KINDS,
    LARGE,
    Ends,
    closing_fds,
    pipe,
    rest_of,
)

ROOT = str(Path(__file__).parents[3])


@pytest.fixture(autouse=True)
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be opened anew: the pipe of another user, a system without ``/proc``."""
    monkeypatch.setattr(file, "_names", lambda fd, terminal: iter(()))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    # gevent's pool has its own.
    gevent.get_hub().threadpool.apply(int)
    before = threads.count()
    yield
    threads.wait_for_count(before)


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """A descriptor to read from, and one to write to, of each kind."""
    with KINDS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def raw_terminal() -> Iterator[Ends]:
    """A terminal that gives what is written as it comes: its slave, its master."""
    master, slave = pty.openpty()
    with closing_fds(master, slave):
        tty.setraw(slave)
        yield slave, master


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# -- reading --------------------------------------------------------------------------------------

READS: dict[str, Callable[[gnet.Socket], bytes]] = {
    "recv": lambda sock: sock.recv(6),
    "recv_into": lambda sock: (b := bytearray(6)) and bytes(b[: sock.recv_into(b)]),
    "makefile": lambda sock: sock.makefile("rb").readline(),
    "iteration": lambda sock: next(iter(sock)),
    "data": lambda sock: sock.wait("data")[0],
}


@pytest.mark.parametrize("how", READS)
def test_a_read_waits_and_the_descriptor_blocks_all_the_while(ends: Ends, how: str) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    with closing(sock):
        for message in b"first\n", b"other\n":
            read = gevent.spawn(READS[how], sock)
            gevent.sleep(0)
            assert os.get_blocking(reading)
            os.write(writing, message)
            assert read.get() == message
        assert os.get_blocking(reading)
    assert os.get_blocking(reading)


def test_what_is_more_than_was_asked_for_comes_next(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    with closing(sock):
        os.write(writing, b"some bytes\n")
        assert sock.recv(4) == b"some"
        assert rest_of(reading) == b" bytes\n"
        os.set_blocking(reading, True)


def test_a_callback_with_a_small_buffer_gets_all_of_it(tmp_path: Path) -> None:
    got = bytearray()
    with pipe(tmp_path) as (reading, writing):
        onread = gnet.OnRead(bytearray(3), lambda size, buffer: got.extend(buffer[:size]))
        sock = gnet.Socket(fd=os.dup(reading), onread=onread)
        with closing(sock):
            os.write(writing, bytes(range(100)))
            forks.close(writing)
            sock.wait("end", 5)
            assert got == bytes(range(100))


def test_nobody_reads_what_nobody_wants(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    os.write(writing, b"unread\n")
    with closing(sock):
        gevent.sleep(0.01)
    assert rest_of(reading) == b"unread\n"


@pytest.mark.parametrize("end", ["close", "destroy", "detach"])
def test_a_reader_that_waits_takes_nothing_when_it_is_closed(ends: Ends, end: str) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    sock.on("data", lambda chunk: None)
    gevent.sleep(0.01)
    fd = getattr(sock, end)()
    if end == "detach":
        forks.close(fd)
    sock.wait("close", 1)
    os.write(writing, b"for others\n")
    assert rest_of(reading) == b"for others\n"


def test_a_call_that_must_not_wait_raises(ends: Ends) -> None:
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    with closing(sock):
        sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            sock.recv()
        os.write(writing, b"hello\n")
        received = b""
        while not received:
            # The thread that reads may be late, on a busy machine.
            with suppress(BlockingIOError):
                received = sock.recv()
            gevent.sleep(0)
        assert received == b"hello\n"


@pytest.mark.parametrize("kind", ["pipe", "fifo"])
def test_the_end_is_met_read_or_not(kind: str, tmp_path: Path) -> None:
    with KINDS[kind](tmp_path) as (reading, writing):
        sock = gnet.Socket(fd=os.dup(reading), writable=False)
        with closing(sock):
            os.write(writing, b"last\n")
            forks.close(writing)
            assert b"".join(sock) == b"last\n"
        # Not earlier: one that has seen bytes ahead of the end waits until somebody reads it.
        other = gnet.Socket(fd=os.dup(reading), writable=False)
        with closing(other):
            other.wait("end")


def test_a_terminal_whose_other_side_has_gone_is_at_its_end(raw_terminal: Ends) -> None:
    slave, master = raw_terminal
    sock = gnet.Socket(fd=os.dup(master))
    with closing(sock):
        os.write(slave, b"last words")
        forks.close(slave)
        assert b"".join(sock) == b"last words"


def test_one_that_another_process_was_faster_at_is_no_end(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller goes on, and has what comes next."""
    reading, writing = ends
    sock = gnet.Socket(fd=os.dup(reading), writable=False)
    with closing(sock), monkeypatch.context() as faster:
        # It was ready when it was looked at.
        faster.setattr(file_thread, "events_of", lambda fd, wanted: wanted)
        sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            sock.recv()
        with pytest.raises(BlockingIOError):
            sock.recv()
        sock.settimeout(None)
        reads = gevent.spawn(sock.recv, 2)
        gevent.sleep(0)
        os.write(writing, b"hello\n")
        assert reads.get() == b"he"
        faster.undo()
        assert sock.recv() == b"llo\n"


def test_nothing_there_is_no_end(ends: Ends) -> None:
    """Another process may have taken what the loop has seen."""
    wire = blocking_file.file_wire(os.dup(ends[0]))
    with pytest.raises(BlockingIOError):
        wire.at_end()
    os.write(ends[1], b"line\n")
    assert not wire.at_end()
    wire.close()


# -- writing --------------------------------------------------------------------------------------


def test_a_writers_descriptor_blocks_and_the_hub_does_not(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        source, sink = gnet.Socket(fd=os.dup(reading)), gnet.Socket(fd=os.dup(writing))
        with closing(source), closing(sink):
            sink.write(LARGE)
            assert sink.writable_length
            assert os.get_blocking(writing)
            got = source.recv()
            while len(got) < len(LARGE):
                got += source.recv()
            assert got == LARGE
            sink.sendall(b"and then")
            assert source.recv() == b"and then"


def test_close_sends_what_is_queued(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        source, sink = gnet.Socket(fd=os.dup(reading)), gnet.Socket(fd=os.dup(writing))
        forks.close(writing)
        with closing(source):
            sink.write(LARGE)
            sink.close()
            assert b"".join(source) == LARGE


def test_a_reader_that_has_gone_is_an_error(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        sink = gnet.Socket(fd=os.dup(writing))
        sink.write(LARGE)
        forks.close(reading)
        with pytest.raises(BrokenPipeError):
            sink.wait("drain", 2)
        sink.wait("close", 1)


def test_a_terminals_both_sides_carry_all(raw_terminal: Ends) -> None:
    slave, master = raw_terminal
    there, here = gnet.Socket(fd=os.dup(slave)), gnet.Socket(fd=os.dup(master))
    with closing(there), closing(here):
        for one, other in (there, here), (here, there):
            sending = gevent.spawn(one.sendall, LARGE[:100_000])
            assert other.makefile("rb").read(100_000) == LARGE[:100_000]
            sending.get()
        assert os.get_blocking(master)
        assert os.get_blocking(slave)


def test_a_write_that_is_caught_in_its_thread_ends_there(
    raw_terminal: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ready, but not for all: what follows waits for it, and nothing is torn."""
    slave, master = raw_terminal
    monkeypatch.setattr(blocking_file, "WRITE_BYTES", len(LARGE))
    sock = gnet.Socket(fd=os.dup(slave))
    with closing(sock):
        sock.write(LARGE)
        sock.write(b"behind it")
        assert sock.writable_length == len(b"behind it")
        got = b""
        reader = gnet.Socket(fd=os.dup(master), writable=False)
        with closing(reader):
            while len(got) < len(LARGE) + 9:
                got += reader.recv()
        assert got == LARGE + b"behind it"


# -- what it costs --------------------------------------------------------------------------------


def test_many_idle_ones_leave_gevents_pool_alone(tmp_path: Path) -> None:
    terminals = [pty.openpty() for _ in range(20)]
    with closing_fds(*(fd for pair in terminals for fd in pair)):
        socks = [gnet.Socket(fd=os.dup(slave)) for _, slave in terminals]
        reads = [gevent.spawn(sock.recv) for sock in socks]
        gevent.sleep(0)
        assert gevent.get_hub().threadpool.apply(lambda: "free") == "free"
        for master, _ in terminals:
            os.write(master, b"line\n")
        assert [read.get() for read in reads] == [b"line\n"] * 20
        for sock in socks:
            sock.destroy()


@pytest.mark.parametrize("state", ["unread", "read", "listener that blocks", "paused", "hung up"])
def test_no_state_uses_processor_time(tmp_path: Path, state: str) -> None:
    with pipe(tmp_path) as (reading, writing):
        sock = gnet.Socket(fd=os.dup(reading), allow_half_open=True)
        with closing(sock):
            reads = None
            if state == "read":
                reads = gevent.spawn(sock.recv)
            elif state == "listener that blocks":
                sock.on("data", lambda chunk: gevent.sleep(0.5))
            elif state == "paused":
                sock.on("data", lambda chunk: None)
                sock.pause()
            if state != "read":
                os.write(writing, b"first")
                gevent.sleep(0.05)
                os.write(writing, b"second")
            if state == "hung up":
                forks.close(writing)
            before = processor_seconds()
            gevent.sleep(0.3)
            assert processor_seconds() - before < 0.1
            if reads is not None:
                reads.kill()


# -- processes ------------------------------------------------------------------------------------

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "patched":
    from gevent import monkey
    monkey.patch_all()
import gevent, gnet
from gnet._transport import file

file._names = lambda fd, terminal: iter(())
"""

IN_A_CHILD = (
    SCRIPT
    + """
sock = gnet.Socket(fd=0)
reads = gevent.spawn(sock.recv, 7)
gevent.sleep(0.01)
child = os.fork()
if not child:
    assert sock.fileno() == -1
    assert os.get_blocking(0)
    os.write(1, b"in the child\\n")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(reads.get().decode(), flush=True)
sock.destroy()
"""
)


@pytest.mark.parametrize("form", ["patched", "plain"])
def test_a_forked_child_has_no_thread_and_harms_none(form: str, tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, writing):
        child = subprocess.Popen(
            python(IN_A_CHILD, ROOT, form),
            stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout.readline() == b"in the child\n"
        os.write(writing, b"parent\n")
        output, complaints = child.communicate()
        assert (output, complaints, child.returncode) == (b"parent\n\n", b"", 0)
        assert os.get_blocking(reading)


LAST_WORDS = (
    SCRIPT
    + """
from gnet._transport import file_thread
file_thread.HANDOVER_SECONDS = float(sys.argv[3])
sock = gnet.Socket(fd=1)
sock.write(b"x" * 300_000)
idle = gnet.Socket(fd=0)
idle.on("data", print)
idle.unref()
gevent.sleep(0.01)
"""
)


@pytest.mark.limit(40)
@pytest.mark.parametrize("handover", ["1", "0"], ids=["at once", "late"])
@pytest.mark.parametrize("form", ["patched", "plain"])
def test_a_program_that_ends_has_written_all_and_takes_nothing(
    form: str, handover: str, tmp_path: Path
) -> None:
    with pipe(tmp_path) as (reading, writing):
        outcome = subprocess.run(
            python(LAST_WORDS, ROOT, form, handover),
            stdin=reading, stdout=subprocess.PIPE, timeout=30,
        )  # fmt: skip
        assert outcome.returncode == 0
        assert outcome.stdout == b"x" * 300_000
        os.write(writing, b"for others\n")
        assert rest_of(reading) == b"for others\n"


@pytest.mark.limit(40)
def test_a_signal_stops_a_program_that_waits(tmp_path: Path) -> None:
    with pipe(tmp_path) as (reading, _):
        child = subprocess.Popen(
            python(SCRIPT + "print(flush=True); gnet.Socket(fd=0).recv()", ROOT, "plain"),
            stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        if is_libuv(gevent.get_hub().loop):
            # gevent loses what a signal's handler raises in the first line of its callback.
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        _, complaints = child.communicate(timeout=10)
        assert b"KeyboardInterrupt" in complaints
        assert os.get_blocking(reading)
