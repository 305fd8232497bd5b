"""Connections of every transport there is, below the stream: two ends each."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import gevent
import pytest
from gevent.event import Event

from gnet._core.tls_wire import TLSWire
from gnet._transport.memory import memory_pair
from gnet._transport.protocol import READ, WRITE, Transport, Watcher
from gnet._transport.stream_socket import Wire, wire_of_fd
from tests.helpers.authority import client_context, server_context

Ends = tuple[Transport, Transport]
Result = TypeVar("Result")
LOOPBACK = "127.0.0.1"


class Kind(NamedTuple):
    """A kind of transport.

    :ivar make: a context manager of two connected ends, which are closed behind it.
    :ivar both_ways: whether the second end can be written to, too.
    :ivar half_open: whether one way can end and the other go on.
    :ivar largest: how many bytes are more than what it takes unread.
    :ivar gives_fd: whether its descriptor, where it has one, stands for the connection.
    """

    name: str
    make: Callable[[], Any]
    both_ways: bool = True
    half_open: bool = True
    largest: int = 1 << 24
    gives_fd: bool = True

    def __str__(self) -> str:
        return self.name


@contextmanager
def _closed(*ends: Transport) -> Iterator[Ends]:
    with ExitStack() as stack:
        for end in ends:
            stack.callback(end.close)
        yield ends  # type: ignore[misc]


@contextmanager
def _tcp() -> Iterator[Ends]:
    listener = Wire.open(socket.AF_INET)
    with ExitStack() as stack:
        stack.callback(listener.close)
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        client = Wire.open(socket.AF_INET)
        stack.callback(client.close)
        assert client.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS, 10035)
        await_event(listener, READ)
        served, _ = listener.accept_wire()
        stack.callback(served.close)
        await_event(client, WRITE)
        yield client, served


@contextmanager
def _unix() -> Iterator[Ends]:
    with _closed(*(Wire.adopt(each.detach()) for each in socket.socketpair())) as ends:
        yield ends


@contextmanager
def _memory() -> Iterator[Ends]:
    with _closed(*memory_pair()) as ends:
        yield ends


@contextmanager
def _pipe(blocking: bool = True) -> Iterator[Ends]:
    reader, writer = os.pipe()
    for fd in reader, writer:
        os.set_blocking(fd, blocking)
    with _closed(wire_of_fd(writer), wire_of_fd(reader)) as ends:
        yield ends


@contextmanager
def _threaded_pipe() -> Iterator[Ends]:
    """A pipe that cannot be opened anew, and so has threads that read and write it."""
    from gnet._transport import blocking_file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocking_file, "opened_anew", lambda fd: None)
        with _pipe() as ends:
            yield ends


@contextmanager
def _terminal() -> Iterator[Ends]:
    import pty
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    with _closed(wire_of_fd(master), wire_of_fd(slave)) as ends:
        yield ends


@contextmanager
def _named_pipe() -> Iterator[Ends]:
    from gnet._transport.windows import named_pipe
    from gnet._transport.windows.pipe_wire import PipeWire

    name = rf"\\.\pipe\gnet-test-{uuid4()}"
    with ExitStack() as stack:
        listener = named_pipe.listen(name, 1, False, False)
        stack.callback(listener.close)
        client = PipeWire.connect(name)
        stack.callback(client.close)
        await_event(listener, READ)
        served, _ = listener.accept_wire()
        stack.callback(served.close)
        yield client, served


@contextmanager
def _over(below: Callable[[], Any], times: int = 1) -> Iterator[Ends]:
    """TLS over another kind."""
    with ExitStack() as stack:
        ends = stack.enter_context(below())
        for _ in range(times):
            ends = _encrypted(*ends)
            for end in ends:
                stack.callback(end.close)
        yield ends


def _encrypted(here: Transport, there: Transport) -> Ends:
    """TLS over the two ends of a connection, behind the handshake."""
    client = TLSWire(here, client_context(), False, "localhost")
    server = TLSWire(there, server_context(), True)
    others = [gevent.spawn(_shake_hands, server)]
    _shake_hands(client)
    gevent.joinall(others, raise_error=True)
    # The tickets are no data.
    with suppress(BlockingIOError):
        client.at_end()
    return client, server


def _shake_hands(wire: TLSWire) -> None:
    while True:
        try:
            return wire.handshake()
        except BlockingIOError:
            await_event(wire.inner, wire.wants)


def _tls(name: str, below: Callable[[], Any], times: int = 1) -> Kind:
    return Kind(name, lambda: _over(below, times), gives_fd=False)


TCP = Kind("tcp", _tcp)
MEMORY = Kind("memory", _memory)
if sys.platform == "win32":
    KINDS = (
        TCP,
        MEMORY,
        Kind("named pipe", _named_pipe),
        _tls("tls", _tcp),
        _tls("tls over a named pipe", _named_pipe),
    )
else:
    KINDS = (
        TCP,
        Kind("unix", _unix),
        MEMORY,
        Kind("pipe", _pipe, both_ways=False, half_open=False),
        Kind("shared pipe", lambda: _pipe(blocking=False), both_ways=False, half_open=False),
        Kind("threaded pipe", _threaded_pipe, both_ways=False, half_open=False),
        Kind("terminal", _terminal, half_open=False),
        _tls("tls", _tcp),
        _tls("tls over unix", _unix),
        _tls("tls in memory", _memory),
        _tls("tls in tls", _tcp, 2),
    )


class Firing:
    """A watcher of the loop's, and how often it has fired."""

    def __init__(self, transport: Any, events: int) -> None:
        self.watcher: Watcher = transport.watch(gevent.get_hub().loop, events)
        self.count = 0
        self._fired = Event()

    def start(self) -> None:
        self.watcher.start(self._note)

    def _note(self) -> None:
        self.count += 1
        self._fired.set()

    def wait(self) -> None:
        """Block until it fires again."""
        self._fired.clear()
        self._fired.wait()


