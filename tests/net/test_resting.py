"""A connection at rest uses no processor time, whatever state it has come to.

The states are all that a few steps lead to, in either order, with every way in which a listener
may be blocked; and in each of them the loop finds nothing to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from tests.helpers.servers import send_end
from tests.net.conftest import Net, Peer

# How many turns a state is watched for, and how many of them may find something still to do: what
# was on its way, and one look at what nobody reads.
TURNS = 20
ALLOWED = 3


class State:
    """A connection, its peer, and what blocks its listeners."""

    def __init__(self, net: Net, sock: gnet.Socket, peer: Peer) -> None:
        self.net = net
        self.sock = sock
        self.peer = peer
        self.go_on = Event()

    def blocked(self, *args: Any) -> None:
        self.go_on.wait()


Step = Callable[[State], Any]


def data(state: State) -> None:
    state.sock.on("data", lambda chunk: None)


def data_blocks(state: State) -> None:
    state.sock.on("data", state.blocked)


def once_blocks(state: State) -> None:
    state.sock.once("data", state.blocked)


def pauses_and_blocks(state: State) -> None:
    def pausing(chunk: Any) -> None:
        state.sock.pause()
        state.go_on.wait()

    state.sock.on("data", pausing)


def reads_and_blocks(state: State) -> None:
    def reading(chunk: Any) -> None:
        with gevent.Timeout(0.001, False):
            state.sock.recv()
        state.go_on.wait()

    state.sock.on("data", reading)


def end_blocks(state: State) -> None:
    state.sock.on("end", state.blocked)


def pause(state: State) -> None:
    state.sock.pause()


def resume(state: State) -> None:
    state.sock.resume()


def encoding(state: State) -> None:
    state.sock.set_encoding("utf-8")


def pipe(state: State) -> None:
    state.sock.pipe(state.sock)


def read(state: State) -> None:
    with gevent.Timeout(0.001, False):
        state.sock.recv(2)


def read_ahead(state: State) -> None:
    with state.sock.makefile("rb") as file, gevent.Timeout(0.001, False):
        file.read(1)


def cork(state: State) -> None:
    state.sock.cork()
    state.sock.write(b"corked")


def fill(state: State) -> None:
    state.sock.write(bytes(5_000_000))


def end(state: State) -> None:
    state.sock.end()


def peer_sends(state: State) -> None:
    state.peer.sendall("half \xe4".encode()[:-1])


def peer_ends(state: State) -> None:
    send_end(state.peer)


LISTENERS: list[Step] = [
    data, data_blocks, once_blocks, pauses_and_blocks, reads_and_blocks, end_blocks, pipe,
]  # fmt: skip
ACTS: list[Step] = [pause, resume, encoding, read, read_ahead, cork, fill, end]
NEWS: list[tuple[Step, ...]] = [(), (peer_sends,), (peer_sends, peer_ends), (peer_ends,)]


@contextmanager
def connection(net: Net) -> Iterator[State]:
    sock, peer = net.accepted(allow_half_open=True)
    sock.on("error", lambda error: None)
    state = State(net, sock, peer)
    try:
        yield state
    finally:
        sock.destroy()
        state.go_on.set()
        peer.close()


def times_fired(net: Net, sock: gnet.Socket) -> int:
    """How often the loop finds something to do on the socket, in so many turns."""
    fired: list[int] = []
    for watcher in (sock._read_watcher, sock._write_watcher):
        callback = getattr(watcher, "callback", None)
        if callback is not None:

            def fire(*args: Any, callback: Any = callback) -> None:
                fired.append(1)
                callback(*args)

            watcher.callback = fire
    net.turns(TURNS)
    return len(fired)


@pytest.mark.limit(60)
@pytest.mark.parametrize("listener", LISTENERS)
def test_no_state_uses_processor_time(tcp: Net, listener: Step) -> None:
    restless = []
    for acts in [(), *itertools.combinations(ACTS, 1), *itertools.combinations(ACTS, 2)]:
        for news in NEWS:
            orders = (listener, *news, *acts), (*news, *acts, listener), (*acts, listener, *news)
            for steps in dict.fromkeys(orders):
                with connection(tcp) as state:
                    for step in steps:
                        try:
                            step(state)
                        except (OSError, RuntimeError):
                            # Not possible in this state.
                            continue
                        tcp.turns(1)
                    tcp.turns(3)
                    if times_fired(tcp, state.sock) > ALLOWED:
                        restless.append([step.__name__ for step in steps])
    assert restless == []
