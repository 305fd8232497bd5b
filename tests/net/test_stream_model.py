"""Random programs of socket operations against a model of a byte stream.

Both ends, both styles. Each direction is a list of bytes: what one end has written, in the order
of its calls, is what the other end reads, whichever way either was done; and an end comes after
the last of it, once. ``GNET_PROGRAMS`` sets how many programs are run; a program has up to 60
operations, so a million operations take ``GNET_PROGRAMS=20000``.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import gevent
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import gnet
from tests.helpers.servers import pair

PROGRAMS = int(os.environ.get("GNET_PROGRAMS", "25"))

# Around the sizes at which something changes: nothing, the high-water mark, the kernel's buffer.
sizes = st.sampled_from([0, 1, 7, 1000, 65535, 65536, 65537, 300_000])
ends = st.sampled_from([0, 1])


class Direction:
    """One direction of a connection, as it should be."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()
        self.ended = False
        self.end_seen = 0
        self.writers: list[gevent.Greenlet] = []

    def next(self, size: int) -> bytes:
        """The next bytes: numbered, so that no two pieces look alike."""
        begin = len(self.sent)
        data = bytes((begin + index) * 31 % 251 for index in range(size))
        self.sent += data
        return data


class Programs(RuleBasedStateMachine):
    """A pair of sockets, and what is done to them."""

    @initialize(unix=st.booleans())
    def connect(self, unix: bool) -> None:
        self.stack = ExitStack()
        if unix:
            self.socks = [
                gnet.Socket(handle=end, allow_half_open=True) for end in socket.socketpair()
            ]
            for sock in self.socks:
                self.stack.callback(sock.destroy)
        else:
            self.socks = list(self.stack.enter_context(pair(allow_half_open=True)))
        # What end 0 writes is direction 0, which end 1 reads.
        self.directions = [Direction(), Direction()]
        self.corked = [0, 0]
        for number, sock in enumerate(self.socks):
            sock.on("end", lambda number=number: self._end_seen(1 - number))

    def _end_seen(self, number: int) -> None:
        self.directions[number].end_seen += 1

    def _reads(self, end: int) -> Direction:
        return self.directions[1 - end]

    # -- writing

    @rule(end=ends, size=sizes)
    def write(self, end: int, size: int) -> None:
        direction = self.directions[end]
        if not direction.ended and not direction.writers:
            self.socks[end].write(direction.next(size))

    @rule(end=ends, size=sizes)
    def sendall(self, end: int, size: int) -> None:
        direction = self.directions[end]
        if not direction.ended:
            data = direction.next(size)
            # In a greenlet of its own, as nobody may be reading.
            direction.writers.append(gevent.spawn(self.socks[end].sendall, data))
            gevent.sleep(0)

    @rule(end=ends)
    def cork(self, end: int) -> None:
        if not self.directions[end].ended:
            self.socks[end].cork()
            self.corked[end] += 1

    @rule(end=ends)
    def uncork(self, end: int) -> None:
        if self.corked[end]:
            self.socks[end].uncork()
            self.corked[end] -= 1

    @rule(end=ends)
    def finish(self, end: int) -> None:
        direction = self.directions[end]
        # sendall() after end() is refused, and so is one that waits: not of the model.
        if not any(not writer.ready() for writer in direction.writers):
            self.socks[end].end()
            direction.ended = True
            self.corked[end] = 0

    # -- reading

    @rule(end=ends, size=st.sampled_from([1, 1000, 65536, 1 << 20]))
    def recv(self, end: int, size: int) -> None:
        sock, direction = self.socks[end], self._reads(end)
        if sock.listener_count("data") or (
            not direction.ended and len(direction.received) >= self._arrives(1 - end)
        ):
            return
        direction.received += sock.recv(size)

    def _arrives(self, end: int) -> int:
        """How much of what an end has written can be read although it is corked."""
        sock = self.socks[end]
        return len(self.directions[end].sent) - (sock.writable_length if self.corked[end] else 0)

    @rule(end=ends, size=st.sampled_from([1, 70_000]))
    def recv_into(self, end: int, size: int) -> None:
        sock, direction = self.socks[end], self._reads(end)
        if sock.listener_count("data") or len(direction.received) >= self._arrives(1 - end):
            return
        buffer = bytearray(size)
        count = sock.recv_into(buffer)
        direction.received += buffer[:count]

    @rule(end=ends)
    def flow(self, end: int) -> None:
        sock, direction = self.socks[end], self._reads(end)
        if not sock.listener_count("data"):
            sock.on("data", direction.received.extend)

    @rule(end=ends)
    def flow_no_more(self, end: int) -> None:
        self.socks[end].remove_all_listeners("data")

    @rule(end=ends)
    def pause(self, end: int) -> None:
        self.socks[end].pause()

    @precondition(lambda self: any(sock.is_paused() for sock in self.socks))
    @rule()
    def resume(self) -> None:
        for sock in self.socks:
            # Without a listener what arrives would be lost, as it should.
            if sock.is_paused() and sock.listener_count("data"):
                sock.resume()

    @rule()
    def turn(self) -> None:
        gevent.sleep(0)

    # -- what must hold

    @invariant()
    def nothing_is_lost_changed_or_twice(self) -> None:
        for direction in getattr(self, "directions", ()):
            assert direction.sent.startswith(direction.received)
            assert direction.end_seen <= direction.ended

    def teardown(self) -> None:
        if not hasattr(self, "socks"):
            return
        try:
            with gevent.Timeout(10):
                self._run_out()
        finally:
            self.stack.close()

    def _run_out(self) -> None:
        """Read to the end, both ways at once: then all of it must be there."""
        readers = []
        for end, sock in enumerate(self.socks):
            sock.remove_all_listeners("data")
            readers.append(gevent.spawn(self._read_on, end, sock))
        for end in (0, 1):
            while self.corked[end]:
                self.uncork(end)
        for end, sock in enumerate(self.socks):
            gevent.joinall(self.directions[end].writers, raise_error=True)
            sock.end()
        gevent.joinall(readers, raise_error=True)
        for direction in self.directions:
            assert direction.received == direction.sent
            assert direction.end_seen <= 1

    def _read_on(self, end: int, sock: gnet.Socket) -> None:
        direction = self._reads(end)
        while True:
            data = sock.recv(1 << 18)
            if not data:
                return
            direction.received += data


@pytest.mark.limit(60 + PROGRAMS)
def test_random_programs_lose_nothing() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Programs,
        settings=settings(
            max_examples=PROGRAMS,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
