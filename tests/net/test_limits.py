"""What a peer may cost: bytes queued for it, and deadlines, each with an error that says which."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet.errors import DeadlineError, SocketClosedError, WriteAfterEndError, WriteLimitError
from tests.helpers.blackhole import blackhole
from tests.helpers.calls import Calls
from tests.helpers.counts import descriptors, watchers
from tests.helpers.servers import receive
from tests.helpers.turns import turns_of_the_loop
from tests.net.conftest import Net

# Beyond what the buffers of two kernel sockets take.
BIG = bytes(16 * 1024 * 1024)
LIMIT = 1000
# A deadline of the tests, in seconds, and one that does not come.
SOON = 0.05
LATER = 60.0

NUMBERS = ("write_limit",)
TIMES = ("first_byte_timeout", "write_timeout", "lifetime")


def stalled(sock: gnet.Socket) -> int:
    """Fill the kernel's buffers and begin a queue; gives the queue's size."""
    sock.write(BIG)
    assert sock.writable_length > 0
    return sock.writable_length


def timers() -> int:
    """How many timers of the loop there are; the test's own limit is one of them."""
    return sum("timer" in type(each).__name__.lower() for each in watchers())


# -- arguments -------------------------------------------------------------------------------

MAKERS: list[Any] = [
    pytest.param(lambda **options: gnet.Socket(**options), id="Socket"),
    pytest.param(lambda **options: gnet.Server(**options), id="Server"),
    pytest.param(lambda **options: gnet.connect(1, "127.0.0.1", **options), id="connect"),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", [*NUMBERS, *TIMES])
@pytest.mark.parametrize("value", ["1", True, b"1", [], object()])
def test_a_limit_of_another_kind_is_a_type_error(
    make: Callable[..., Any], name: str, value: Any
) -> None:
    before = descriptors()
    with pytest.raises(TypeError, match=name) as caught:
        make(**{name: value})
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert descriptors() == before


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("write_limit", 0), ("write_limit", -1), ("write_limit", 2**63)]
    + [(name, value) for name in TIMES for value in (-1, float("nan"), float("inf"), 2**40)],
)
def test_a_limit_out_of_range_is_a_value_error(
    make: Callable[..., Any], name: str, value: Any
) -> None:
    before = descriptors()
    with pytest.raises(ValueError, match=name) as caught:
        make(**{name: value})
    assert caught.value.code == "ERR_OUT_OF_RANGE"
    assert descriptors() == before


@pytest.mark.parametrize("make", MAKERS)
def test_when_over_is_one_of_three_words(make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="'block', 'raise' or 'destroy'") as caught:
        make(when_over="drop")
    assert caught.value.code == "ERR_INVALID_ARG_VALUE"
    with pytest.raises(TypeError, match="when_over") as wrong:
        make(when_over=None)
    assert wrong.value.code == "ERR_INVALID_ARG_TYPE"


@pytest.mark.parametrize(
    ("value", "kind", "code"),
    [
        ("1", TypeError, "ERR_INVALID_ARG_TYPE"),
        (True, TypeError, "ERR_INVALID_ARG_TYPE"),
        (-1, ValueError, "ERR_OUT_OF_RANGE"),
        (float("nan"), ValueError, "ERR_OUT_OF_RANGE"),
    ],
)
def test_a_bad_connect_timeout_is_refused_before_anything_is_opened(
    value: Any, kind: type[Exception], code: str
) -> None:
    before = descriptors()
    with pytest.raises(kind, match="connect_timeout") as caught:
        gnet.connect(1, "127.0.0.1", connect_timeout=value)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert descriptors() == before


@pytest.mark.parametrize("name", TIMES)
def test_a_deadline_of_zero_or_none_is_no_deadline(tcp: Net, name: str) -> None:
    before = timers()
    tcp.accepted(**{name: 0})
    assert timers() == before
    other, _ = tcp.accepted(**{name: None})
    assert not other.destroyed


# -- write_limit ------------------------------------------------------------------------------


@pytest.mark.parametrize("when_over", ["block", "raise", "destroy"])
def test_one_message_is_always_taken(net: Net, when_over: str) -> None:
    sock, peer = net.accepted(write_limit=LIMIT, when_over=when_over)
    assert sock.write(BIG) is False
    assert sock.writable_length > LIMIT
    assert receive(peer, len(BIG)) == BIG


