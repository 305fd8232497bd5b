"""Random programs on one socket that is dialled again and again, against a model.

The socket is read in every way there is, in and out of its own listeners; it is piped, paused,
corked and written to, while its peers send, end, reset and stall; and it dials again when it has
closed, in a ``'close'`` listener, or in a listener of the former connection that still runs. The
model is a list of connections, each with its bytes in either direction: nothing is lost, comes
twice or out of order, or belongs to another connection; each event comes as often as it may, and
in its order; every callback comes once; nothing hangs, and nothing spins.

``GNET_REDIAL_PROGRAMS`` sets how many programs are run, of some 30 operations each. A million::

    GNET_REDIAL_PROGRAMS=34000 pytest -s tests/net/test_one_object_model.py
"""

from __future__ import annotations

import io
import os
import socket as std_socket
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, ClassVar

import gevent
import gevent.os
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import gnet

PROGRAMS = int(os.environ.get("GNET_REDIAL_PROGRAMS", "100"))
STEPS = 50
# Programs in one search of hypothesis, which remembers every one of them.
SEARCH = 250
# Seconds for one operation, and for the end of a program: none of them comes near.
LIMIT = 10
# How long a read waits for what may never come.
MOMENT = 0.001
# ASCII, so that it is the same in UTF-8, which is what a pipe makes of text.
PERIOD = bytes(number * 31 % 127 for number in range(127))
TABLE = PERIOD * 8000

sizes = st.sampled_from([1, 3, 1000, 1001, 65536, 300_001])
choices = st.integers(0, 59)


def numbered(number: int, begin: int, size: int) -> bytes:
    """Bytes ``begin`` to ``begin + size`` of a stream; no two streams look alike."""
    first = (number * 53 + begin) % len(PERIOD)
    return TABLE[first : first + size]


def turns(count: int) -> None:
    """Have the loop look for events so many times, and run what is ready."""
    hub = gevent.get_hub()
    for _ in range(count):
        with hub.loop.timer(0) as now:
            hub.wait(now)


class Link:
    """One of the connections, as it should be; and its peer, a plain socket."""

    def __init__(self, number: int, unix: bool, directory: str, faults: list[str]) -> None:
        self.number = number
        self.faults = faults
        self.unix = unix
        if unix:
            path = os.path.join(directory, str(number))
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.target: tuple[Any, ...] = (path,)
        else:
            self.listener = socket.socket(socket.AF_INET)
            self.listener.bind(("127.0.0.1", 0))
            self.target = (self.listener.getsockname()[1], "127.0.0.1")
        self.listener.listen(1)
        # What the peer sends, and how much of that somebody has had.
        self.given = bytearray()
        self.position = 0
        # What the socket has been told to send, and what the peer has got of it.
        self.sent = bytearray()
        self.got = bytearray()
        self.peer: Any = None
        self.peer_ends = False
        self.broken = False
        self.dropped = False
        self.given_up = False
        self.closed = False
        self.saw_end = False
        # Whether a listener of its data runs.
        self.serving = False
        self.events: Counter[str] = Counter()
        self.callbacks: list[list[Any]] = []
        self.reading = Event()
        self.reading.set()
        self._outbox: Queue[bytes | None] = Queue()
        self.greenlets = [gevent.spawn(self._accept)]

    def give(self, size: int) -> None:
        """Have the peer send."""
        data = numbered(2 * self.number, len(self.given), size)
        self.given += data
        self._outbox.put(data)

    def give_end(self) -> None:
        self.peer_ends = True
        self._outbox.put(None)

    def next(self, size: int) -> bytes:
        """The next bytes for the peer."""
        data = numbered(2 * self.number + 1, len(self.sent), size)
        self.sent += data
        return data

    def reset(self) -> None:
        """Have the peer close with all that it has, abruptly where the transport can."""
        self.broken = True
        if self.peer is not None:
            if not self.unix:
                linger = struct.pack("ii", 1, 0)
                self.peer.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_LINGER, linger)
            self.stop()

    def stop(self) -> None:
        gevent.killall(self.greenlets)
        self.listener.close()
        if self.peer is not None:
            self.peer.close()

    def _accept(self) -> None:
        peer, _ = self.listener.accept()
        self.listener.close()
        self.peer = peer
        self.greenlets += [gevent.spawn(self._read), gevent.spawn(self._write)]
        if self.broken:
            gevent.spawn(self.reset)

    def _read(self) -> None:
        try:
            while True:
                self.reading.wait()
                data = self.peer.recv(1 << 18)
                if not data:
                    self.saw_end = True
                    return
                begin = len(self.got)
                self.got += data
                if self.sent[begin : len(self.got)] != data:
                    self.faults.append("the peer got something else")
        except OSError:
            self.saw_end = True

    def _write(self) -> None:
        try:
            for data in self._outbox:
                if data is None:
                    self.peer.shutdown(std_socket.SHUT_WR)
                    return
                self.peer.sendall(data)
        except OSError:
            # The socket was destroyed with something unread.
            pass