def await_event(transport: Any, events: int) -> None:
    """Block until a transport, or a listener, is ready."""
    firing = Firing(transport, events)
    firing.start()
    firing.wait()
    firing.watcher.close()


def read(reader: Transport, call: Callable[..., Result], *args: Any) -> Result:
    """What a call gives that reads; it is made anew for as long as there is nothing.

    Where a thread reads a file, it may be so that there is something, and the thread is late.
    """
    while True:
        try:
            return call(*args)
        except BlockingIOError:
            await_event(reader, READ)


def receive(reader: Transport, size: int) -> bytes:
    """So many bytes, or all up to the end."""
    data = b""
    while len(data) < size:
        chunk = read(reader, reader.recv, size - len(data))
        if not chunk:
            break
        data += chunk
    return data


def send(writer: Transport, data: bytes) -> None:
    """All of the data, which fits."""
    while data:
        try:
            data = data[writer.send(data) :]
        except BlockingIOError:
            await_event(writer, WRITE)


class Flood:
    """More bytes than a transport takes unread, each of which can be told from its neighbours.

    :ivar sent: how many of them it has taken.
    """

    def __init__(self, writer: Transport, most: int) -> None:
        self.writer = writer
        self.data = bytes(range(251)) * (most // 251)
        self.sent = 0

    def fill(self) -> None:
        """Send until nothing more is taken."""
        try:
            while True:
                self.sent += self.writer.send(memoryview(self.data)[self.sent :])
                assert self.sent < len(self.data), "all of it was taken"
        except BlockingIOError:
            pass

    def finish(self, more: int) -> bytes:
        """Send so many bytes more, while somebody reads; gives all that was sent."""
        end = self.sent + more
        while self.sent < end:
            try:
                self.sent += self.writer.send(memoryview(self.data)[self.sent : end])
            except BlockingIOError:
                await_event(self.writer, WRITE)
        return self.data[:end]
