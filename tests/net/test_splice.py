"""Pipes between two sockets, whose bytes the kernel moves: the same as if gnet had read them."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.queue import Queue

import gnet
from gnet._loop import splicer as splicer_module
from tests.helpers.calls import Calls
from tests.helpers.counts import descriptors
from tests.helpers.forks import Child, fork
from tests.helpers.servers import receive, receive_all, send_reset
from tests.net.conftest import Net

SIZE = 8 * 1024 * 1024
DATA = random.Random(6).randbytes(SIZE)


@pytest.fixture(params=["kernel", "copied"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test twice: as on Linux, and as elsewhere. What is seen must be the same."""
    if request.param == "copied":
        monkeypatch.setattr(splicer_module, "AVAILABLE", False)
    elif not splicer_module.AVAILABLE:
        pytest.skip("this system has no splice()")
    return str(request.param)


class Moves:
    """Counts what the kernel has moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.rests = 0
        move = splicer_module.Splicer.move

        def counting(splicer: splicer_module.Splicer, source: int, destination: int) -> Any:
            received, rest, error = move(splicer, source, destination)
            self.bytes += received - len(rest)
            self.rests += bool(rest)
            return received, rest, error

        monkeypatch.setattr(splicer_module.Splicer, "move", counting)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    return Moves(monkeypatch)


class Relay:
    """A source and a sink with two sockets of gnet's between them, piped."""

    def __init__(self, net: Net, pipe: bool = True, **options: Any) -> None:
        self.left, self.source = net.accepted(allow_half_open=True)
        self.right, self.sink = net.accepted(allow_half_open=True, **options)
        if pipe:
            self.left.pipe(self.right)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- byte exactness -------------------------------------------------------------------------


def test_every_byte_arrives_and_the_end_behind_them(net: Net, way: str, moves: Moves) -> None:
    relay = Relay(net)
    sender = net.start(_send, relay.source, DATA)
    received = receive_all(relay.sink)
    assert digest(received) == digest(DATA)
    assert sender.get() is None
    assert relay.left.bytes_read == SIZE
    assert relay.right.bytes_written == SIZE
    assert (moves.bytes > 0) is (way == "kernel")


def _send(peer: socket.socket, data: bytes) -> None:
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def test_back_pressure_reaches_the_source(net: Net) -> None:
    relay = Relay(net)
    data = DATA * 4
    sender = net.start(_send, relay.source, data)
    # The sink reads nothing: in the end everything is full.
    while True:
        before = relay.left.bytes_read
        gevent.sleep(0.05)
        if relay.left.bytes_read == before:
            break
    assert not sender.ready()
    assert relay.right.writable_length <= 4 * relay.right.high_water_mark + (1 << 20)
    assert relay.left.bytes_read == relay.right.bytes_written
    assert digest(receive_all(relay.sink)) == digest(data)
    assert relay.right.bytes_written == len(data)


def test_a_slow_sink_gets_every_byte(net: Net, way: str, moves: Moves) -> None:
    relay = Relay(net)
    sender = net.start(_send, relay.source, DATA)
    chance = random.Random(7)
    received = hashlib.sha256()
    while chunk := relay.sink.recv(chance.choice([1, 100, 5000, 200_000])):
        received.update(chunk)
        if chance.random() < 0.02:
            gevent.sleep(0.001)
    assert received.hexdigest() == digest(DATA)
    sender.get()
    if way == "kernel":
        # What did not fit was waited with.
        assert moves.rests > 0


def _fill(relay: Relay, net: Net, data: bytes) -> Any:
    """Send until the sink, which reads nothing, takes no more."""
    paused = net.start(relay.left.wait, "pause")
    sender = net.start(_send, relay.source, data)
    paused.get()
    return sender