class Sink:
    """The destination of a pipe."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.expected = bytearray()
        # Whether the last chunk may have been on its way to it when it was taken off.
        self.cut = False
        self.over = False
        self.to: Any = None

    def end(self) -> None:
        self.over = True
        self.to.end()

    def finish(self) -> None:
        """Wait until everything has arrived."""

    def check(self) -> None:
        got = self.got
        assert self.expected.startswith(got) if self.cut else self.expected == got, (
            f"{type(self).__name__} got {len(got)} of {len(self.expected)} bytes, or others"
        )


class SocketSink(Sink):
    """A socket of gnet's, with a plain one at its other end."""

    def __init__(self) -> None:
        super().__init__()
        here, there = std_socket.socketpair()
        self.to = gnet.Socket(handle=here, allow_half_open=True)
        self.to.on("error", lambda error: None)
        self._there = socket.socket(fileno=there.detach())
        self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        with self._there:
            while data := self._there.recv(1 << 18):
                self.got += data

    def finish(self) -> None:
        self.to.end()
        self._reader.join()
        self.to.destroy()


class PipeSink(Sink):
    """The writing end of a raw pipe."""

    def __init__(self) -> None:
        super().__init__()
        self._there, here = os.pipe()
        gevent.os.make_nonblocking(self._there)
        self.to = gnet.Socket(fd=here)
        self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        while data := gevent.os.nb_read(self._there, 1 << 18):
            self.got += data
        std_socket.close(self._there)

    def finish(self) -> None:
        self.to.end()
        self._reader.join()
        self.to.destroy()


class RawFile(io.RawIOBase):
    """A file that takes a part, or for the moment nothing."""

    def __init__(self, got: bytearray) -> None:
        self._got = got
        self._calls = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        self._calls += 1
        if self._calls % 50 == 0:
            return None
        part = bytes(data[:50_000])
        self._got += part
        return len(part)


class FileSink(Sink):
    """A raw file."""

    def __init__(self) -> None:
        super().__init__()
        self.to = RawFile(self.got)

    def end(self) -> None:
        """A file has no end of its own."""


def operation(**arguments: st.SearchStrategy[Any]) -> Callable[..., Any]:
    """A rule. One that finds nothing to do says so, and is not counted."""

    def decorate(act: Callable[..., object]) -> Any:
        @wraps(act)
        def counted(self: OneObject, **drawn: Any) -> None:
            self.keep_account()
            with gevent.Timeout(LIMIT, AssertionError("it hangs")):
                if act(self, **drawn) is not False:
                    self.done[act.__name__] += 1
            self.keep_account()

        return rule(**arguments)(counted)

    return decorate


READS: list[Callable[[gnet.Socket, int], bytes]] = []


def read(function: Callable[[gnet.Socket, int], bytes]) -> Any:
    READS.append(function)
    return function