@pytest.mark.parametrize("when_over", ["block", "raise", "destroy"])
def test_up_to_its_limit_a_queue_takes_messages(tcp: Net, when_over: str) -> None:
    sock, peer = tcp.accepted(write_limit=len(BIG), when_over=when_over)
    queued = stalled(sock)
    rest = bytes(len(BIG) - queued)
    sock.write(rest)
    assert sock.writable_length == len(BIG)
    assert receive(peer, len(BIG) + len(rest)) == BIG + rest


def test_over_its_limit_a_connection_is_destroyed(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted(write_limit=LIMIT)
    sock.on("error", errored := must_call())
    sock.on("close", closed := must_call())
    stalled(sock)
    assert sock.write(b"x", callback := must_call()) is False
    assert sock.destroyed
    (error,) = errored.wait()
    assert closed.wait() == (True,)
    assert callback.wait() == (error,)
    assert isinstance(error, WriteLimitError)
    assert error.code == "ERR_WRITE_LIMIT"
    assert str(LIMIT) in str(error)


def test_a_write_that_is_too_much_raises_and_changes_nothing(net: Net) -> None:
    sock, peer = net.accepted(write_limit=LIMIT, when_over="raise")
    queued = stalled(sock)
    written = sock.bytes_written
    with pytest.raises(WriteLimitError) as caught:
        sock.write(b"x")
    assert caught.value.code == "ERR_WRITE_LIMIT"
    assert (sock.writable_length, sock.bytes_written) == (queued, written)
    assert receive(peer, len(BIG)) == BIG
    sock.write(b"there is room again")
    assert receive(peer, 19) == b"there is room again"


def test_a_write_that_is_too_much_blocks_its_greenlet_until_there_is_room(net: Net) -> None:
    sock, peer = net.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    writer = net.start(sock.write, b"x" * LIMIT)
    net.turns()
    assert not writer.ready()
    assert receive(peer, len(BIG)) == BIG
    assert writer.get() is True
    assert receive(peer, LIMIT) == b"x" * LIMIT


def test_blocked_writes_keep_the_order_of_their_calls(tcp: Net) -> None:
    # The small ones would have room ahead of the large one.
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    messages = [b"a" * LIMIT, b"b", b"c" * (LIMIT // 2), b"d"]
    writers = [tcp.start(sock.write, message) for message in messages]
    assert receive(peer, len(BIG)) == BIG
    expected = b"".join(messages)
    assert receive(peer, len(expected)) == expected
    gevent.joinall(writers)


def test_a_write_does_not_overtake_those_that_wake_up(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    first = tcp.start(sock.write, b"first")
    sock.once("drain", lambda: sock.write(b"second"))
    receive(peer, len(BIG))
    assert receive(peer, 11) == b"firstsecond"
    first.get()


def test_memory_is_bounded_by_the_limit_while_writers_block(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    largest = 0

    def write() -> None:
        nonlocal largest
        for _ in range(100):
            sock.write(bytes(LIMIT // 2))
            if sock.bytes_written > len(BIG) + LIMIT:
                largest = max(largest, sock.writable_length)

    writers = [tcp.start(write) for _ in range(4)]
    receive(peer, len(BIG) + 400 * (LIMIT // 2))
    gevent.joinall(writers)
    assert largest <= LIMIT


def test_a_blocked_write_that_is_killed_lets_the_next_one_through(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    first = tcp.start(sock.write, b"a" * LIMIT)
    second = tcp.start(sock.write, b"b")
    first.kill()
    assert receive(peer, len(BIG)) == BIG
    second.get()
    assert receive(peer, 1) == b"b"


def test_destroying_the_connection_ends_a_blocked_write(net: Net) -> None:
    sock, _ = net.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    writer = net.start(sock.write, b"x")
    sock.destroy()
    assert isinstance(writer.get(), SocketClosedError)


def test_a_reset_ends_a_blocked_write(net: Net) -> None:
    sock, peer = net.accepted(write_limit=LIMIT, when_over="block")
    stalled(sock)
    writer = net.start(sock.write, b"x")
    net.reset(sock, peer) if net.is_tcp else peer.close()
    assert isinstance(writer.get(), ConnectionError)


def test_a_blocked_write_that_an_end_overtakes_says_so(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="block", allow_half_open=True)
    stalled(sock)
    writer = tcp.start(sock.write, b"too late")
    sock.end()
    received = receive(peer, len(BIG) + 8)
    assert received == BIG
    assert isinstance(writer.get(), WriteAfterEndError)


def test_the_limit_holds_before_the_connection_is_made(tcp: Net) -> None:
    with blackhole() as hole:
        sock = tcp.keep(gnet.connect(hole.port, hole.host, write_limit=LIMIT, when_over="raise"))
        sock.write(bytes(LIMIT))
        with pytest.raises(WriteLimitError):
            sock.write(b"x")
        assert sock.writable_length == LIMIT
        sock.destroy()


def test_a_blocked_write_waits_for_the_connection_too(tcp: Net) -> None:
    answer = Event()
    sock = tcp.resolving(answer.wait)
    sock.destroy()
    listener = tcp.listening_peer()
    port, host = tcp.target(listener)

    def lookup(name: str, **options: Any) -> Any:
        answer.wait()
        return [(host, 4)]

    sock = tcp.keep(
        gnet.connect(port, "a.name", lookup=lookup, write_limit=LIMIT, when_over="block")
    )
    sock.write(bytes(LIMIT))
    first = tcp.start(sock.write, b"first")
    second = tcp.start(sock.write, b"second")
    # Who is woken by this still has to wait.
    first.kill()
    tcp.turns()
    assert not second.ready()
    answer.set()
    second.get()
    peer = tcp.keep(listener.accept()[0])
    assert receive(peer, LIMIT + 6) == bytes(LIMIT) + b"second"


def test_sendall_needs_no_limit(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="destroy")
    sender = tcp.start(sock.sendall, BIG)
    assert receive(peer, len(BIG)) == BIG
    assert sender.get() is None


def test_what_is_corked_counts(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_limit=LIMIT, when_over="raise")
    sock.cork()
    sock.write(bytes(LIMIT))
    with pytest.raises(WriteLimitError):
        sock.write(b"x")
    sock.uncork()
    assert receive(peer, LIMIT) == bytes(LIMIT)


def test_a_pipe_into_a_limited_socket_is_held_back_and_not_over_the_limit(tcp: Net) -> None:
    left, source = tcp.accepted()
    right, sink = tcp.accepted(write_limit=65536 * 8)
    left.pipe(right)
    data = bytes(range(256)) * (len(BIG) // 256)
    sender = tcp.start(source.sendall, data)
    received = receive(sink, len(data))
    assert received == data
    sender.get()
    assert not right.destroyed


def test_a_corked_queue_does_not_keep_the_loop_busy(tcp: Net) -> None:
    # The socket is writable all the time, and nothing may be written.
    sock, peer = tcp.accepted()
    queued = stalled(sock)
    sock.cork()
    receive(peer, len(BIG) - queued)
    tcp.turns()
    assert turns_of_the_loop(0.1) < 50
    sock.uncork()
    assert receive(peer, queued) == bytes(queued)


# -- first_byte_timeout -----------------------------------------------------------------------


def failure(sock: gnet.Socket) -> BaseException:
    """Block until the socket has failed; gives the error."""
    errors: Queue[BaseException] = Queue()
    sock.once("error", errors.put)
    error = errors.get()
    Net.closed(sock)
    return error


def test_a_peer_that_says_nothing_is_not_waited_for(net: Net) -> None:
    sock, peer = net.accepted(first_byte_timeout=SOON)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert isinstance(error, TimeoutError)
    assert (error.deadline, error.seconds, error.code) == ("first_byte_timeout", SOON, "ETIMEDOUT")
    assert peer.recv(1) == b""


def test_a_client_has_the_deadline_for_its_server(net: Net) -> None:
    sock, _ = net.connected(first_byte_timeout=SOON)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "first_byte_timeout"


@pytest.mark.parametrize("style", ["event", "blocking", "nobody"])
def test_a_byte_in_time_is_enough(net: Net, style: str) -> None:
    sock, peer = net.accepted(first_byte_timeout=SOON, lifetime=4 * SOON)
    peer.sendall(b"x")
    if style == "event":
        sock.on("data", lambda chunk: None)
    elif style == "blocking":
        assert sock.recv() == b"x"
    # And if nobody reads it, it has been sent all the same.
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"


def test_a_peer_that_has_ended_its_side_may_listen_on(tcp: Net) -> None:
    sock, peer = tcp.accepted(first_byte_timeout=SOON, lifetime=4 * SOON, allow_half_open=True)
    peer.shutdown(socket.SHUT_WR)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"


def test_a_blocked_handler_raises_the_deadline(tcp: Net) -> None:
    outcomes: Queue[Any] = Queue()

    def handler(sock: gnet.Socket) -> None:
        try:
            outcomes.put(sock.recv())
        except OSError as exc:
            outcomes.put(exc)
            raise

    server = tcp.server(handler, end_on_return=True, first_byte_timeout=SOON)
    tcp.peer(server)
    error = outcomes.get()
    assert isinstance(error, DeadlineError)
    assert error.deadline == "first_byte_timeout"


# -- write_timeout ----------------------------------------------------------------------------


def test_a_peer_that_takes_nothing_is_not_waited_for(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted(write_timeout=SOON)
    sock.write(BIG, callback := must_call())
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert (error.deadline, error.seconds) == ("write_timeout", SOON)
    assert callback.wait() == (error,)


def test_a_blocked_sendall_raises_the_deadline(net: Net) -> None:
    sock, _ = net.accepted(write_timeout=SOON)
    with pytest.raises(DeadlineError, match="write_timeout of 0.05 seconds is over"):
        sock.sendall(BIG)
    assert sock.destroyed


def test_a_slow_peer_that_takes_something_again_and_again_is_waited_for(tcp: Net) -> None:
    seconds = 0.3
    sock, peer = tcp.accepted(write_timeout=seconds)
    started = monotonic()
    sender = tcp.start(sock.sendall, BIG)
    left = len(BIG)
    while left:
        left -= len(receive(peer, min(left, len(BIG) // 8)))
        if left:
            gevent.sleep(seconds / 4)
    assert sender.get() is None
    assert monotonic() - started > seconds


def test_the_deadline_is_for_what_is_queued_only(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_timeout=SOON, lifetime=4 * SOON)
    sock.write(b"taken at once")
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"
    assert peer.recv(100) == b"taken at once"


def test_the_time_of_connecting_is_not_the_peers(tcp: Net) -> None:
    looked_up = Event()
    server_side: Queue[gnet.Socket] = Queue()
    server = tcp.server(server_side.put)
    port, host = tcp.target(server)

    def lookup(name: str, **options: Any) -> Any:
        looked_up.wait()
        return [(host, 4)]

    sock = tcp.keep(gnet.connect(port, "a.name", lookup=lookup, write_timeout=SOON))
    sock.write(b"queued for long")
    sock.set_timeout(3 * SOON)
    sock.wait("timeout")
    looked_up.set()
    assert server_side.get().recv() == b"queued for long"


def test_what_the_program_holds_back_itself_is_not_the_peers_fault(tcp: Net) -> None:
    sock, _ = tcp.accepted(write_timeout=SOON, lifetime=4 * SOON)
    sock.cork()
    sock.write(b"x")
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"


def test_a_queue_that_stalls_a_second_time_has_the_whole_time_again(tcp: Net) -> None:
    sock, peer = tcp.accepted(write_timeout=SOON)
    stalled(sock)
    drained = tcp.start(sock.wait, "drain")
    receive(peer, len(BIG))
    drained.get()
    # More than the kernel takes of a connection whose reader was that fast.
    for _ in range(4):
        sock.write(BIG)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "write_timeout"


def test_last_words_that_the_peer_does_not_take_are_given_up(tcp: Net) -> None:
    sock, _ = tcp.accepted(write_timeout=SOON)
    sock.write(BIG)
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    sock.close()
    error = errors.get()
    assert isinstance(error, DeadlineError)
    assert error.deadline == "write_timeout"


# -- lifetime ---------------------------------------------------------------------------------


def test_a_connection_is_over_after_its_lifetime_whatever_happens_on_it(net: Net) -> None:
    sock, peer = net.accepted(lifetime=4 * SOON)
    sock.pipe(sock)
    talker = net.start(_talk, peer)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert (error.deadline, error.seconds) == ("lifetime", 4 * SOON)
    assert sock.bytes_read > 0
    talker.get()


def _talk(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"x")
        if not peer.recv(1):
            return


def test_a_lifetime_begins_anew_with_a_second_connection(tcp: Net) -> None:
    server = tcp.server()
    sock = tcp.connect(server, lifetime=SOON)
    assert isinstance(failure(sock), DeadlineError)
    sock.connect(*tcp.target(server))
    sock.wait("connect")
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"


def test_deadlines_leave_no_timer_behind(tcp: Net) -> None:
    before = timers()
    sock, _ = tcp.accepted(first_byte_timeout=LATER, write_timeout=LATER, lifetime=LATER)
    sock.write(BIG)
    assert timers() == before + 1
    sock.destroy()
    tcp.closed(sock)
    assert timers() == before


def test_a_deadline_does_not_keep_an_unused_socket_alive(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = gnet.connect(*tcp.target(listener), lifetime=LATER)
    sock.wait("connect")
    with pytest.warns(ResourceWarning, match="unclosed"):
        del sock
        gc.collect()


def test_the_deadlines_of_many_connections_cost_one_watcher(tcp: Net) -> None:
    before = timers()
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, first_byte_timeout=LATER, lifetime=LATER)
    for _ in range(20):
        tcp.peer(server)
        arrived.get()
    assert timers() == before + 1


@pytest.mark.parametrize("name", TIMES)
def test_a_failed_deadline_kills_no_other_connection(tcp: Net, name: str) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, **{name: 4 * SOON})
    doomed_peer = tcp.peer(server)
    doomed = arrived.get()
    doomed.on("error", lambda exc: None)
    if name == "write_timeout":
        doomed.write(BIG)
    tcp.closed(doomed)
    doomed_peer.close()
    fresh_peer = tcp.peer(server)
    fresh = arrived.get()
    fresh.write(b"hello")
    assert receive(fresh_peer, 5) == b"hello"
    assert not fresh.destroyed


def test_a_deadlines_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(DeadlineError("lifetime", 1.5)))
    assert (error.deadline, error.seconds, error.code) == ("lifetime", 1.5, "ETIMEDOUT")
    limit = pickle.loads(pickle.dumps(WriteLimitError(7)))
    assert (str(limit), limit.code) == (str(WriteLimitError(7)), "ERR_WRITE_LIMIT")


# -- connect_timeout --------------------------------------------------------------------------


def test_connect_timeout_covers_the_lookup(tcp: Net) -> None:
    answer = Event()

    def lookup(name: str, **options: Any) -> Any:
        answer.wait()
        return [("127.0.0.1", 4)]

    sock = tcp.keep(gnet.connect(1, "a.name", lookup=lookup, connect_timeout=SOON))
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert (error.deadline, error.seconds) == ("connect_timeout", SOON)
    # The late answer does nothing.
    answer.set()
    tcp.turns()
    assert sock.closed


def test_connect_timeout_covers_every_attempt_of_a_race(tcp: Net) -> None:
    with blackhole() as first, blackhole("127.0.0.2", first.port):
        sock = tcp.keep(
            gnet.connect(
                first.port,
                "a.name",
                lookup=lambda name, **options: [("127.0.0.1", 4), ("127.0.0.2", 4)],
                auto_select_family_attempt_timeout=0.02,
                connect_timeout=3 * SOON,
            )
        )
        error = failure(sock)
        assert isinstance(error, DeadlineError)
        assert error.deadline == "connect_timeout"
        assert len(sock.auto_select_family_attempted_addresses or ()) == 2


@pytest.mark.parametrize("call", ["recv", "sendall", "with", "wait"])
def test_a_blocking_call_raises_the_deadline_of_the_connecting(tcp: Net, call: str) -> None:
    with blackhole() as hole:
        sock = tcp.keep(gnet.connect(hole.port, hole.host, connect_timeout=SOON))
        calls: dict[str, Callable[[], Any]] = {
            "recv": sock.recv,
            "sendall": lambda: sock.sendall(b"x"),
            "with": sock.__enter__,
            "wait": lambda: sock.wait("connect"),
        }
        with pytest.raises(DeadlineError, match="connect_timeout"):
            calls[call]()
        assert sock.destroyed


def test_connect_timeout_ends_with_the_connecting(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener, connect_timeout=SOON, lifetime=4 * SOON)
    error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "lifetime"


def test_connect_timeout_is_one_calls_alone(tcp: Net) -> None:
    server = tcp.server()
    sock = tcp.connect(server, connect_timeout=SOON)
    sock.wait("connect")
    sock.destroy()
    tcp.closed(sock)
    with blackhole() as hole:
        sock.connect(hole.port, hole.host)
        sock.set_timeout(3 * SOON)
        sock.wait("timeout")
        assert sock.connecting
        sock.destroy()


def test_connect_timeout_of_a_full_path(directory: Any) -> None:
    path = str(directory / "full")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as filler:
        listener.bind(path)
        listener.listen(0)
        filler.connect(path)
        sock = gnet.connect(path, connect_timeout=SOON)
        with pytest.raises(DeadlineError, match="connect_timeout"):
            sock.wait("connect")