def test_what_a_full_sink_does_not_take_is_not_copied(
    net: Net, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "kernel":
        pytest.skip("everything is")
    copied: list[int] = []
    monkeypatch.setattr(splicer_module, "_read", lambda reader, size: copied.append(size) or b"")
    relay = Relay(net)
    sender = _fill(relay, net, DATA)
    assert relay.right.writable_need_drain
    assert digest(receive_all(relay.sink)) == digest(DATA)
    sender.get()
    assert sum(copied) == 0


def test_more_full_sinks_than_pipes_get_every_byte(
    net: Net, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicer_module, "MAX_FULL", 1)
    before = pipes()
    relays = [Relay(net) for _ in range(3)]
    senders = [_fill(relay, net, DATA) for relay in relays]
    if way == "kernel":
        # One that is full, and the one that moves.
        assert len(pipes() - before) <= 4
    for relay in relays:
        assert digest(receive_all(relay.sink)) == digest(DATA)
    gevent.joinall(senders)


def test_what_is_written_to_a_full_sink_comes_behind_what_was_moved(net: Net) -> None:
    relay = Relay(net)
    sent: Queue[Any] = Queue()
    paused = net.start(relay.left.wait, "pause")
    sender = net.start(relay.source.sendall, DATA)
    paused.get()
    moved = relay.right.bytes_written
    relay.right.write(b"tail", sent.put)
    assert relay.right.bytes_written == moved + 4
    received = receive(relay.sink, moved + 4)
    assert received[moved:] == b"tail"
    assert sent.get() is None
    assert receive(relay.sink, SIZE - moved) == DATA[moved:]
    assert received[:moved] == DATA[:moved]
    sender.get()


def test_a_full_sink_that_is_destroyed_leaves_no_pipe(net: Net) -> None:
    before = pipes()
    relay = Relay(net)
    sender = _fill(relay, net, DATA * 2)
    relay.right.destroy()
    net.closed(relay.right)
    relay.left.destroy()
    sender.join()
    assert pipes() == before


def test_the_end_of_a_full_sink_comes_behind_what_was_moved(net: Net) -> None:
    relay = Relay(net)
    sender = _fill(relay, net, DATA)
    relay.left.unpipe()
    moved = relay.right.bytes_written
    relay.right.end()
    assert receive_all(relay.sink) == DATA[:moved]
    relay.left.destroy()
    sender.join()


@pytest.mark.parametrize("sizes", [[1] * 300, [1, 65536, 7, 262144, 1, 1 << 20, 3]])
def test_messages_of_any_size_arrive_in_order(net: Net, sizes: list[int]) -> None:
    relay = Relay(net)
    at = 0
    for size in sizes:
        relay.source.sendall(DATA[at : at + size]) if size < 100_000 else net.start(
            relay.source.sendall, DATA[at : at + size]
        )
        assert receive(relay.sink, size) == DATA[at : at + size]
        at += size
    assert relay.left.bytes_read == relay.right.bytes_written == at


def test_what_was_written_before_and_between_keeps_its_place(net: Net) -> None:
    relay = Relay(net, pipe=False)
    relay.right.write(b"first,")
    relay.right.cork()
    relay.right.write(b"corked,")
    relay.left.pipe(relay.right)
    relay.source.sendall(b"piped,")
    relay.left.once("data", lambda chunk: None)
    net.turns()
    relay.right.uncork()
    assert receive(relay.sink, 19) == b"first,corked,piped,"
    relay.right.write(b"between,")
    relay.source.sendall(b"piped again")
    assert receive(relay.sink, 19) == b"between,piped again"


def test_two_ways_at_once(net: Net) -> None:
    relay = Relay(net)
    relay.right.pipe(relay.left)
    senders = [net.start(_send, end, DATA) for end in (relay.source, relay.sink)]
    readers = [net.start(receive_all, end) for end in (relay.source, relay.sink)]
    assert [digest(reader.get()) for reader in readers] == [digest(DATA)] * 2
    gevent.joinall(senders)


def test_an_echo_is_a_pipe_into_itself(net: Net) -> None:
    sock, peer = net.accepted()
    sock.pipe(sock)
    sender = net.start(_send, peer, DATA)
    assert digest(receive_all(peer)) == digest(DATA)
    sender.get()


def test_many_pipes_share_what_the_kernel_moves_with_and_mix_nothing_up(tcp: Net) -> None:
    relays = [Relay(tcp) for _ in range(8)]
    texts = [bytes([number]) * 1_000_000 for number in range(8)]
    for relay, text in zip(relays, texts):
        tcp.start(_send, relay.source, text)
    readers = [tcp.start(receive_all, relay.sink) for relay in relays]
    assert [reader.get() for reader in readers] == texts


def test_a_listener_beside_the_pipe_sees_every_byte(net: Net) -> None:
    relay = Relay(net)
    seen: list[bytes] = []
    relay.left.on("data", seen.append)
    net.start(_send, relay.source, DATA)
    assert digest(receive_all(relay.sink)) == digest(DATA)
    assert digest(b"".join(seen)) == digest(DATA)


def test_a_second_pipe_gets_the_same(net: Net) -> None:
    relay = Relay(net)
    other, second_sink = net.accepted(allow_half_open=True)
    relay.left.pipe(other)
    net.start(_send, relay.source, DATA)
    readers = [net.start(receive_all, end) for end in (relay.sink, second_sink)]
    assert [digest(reader.get()) for reader in readers] == [digest(DATA)] * 2


def test_an_encoding_is_applied(net: Net) -> None:
    relay = Relay(net)
    relay.left.set_encoding("latin-1")
    relay.source.sendall("\u00e9".encode("latin-1"))
    assert receive(relay.sink, 2) == "\u00e9".encode()


def test_a_destination_with_a_write_of_its_own_is_asked(net: Net) -> None:
    class Upper(gnet.Socket):
        def write(self, data: Any, *args: Any) -> bool:
            return super().write(data.upper(), *args)

    left, source = net.accepted()
    listener = net.listening_peer()
    right = Upper()
    net.keep(right).connect(*net.target(listener))
    sink = net.keep(listener.accept()[0])
    right.wait("connect")
    left.pipe(right)
    source.sendall(b"shout")
    assert receive(sink, 5) == b"SHOUT"


def test_unpiping_gives_the_rest_to_whoever_comes_next(net: Net) -> None:
    relay = Relay(net)
    relay.source.sendall(b"piped")
    assert receive(relay.sink, 5) == b"piped"
    relay.left.unpipe(relay.right)
    relay.source.sendall(b"not piped")
    relay.left.pause()
    assert relay.left.recv() == b"not piped"


# -- counts and timeouts ----------------------------------------------------------------------


def test_what_is_moved_is_activity_at_both_ends(tcp: Net, must_not_call: Any) -> None:
    relay = Relay(tcp)
    for end in (relay.left, relay.right):
        end.set_timeout(0.3)
        end.on("timeout", must_not_call("timeout"))
    for _ in range(8):
        relay.source.sendall(b"x")
        assert receive(relay.sink, 1) == b"x"
        gevent.sleep(0.1)
    for end in (relay.left, relay.right):
        end.set_timeout(0)


def test_silence_is_none(tcp: Net, must_call: Calls) -> None:
    relay = Relay(tcp)
    relay.source.sendall(b"x")
    assert receive(relay.sink, 1) == b"x"
    for end in (relay.left, relay.right):
        end.set_timeout(0.05, must_call())
    must_call.wait()


def test_the_first_byte_and_a_stalled_sink_are_noticed(tcp: Net) -> None:
    left, source = tcp.accepted(first_byte_timeout=0.2, allow_half_open=True)
    right, _ = tcp.accepted(write_timeout=0.4)
    errors: Queue[Any] = Queue()
    left.on("error", errors.put)
    right.on("error", errors.put)
    left.pipe(right)
    tcp.start(_send, source, DATA * 4)
    error = errors.get()
    assert isinstance(error, gnet.errors.DeadlineError)
    assert error.deadline == "write_timeout"


def test_drain_follows_a_full_queue(net: Net, must_call: Calls) -> None:
    relay = Relay(net)
    relay.right.once("drain", drained := must_call())
    paused = net.start(relay.left.wait, "pause")
    net.start(_send, relay.source, DATA * 4)
    paused.get()
    net.start(receive_all, relay.sink)
    drained.wait()


# -- errors at either side ----------------------------------------------------------------------


def test_a_reset_of_the_source_is_the_sources_error(tcp: Net) -> None:
    relay = Relay(tcp)
    errors: Queue[Any] = Queue()
    relay.left.on("error", errors.put)
    relay.source.sendall(b"before")
    assert receive(relay.sink, 6) == b"before"
    send_reset(relay.source)
    error = errors.get()
    assert (error.code, error.syscall) == ("ECONNRESET", "read")
    assert not relay.right.destroyed
    relay.right.end(b"after")
    assert receive_all(relay.sink) == b"after"


def test_a_reset_of_the_sink_is_the_destinations_error(tcp: Net) -> None:
    relay = Relay(tcp)
    errors: Queue[Any] = Queue()
    relay.right.on("error", errors.put)
    relay.source.sendall(b"x")
    assert receive(relay.sink, 1) == b"x"
    send_reset(relay.sink)
    sender = tcp.start(_send, relay.source, DATA)
    error = errors.get()
    assert error.code in ("ECONNRESET", "EPIPE")
    tcp.closed(relay.right)
    # The source goes on for somebody else.
    assert not relay.left.destroyed
    relay.left.resume()
    sender.get()
    tcp.turns()


def test_a_sink_that_goes_in_mid_transfer_mixes_nothing_into_another_pipe(tcp: Net) -> None:
    doomed, healthy = Relay(tcp), Relay(tcp)
    doomed.right.on("error", lambda exc: None)
    tcp.start(_send, doomed.source, b"\xff" * SIZE)
    healthy_sender = tcp.start(_send, healthy.source, b"\x01" * SIZE)
    receive(doomed.sink, 100_000)
    send_reset(doomed.sink)
    assert receive_all(healthy.sink) == b"\x01" * SIZE
    healthy_sender.get()


def test_destroying_either_end_in_mid_transfer_leaves_nothing(net: Net) -> None:
    for victim in ("left", "right"):
        relay = Relay(net)
        sender = net.start(_send, relay.source, DATA * 4)
        receive(relay.sink, 100_000)
        getattr(relay, victim).destroy()
        net.closed(getattr(relay, victim))
        relay.left.destroy()
        relay.right.destroy()
        sender.get()


def test_a_handler_that_raises_in_the_middle_of_a_move_leaves_no_byte_for_another(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "kernel":
        pytest.skip("there is nothing to leave")
    splicer = splicer_module.Splicer()
    splicer.acquire()
    one, other = socket.socketpair(), socket.socketpair()
    splice = os.splice
    try:
        one[0].sendall(b"secret")

        def interrupted(source: int, destination: int, *args: Any, **options: Any) -> int:
            if destination == other[0].fileno():
                raise KeyboardInterrupt
            return splice(source, destination, *args, **options)

        monkeypatch.setattr(os, "splice", interrupted)
        with pytest.raises(KeyboardInterrupt):
            splicer.move(one[1].fileno(), other[0].fileno())
        monkeypatch.undo()
        one[0].sendall(b"mine")
        assert splicer.move(one[1].fileno(), other[0].fileno()) == (4, b"", None)
        assert other[1].recv(100) == b"mine"
    finally:
        splicer.release()
        for end in (*one, *other):
            end.close()


# -- descriptors ------------------------------------------------------------------------------


def test_without_a_free_descriptor_the_bytes_are_copied(
    net: Net, way: str, monkeypatch: pytest.MonkeyPatch, moves: Moves
) -> None:
    if way != "kernel":
        pytest.skip("no descriptor is needed")
    relay = Relay(net)

    def pipe2(flags: int) -> Any:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(os, "pipe2", pipe2)
    net.start(_send, relay.source, DATA)
    assert digest(receive_all(relay.sink)) == digest(DATA)
    assert relay.left.bytes_read == relay.right.bytes_written == SIZE
    assert moves.bytes == 0


def test_one_pipe_of_the_kernels_serves_all_and_goes_with_the_last(tcp: Net, way: str) -> None:
    before = pipes()
    relays = [Relay(tcp) for _ in range(5)]
    for relay in relays:
        relay.source.sendall(b"x")
        assert receive(relay.sink, 1) == b"x"
    assert len(pipes() - before) == (2 if way == "kernel" else 0)
    for relay in relays:
        relay.left.unpipe()
    assert pipes() == before


def pipes() -> set[int]:
    return {fd for fd, kind in descriptors().items() if kind.startswith("pipe:")}


def test_a_small_pipe_of_the_kernels_will_do(
    net: Net, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "kernel":
        pytest.skip("there is no such pipe")
    import fcntl

    real = fcntl.fcntl

    def smallest(fd: int, command: int, argument: Any = 0) -> Any:
        return real(fd, command, 4096 if command == fcntl.F_SETPIPE_SZ else argument)

    monkeypatch.setattr(splicer_module.fcntl, "fcntl", smallest)
    relay = Relay(net)
    net.start(_send, relay.source, DATA)
    assert digest(receive_all(relay.sink)) == digest(DATA)


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_and_its_parent_move_their_own_bytes(tcp: Net) -> None:
    relay = Relay(tcp)
    relay.source.sendall(b"before")
    assert receive(relay.sink, 6) == b"before"

    def task() -> bytes:
        child = Net("ipv4")
        mine = Relay(child)
        child.start(_send, mine.source, b"\x02" * 1_000_000)
        received = receive_all(mine.sink)
        child.end_all()
        return received[:1] * (received == b"\x02" * 1_000_000)

    assert fork is not None
    forked = Child(task, fork)
    sender = tcp.start(_send, relay.source, DATA)
    assert digest(receive_all(relay.sink)) == digest(DATA)
    assert forked.result() == b"\x02"
    sender.get()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has splice()")
def test_linux_has_it(way: str) -> None:
    assert splicer_module.AVAILABLE is (way == "kernel")