@read
def recv(sock: gnet.Socket, size: int) -> bytes:
    return sock.recv(size)


@read
def recv_into(sock: gnet.Socket, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: sock.recv_into(buffer)])


@read
def recv_all(sock: gnet.Socket, size: int) -> bytes:
    return sock.recv(size, std_socket.MSG_WAITALL)


@read
def recvmsg(sock: gnet.Socket, size: int) -> bytes:
    return sock.recvmsg(size)[0]


@read
def read_line(sock: gnet.Socket, size: int) -> bytes:
    with sock.makefile("rb") as file:
        return bytes(file.readline(size))


@read
def read_file(sock: gnet.Socket, size: int) -> bytes:
    with sock.makefile("rb") as file:
        return bytes(file.read(size))


@read
def read_unbuffered(sock: gnet.Socket, size: int) -> bytes:
    with sock.makefile("rb", 0) as file:
        return bytes(file.readline(min(size, 1000)))


@read
def iterate(sock: gnet.Socket, size: int) -> bytes:
    return next(iter(sock), b"")


class OneObject(RuleBasedStateMachine):
    """One socket, and what is done to it."""

    #: What has been done, in all programs.
    done: ClassVar[Counter[str]] = Counter()
    #: What the hub has reported: nothing, as somebody listens to every error.
    reported: ClassVar[list[BaseException]] = []

    sock: gnet.Socket

    @initialize(unix=st.booleans(), half_open=st.booleans(), flowing=st.booleans())
    def begin(self, unix: bool, half_open: bool, flowing: bool) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="gnet-")
        self.unix = unix
        self.links: list[Link] = []
        self.sinks: list[Sink] = []
        # The sink that the socket is piped to, and from which position on.
        self.sink: Sink | None = None
        self.sink_from = 0
        self.faults: list[str] = []
        self.gate = Event()
        # What listeners do: a number each, which is looked at when they are called.
        self.data_mood = self.end_mood = self.close_mood = 0
        # Whether a read is under way, in whatever greenlet.
        self.reader: object = None
        self.read_from = 0
        # Whether bytes may have gone where the model does not see them: a pipe, or nobody.
        self.unseen = False
        self.calls: list[gevent.Greenlet[..., Any]] = []
        self.sock = sock = gnet.Socket(allow_half_open=half_open)
        self.half_open = half_open
        sock.on("end", self._ended)
        sock.on("finish", self._finished)
        sock.on("error", self._failed)
        sock.on("close", self._closed)
        self.dial()
        if flowing:
            sock.on("data", self._data)

    # -- the account

    @property
    def link(self) -> Link:
        return self.links[-1]

    def expect(self, holds: object, text: str) -> None:
        """Note a fault; an exception might end in somebody else's hands."""
        if not holds:
            self.faults.append(text)

    def position(self) -> int:
        """How many of the connection's bytes somebody has had."""
        sock = self.sock
        undecoded = sock._decoder.getstate()[0] if sock._decoder is not None else b""
        return sock.bytes_read - len(sock._ahead or b"") - len(undecoded)

    def passed_on(self) -> int:
        """How many of them nobody has in his hands who may yet give them back."""
        return self.position() if self.reader is None else self.read_from

    def keep_account(self) -> None:
        """Whatever was read, the model knows who has had it."""
        link = self.link
        position = self.position()
        self.expect(position <= len(link.given), "more came than was sent")
        if self.unseen:
            # What a read has in its hands it may give back to a listener, when its time is over.
            link.position = self.passed_on()
        elif self.reader is None and not link.serving:
            self.expect(link.position == position, "bytes went to nobody")
        self.look_who_gets_it()

    def look_who_gets_it(self) -> None:
        seen = self.sock.listener_count("data", self._data)
        self.unseen = not seen and bool(self.sock._flow or self.sock._pipes)

    def took(self, link: Link, data: bytes, by_call: bool = False) -> None:
        """Somebody has got ``data``."""
        if link is not self.link:
            self.expect(False, "a former connection's data came")
            return
        position = self.position()
        begin = position - len(data)
        if self.unseen:
            link.position = begin
            self.unseen = False
        self.expect(begin == link.position, f"came at {begin}, not at {link.position}")
        self.expect(link.given[begin:position] == data, "came changed")
        link.position = position
        if by_call and self.sink is not None:
            self.sink.expected += link.given[self.sink_from : begin]
            self.sink_from = position
        self.look_who_gets_it()

    def leave_sink(self) -> None:
        """The pipe is off, or about to be: what was read until now has gone into it."""
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.expected += self.link.given[self.sink_from : self.passed_on()]
            sink.cut |= self.link.serving

    # -- what the socket emits

    def _data(self, chunk: bytes | str) -> None:
        link = self.link
        self.expect(not link.serving, "two chunks at once")
        self.expect(not link.events["end"], "data behind the end")
        self.expect(not link.events["close"], "data behind 'close'")
        link.serving = True
        try:
            self.took(link, self.encoded(link, chunk))
            self._in_data(link)
        finally:
            link.serving = False

    def encoded(self, link: Link, chunk: bytes | str) -> bytes:
        if isinstance(chunk, bytes):
            return chunk
        if not chunk.endswith("\ufffd"):
            return chunk.encode(self.encoding or "latin-1")
        # Half a character, with which the stream ends.
        return chunk[:-1].encode(self.encoding or "latin-1") + link.given[-1:]

    encoding: str | None = None

    def _in_data(self, link: Link) -> None:
        sock = self.sock
        mood, more = divmod(self.data_mood, 10)
        if mood == 1:
            self.read_a_moment(link, more)
        elif mood == 2:
            sock.pause()
            self.read_a_moment(link, more)
            if self.link is link:
                sock.resume()
                # Somebody may have taken this listener off meanwhile.
                before = self.unseen
                self.look_who_gets_it()
                self.unseen |= before
        elif mood == 3 and not sock._pipes:
            sock.off("data", self._data)
            self.read_a_moment(link, more)
            if not sock.listener_count("data", self._data):
                sock.on("data", self._data)
        elif mood == 4:
            if more % 2:
                sock.pause()
            self.gate.wait()
        elif mood == 5:
            self.data_mood = 0
            if more == 0:
                raise ZeroDivisionError
            if more == 1:
                sock.sendall(self.words(link))
            elif more == 2:
                sock.end(self.words(link))
            elif more < 5:
                sock.pause()
            else:
                self.redial(link)

    def _ended(self) -> None:
        link = self.link
        link.events["end"] += 1
        self.expect(link.events["end"] == 1, "'end' twice")
        self.expect(not link.serving, "'end' while 'data' runs")
        self.expect(not link.closed, "'end' behind 'close'")
        self.expect(link.peer_ends or link.broken, "'end' without an end")
        if not link.broken:
            self.expect(self.position() == len(link.given), "'end' ahead of data")
        self.leave_sink()
        mood = self.end_mood
        if mood == 1:
            self.gate.wait()
        elif mood == 2:
            self.end_mood = 0
            self.redial(link)
        elif mood == 3:
            self.sock.write(self.words(link))

    def _finished(self) -> None:
        link = self.link
        link.events["finish"] += 1
        self.expect(link.events["finish"] == 1, "'finish' twice")
        self.expect(not link.closed, "'finish' behind 'close'")

    def _failed(self, error: BaseException) -> None:
        link = self.link
        link.events["error"] += 1
        self.expect(link.events["error"] == 1, "'error' twice")
        self.expect(not link.closed, "'error' behind 'close'")
        own = isinstance(error, (OSError, ZeroDivisionError))
        self.expect(own, f"an unexpected error: {error!r}")

    def _closed(self, had_error: bool) -> None:
        link = self.link
        link.events["close"] += 1
        self.expect(link.events["close"] == 1, "'close' twice")
        self.expect(had_error == bool(link.events["error"]), "'close' says otherwise than 'error'")
        self.expect(all(len(calls) == 1 for calls in link.callbacks), "a callback did not come")
        self.leave_sink()
        link.closed = True
        mood = self.close_mood
        if mood in (1, 2):
            self.dial()
        if mood in (2, 3):
            self.gate.wait()

    # -- what listeners and operations have in common

    def words(self, link: Link) -> bytes:
        """Something to write, if that can be written."""
        return link.next(100) if self.sock.writable and self.link is link else b""

    def dial(self) -> None:
        link = Link(len(self.links), self.unix, self.directory.name, self.faults)
        self.links.append(link)
        self.sock.connect(*link.target)
        self.look_who_gets_it()

    def redial(self, link: Link) -> None:
        """In a listener that still runs."""
        if self.link is not link:
            return
        link.dropped = True
        self.leave_sink()
        self.sock.destroy()
        if not link.closed:
            self.sock.wait("close")
        if self.link is link:
            self.dial()

    def read_a_moment(self, link: Link, number: int, size: int = 1000) -> None:
        """Read, if there is something and nobody else does."""
        if self.reader is not None or self.link is not link:
            return
        self.reader = me = object()
        self.read_from = self.position()
        try:
            with gevent.Timeout(MOMENT, False):
                data = READS[number % len(READS)](self.sock, size)
                self.took(link, data, by_call=True)
        except (OSError, ZeroDivisionError):
            # Its connection is over, by a listener's exception perhaps, or has never been made.
            pass
        except RuntimeError as exc:
            self.expect(getattr(exc, "code", "") == "ERR_SOCKET_FLOWING", repr(exc))
            self.expect(self.sock._flow, "it does not flow")
        finally:
            if self.reader is me:
                self.reader = None

    # -- what the peer does

    @operation(size=sizes)
    def peer_sends(self, size: int) -> Any:
        if self.link.peer_ends or self.link.broken:
            return False
        self.link.give(size)
        gevent.sleep(0)

    @operation(size=sizes)
    def peer_sends_and_it_arrives(self, size: int) -> Any:
        if self.link.peer_ends or self.link.broken:
            return False
        self.link.give(size)
        turns(3)

    @operation()
    def peer_ends(self) -> Any:
        if self.link.peer_ends or self.link.broken:
            return False
        self.link.give_end()
        turns(1)

    @operation(choice=choices)
    def peer_resets(self, choice: int) -> Any:
        if self.link.broken or choice % 3:
            return False
        self.link.reset()

    @operation()
    def peer_stalls(self) -> None:
        self.link.reading.clear()

    @operation()
    def peer_reads_again(self) -> None:
        self.link.reading.set()
        turns(1)

    # -- reading

    @operation(once=st.booleans(), first=st.booleans())
    def listen(self, once: bool, first: bool) -> Any:
        sock = self.sock
        if sock.listener_count("data", self._data):
            return False
        add = {
            (False, False): sock.on,
            (True, False): sock.once,
            (False, True): sock.prepend_listener,
            (True, True): sock.prepend_once_listener,
        }[once, first]
        add("data", self._data)

    @operation()
    def listen_no_more(self) -> None:
        self.sock.off("data", self._data)

    @operation(mood=choices)
    def change_what_data_does(self, mood: int) -> None:
        self.data_mood = mood

    @operation(mood=st.integers(0, 3))
    def change_what_end_does(self, mood: int) -> None:
        self.end_mood = mood

    @operation(mood=st.integers(0, 3))
    def change_what_close_does(self, mood: int) -> None:
        self.close_mood = mood

    @operation()
    def release_listeners(self) -> None:
        gate, self.gate = self.gate, Event()
        gate.set()
        turns(1)

    @operation()
    def pause(self) -> None:
        self.sock.pause()

    @operation()
    def resume(self) -> None:
        self.sock.resume()

    @operation(encoding=st.sampled_from([None, "latin-1", "utf-16-le"]))
    def encode(self, encoding: str | None) -> Any:
        if self.sink is not None and (encoding == "utf-16-le" or isinstance(self.sink, FileSink)):
            # They would get other bytes, or a str.
            return False
        self.sock.set_encoding(encoding)
        self.encoding = encoding

    @operation(choice=choices, size=sizes)
    def read(self, choice: int, size: int) -> None:
        self.read_a_moment(self.link, choice, size)

    # -- pipes

    @operation(choice=choices)
    def pipe(self, choice: int) -> Any:
        if self.sink is not None or self.sock._pipes or self.link.closed:
            return False
        if self.encoding is not None:
            self.sock.set_encoding(None)
            self.encoding = None
        free = [sink for sink in self.sinks if isinstance(sink, SocketSink) and not sink.over]
        if free and choice % 2:
            sink = free[choice % len(free)]
        else:
            sink = [SocketSink, SocketSink, PipeSink, FileSink][choice % 4]()
            self.sinks.append(sink)
        over = self.sock.readable_ended or self.sock.destroyed
        if over and self.reader is not None:
            return False
        position = self.passed_on()
        if not over:
            self.sink, self.sink_from = sink, position
        else:
            # What a file has read ahead of the end goes there.
            sink.expected += self.link.given[position : self.sock.bytes_read]
        self.sock.pipe(sink.to, end=False)
        if over:
            self.link.position = self.position()

    @operation()
    def unpipe(self) -> None:
        self.leave_sink()
        self.sock.unpipe()

    @operation()
    def the_sink_ends(self) -> Any:
        sink = self.sink
        if sink is None or isinstance(sink, FileSink):
            return False
        self.leave_sink()
        sink.end()

    # -- writing

    def _may_write(self) -> bool:
        return self.sock.writable and not self.link.given_up

    @operation(size=sizes)
    def write(self, size: int) -> Any:
        if not self._may_write():
            return False
        calls: list[Any] = []
        self.link.callbacks.append(calls)
        self.sock.write(self.link.next(size), calls.append)

    @operation(size=sizes)
    def sendall(self, size: int) -> Any:
        if not self._may_write():
            return False
        self.calls.append(gevent.spawn(self._sendall, size))
        gevent.sleep(0)

    def _sendall(self, size: int) -> None:
        if not self._may_write():
            return
        # Its connection may end.
        with suppress(OSError, ZeroDivisionError):
            self.sock.sendall(self.link.next(size))

    @operation()
    def interrupt_sendall(self) -> Any:
        waiting = [each for each in self.calls if not each.ready()]
        if not waiting:
            return False
        waiting[0].kill()

    @operation()
    def cork(self) -> None:
        self.sock.cork()

    @operation()
    def uncork(self) -> None:
        self.sock.uncork()

    @operation()
    def end(self) -> Any:
        if not self._may_write():
            return False
        calls: list[Any] = []
        self.link.callbacks.append(calls)
        self.sock.end(calls.append)

    # -- the connection

    @operation(choice=choices)
    def drop(self, choice: int) -> Any:
        link = self.link
        if link.closed or choice % 2:
            return False
        link.dropped = True
        self.leave_sink()
        if choice % 4 and not self.unix:
            self.sock.reset_and_destroy()
        else:
            self.sock.destroy()

    @operation(choice=choices)
    def close(self, choice: int) -> Any:
        if self.link.closed or self.link.given_up or choice % 2:
            return False
        link = self.link
        link.given_up = True
        self.leave_sink()
        self.sock.close()
        link.reading.set()
        if not link.peer_ends:
            link.give_end()

    @operation(wait=st.booleans())
    def dial_again(self, wait: bool) -> Any:
        if not self.link.closed:
            return False
        self.dial()
        if wait:
            self.sock.wait("connect")

    @operation()
    def turn(self) -> None:
        turns(1)

    @operation()
    def some_turns(self) -> None:
        turns(5)

    # -- what must hold

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not getattr(self, "faults", ())
        reported, self.reported[:] = self.reported[:], []
        assert not reported, f"the hub has reported {reported!r}"

    def rest(self) -> None:
        """Wait until the loop finds nothing more to do for the socket."""
        for _ in range(200):
            if self._times_fired() <= 1:
                return
        raise AssertionError("the socket does not come to rest")

    def _times_fired(self) -> int:
        sock = self.sock
        watchers = [sock._read_watcher] if sock._watching else []
        if sock._write_watcher is not None and sock._outbox:
            watchers.append(sock._write_watcher)
        fired: list[Any] = []
        undo = []
        for watcher in watchers:
            callback = watcher.callback

            def fire(*args: Any, callback: Any = callback) -> None:
                fired.append(args)
                callback(*args)

            watcher.callback = fire
            undo.append((watcher, fire, callback))
        turns(5)
        for watcher, fire, callback in undo:
            if watcher.callback is fire:
                watcher.callback = callback
        return len(fired)

    def teardown(self) -> None:
        if not hasattr(self, "sock"):
            return
        try:
            with gevent.Timeout(LIMIT, AssertionError("it hangs")):
                self._run_out()
        finally:
            for link in self.links:
                link.stop()
            for sink in self.sinks:
                if isinstance(sink.to, gnet.Socket):
                    sink.to.destroy()
            self.sock.destroy()
            gevent.killall(self.calls)
            self.gate.set()
            self.directory.cleanup()
            turns(1)

    def _run_out(self) -> None:
        """Let everything come to its end, and compare."""
        self.keep_account()
        self.rest()
        self.data_mood = self.end_mood = self.close_mood = 0
        self.release_listeners.__wrapped__(self)
        link = self.link
        sock = self.sock
        if not (link.closed or link.broken or link.dropped or link.given_up):
            self._end_well(link)
        sock.destroy()
        if not link.closed:
            link.dropped = True
            self.leave_sink()
            sock.wait("close")
        gevent.joinall(self.calls, raise_error=True)
        turns(2)
        for sink in self.sinks:
            sink.finish()
            sink.check()
        for each in self.links:
            if each.peer is not None and not each.broken:
                each.reading.set()
                while not each.saw_end:
                    turns(1)
                if not (each.dropped or each.events["error"]):
                    assert each.got == each.sent, f"{len(each.got)} of {len(each.sent)} arrived"
            assert each.events["close"] == 1
            assert all(len(calls) == 1 for calls in each.callbacks)
        self.nothing_is_wrong()

    def _end_well(self, link: Link) -> None:
        """Everything that the last connection has still to transfer arrives, either way."""
        sock = self.sock
        self.leave_sink()
        sock.unpipe()
        self.keep_account()
        link.reading.set()
        if not link.peer_ends:
            link.give_end()
        # It may have been there for once.
        sock.off("data", self._data)
        sock.on("data", self._data)
        self.look_who_gets_it()
        sock.resume()
        sock.end()
        sock.wait("close")
        if not link.events["error"]:
            assert link.position == len(link.given), "the end came ahead of data"
            assert link.events["end"] == link.events["finish"] == 1


@pytest.mark.limit(60 + PROGRAMS)
def test_random_programs_on_one_object(hub_errors: list[BaseException]) -> None:
    OneObject.done.clear()
    OneObject.reported = hub_errors
    for first in range(0, PROGRAMS, SEARCH):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            OneObject,
            settings=settings(
                max_examples=min(SEARCH, PROGRAMS - first),
                stateful_step_count=STEPS,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    done = OneObject.done
    print(f"{done.total():,} operations in {PROGRAMS:,} programs: {dict(done)}")
    assert done.total() > 10 * PROGRAMS
