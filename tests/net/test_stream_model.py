"""Random programs of socket operations against a model of a byte stream.

Both ends, both styles. Each direction is a list of bytes: what one end has written, in the order
of its calls, is what the other end reads, whichever way either was done; and an end comes after
the last of it, once. Calls are interrupted as well, which loses nothing and tears nothing.

``GNET_PROGRAMS`` sets how many programs are run, of about 30 operations each. A million of them,
which takes half an hour of processor time at most::

    GNET_PROGRAMS=36000 pytest -s tests/net/test_stream_model.py
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any, ClassVar

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
from tests.helpers.servers import memory_pair, pair, tls_pair

PROGRAMS = int(os.environ.get("GNET_PROGRAMS", "25"))
STEPS = 60
# Programs in one search of hypothesis, which remembers every one of them.
SEARCH = 500
# Numbered bytes, in a period that no size below is a multiple of.
PERIOD = bytes(number * 31 % 251 for number in range(251))

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
        self.writers: list[gevent.Greenlet[..., None]] = []

    def next(self, size: int) -> bytes:
        """The next bytes: numbered, so that no two pieces look alike."""
        begin = len(self.sent) % len(PERIOD)
        data = (PERIOD * (size // len(PERIOD) + 2))[begin : begin + size]
        self.sent += data
        return data

    def waiting(self) -> list[gevent.Greenlet[..., None]]:
        """The greenlets that are still in sendall()."""
        return [writer for writer in self.writers if not writer.ready()]


Able = Callable[["Programs", int], bool]


def operation(
    able: Able, *, foreseen: bool = True, **arguments: st.SearchStrategy[Any]
) -> Callable[..., Any]:
    """A rule for one end: the one that is drawn, or the other one where only that is able.

    :param foreseen: whether the program alone says who is able. What depends on the moment at
        which bytes arrive must not decide which rules are drawn: hypothesis draws them again.
    """

    def decorate(act: Callable[..., None]) -> Any:
        @wraps(act)
        def chosen(self: Programs, end: int, **drawn: Any) -> None:
            self.step += 1
            for each in end, 1 - end:
                if able(self, each):
                    self.done[act.__name__] += 1
                    act(self, each, **drawn)
                    return

        made = rule(end=ends, **arguments)(chosen)
        possible = precondition(lambda self: able(self, 0) or able(self, 1))
        return possible(made) if foreseen else made

    return decorate


class Programs(RuleBasedStateMachine):
    """A pair of sockets, and what is done to them."""

    #: What has been done, in all programs. A rule that finds nobody able does not count.
    done: ClassVar[Counter[str]] = Counter()

    @initialize(
        carrier=st.sampled_from(["tcp", "unix", "memory", "tls"]),
        ends_from=st.integers(0, STEPS),
    )
    def connect(self, carrier: str, ends_from: int) -> None:
        self.stack = ExitStack()
        if carrier == "unix":
            self.socks = [
                gnet.Socket(handle=end, allow_half_open=True) for end in socket.socketpair()
            ]
            for sock in self.socks:
                self.stack.callback(sock.destroy)
        else:
            make = {"tcp": pair, "memory": memory_pair, "tls": tls_pair}[carrier]
            self.socks = list(self.stack.enter_context(make(allow_half_open=True)))
        # What end 0 writes is direction 0, which end 1 reads.
        self.directions = [Direction(), Direction()]
        self.corked = [0, 0]
        # Nothing is ended before: little can be done to what has ended.
        self.ends_from = ends_from
        self.step = 0
        for number, sock in enumerate(self.socks):
            sock.on("end", lambda number=number: self._end_seen(1 - number))

    def _end_seen(self, number: int) -> None:
        self.directions[number].end_seen += 1

    def _reads(self, end: int) -> Direction:
        return self.directions[1 - end]

    # -- writing

    def _writable(self, end: int) -> bool:
        return not self.directions[end].ended

    def _waits(self, end: int) -> bool:
        return bool(self.directions[end].waiting())

    @operation(_writable, size=sizes)
    def write(self, end: int, size: int) -> None:
        self.socks[end].write(self.directions[end].next(size))

    @operation(_writable, size=sizes)
    def sendall(self, end: int, size: int) -> None:
        direction = self.directions[end]
        # In a greenlet of its own, as nobody may be reading.
        direction.writers.append(gevent.spawn(self.socks[end].sendall, direction.next(size)))
        gevent.sleep(0)

    @operation(_waits, foreseen=False, index=st.integers(0, 3))
    def interrupt_sendall(self, end: int, index: int) -> None:
        """Its rest stays in the queue, in its place."""
        waiting = self.directions[end].waiting()
        waiting[index % len(waiting)].kill()

    @operation(_writable)
    def cork(self, end: int) -> None:
        self.socks[end].cork()
        self.corked[end] += 1

    def _is_corked(self, end: int) -> bool:
        return self.corked[end] > 0

    @operation(_is_corked)
    def uncork(self, end: int) -> None:
        self._uncork(end)

    def _uncork(self, end: int) -> None:
        self.socks[end].uncork()
        self.corked[end] -= 1

    def _may_end(self, end: int) -> bool:
        # A sendall() that waits fails when end() is called: not of the model.
        return self.step >= self.ends_from and self._writable(end) and not self._waits(end)

    @operation(_may_end, foreseen=False)
    def finish(self, end: int) -> None:
        self.socks[end].end()
        self.directions[end].ended = True
        self.corked[end] = 0

    # -- reading

    def _flows(self, end: int) -> bool:
        return self.socks[end].listener_count("data") > 0

    def _flows_not(self, end: int) -> bool:
        return not self._flows(end)

    def _arrives(self, end: int) -> int:
        """How much of what an end has written can be read although it is corked."""
        sock = self.socks[end]
        return len(self.directions[end].sent) - (sock.writable_length if self.corked[end] else 0)

    def _has_data(self, end: int) -> bool:
        return not self._flows(end) and len(self._reads(end).received) < self._arrives(1 - end)

    def _is_read_out(self, end: int) -> bool:
        direction = self._reads(end)
        return direction.ended and not self._flows(end) and direction.received == direction.sent

    @operation(_has_data, foreseen=False, size=st.sampled_from([1, 1000, 65536, 1 << 20]))
    def recv(self, end: int, size: int) -> None:
        self._reads(end).received += self.socks[end].recv(size)

    @operation(_has_data, foreseen=False, size=st.sampled_from([1, 70_000]))
    def recv_into(self, end: int, size: int) -> None:
        buffer = bytearray(size)
        count = self.socks[end].recv_into(buffer)
        self._reads(end).received += buffer[:count]

    @operation(_flows_not, size=st.sampled_from([1, 70_000]))
    def recv_for_a_moment(self, end: int, size: int) -> None:
        """Whether there is something or not: what comes later is for the next one."""
        with gevent.Timeout(0.001, False):
            self._reads(end).received += self.socks[end].recv(size)

    @operation(_is_read_out, foreseen=False)
    def recv_the_end(self, end: int) -> None:
        assert self.socks[end].recv() == b""

    @operation(_flows_not)
    def flow(self, end: int) -> None:
        self.socks[end].on("data", self._reads(end).received.extend)

    @operation(_flows)
    def flow_no_more(self, end: int) -> None:
        self.socks[end].remove_all_listeners("data")

    @operation(_flows)
    def pause(self, end: int) -> None:
        self.socks[end].pause()

    def _is_paused(self, end: int) -> bool:
        # Without a listener what arrives would be lost, as it should.
        return self._flows(end) and self.socks[end].is_paused()

    @operation(_is_paused)
    def resume(self, end: int) -> None:
        self.socks[end].resume()

    @rule()
    def turn(self) -> None:
        self.step += 1
        self.done["turn"] += 1
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
                self._uncork(end)
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
    Programs.done.clear()
    for first in range(0, PROGRAMS, SEARCH):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Programs,
            settings=settings(
                max_examples=min(SEARCH, PROGRAMS - first),
                stateful_step_count=STEPS,
                suppress_health_check=list(HealthCheck),
            ),
        )
    done = Programs.done
    print(f"{done.total():,} operations in {PROGRAMS:,} programs: {dict(done)}")
    assert done.total() > 10 * PROGRAMS
