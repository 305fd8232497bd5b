"""Rule 7: write() never blocks, sendall() throttles, and no message is ever torn."""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import AsyncResult, Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]

BIG = 10_000_000


def read_all(peer: Any) -> gevent.Greenlet[..., bytes]:
    """Read to the end, in a greenlet."""
    return gevent.spawn(peer.makefile("rb").read)


def read(peer: Any, size: int) -> int:
    """Read so many bytes, and look at none of them."""
    received = 0
    while received < size:
        received += len(peer.recv(1_000_000))
    return received


# ---------------------------------------------------------------------------------------------
# write() and the high-water mark.


def test_a_write_that_the_kernel_takes_returns_true_and_queues_nothing(net: Net) -> None:
    sock, peer = net.accepted()
    assert sock.write(b"hello") is True
    assert sock.writable_length == 0
    assert not sock.writable_need_drain
    assert peer.recv(100) == b"hello"


def test_a_write_that_the_kernel_does_not_take_returns_false_and_drain_follows(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    assert sock.write(bytes(BIG)) is False
    queued = sock.writable_length
    assert 65536 < queued < BIG
    assert sock.writable_need_drain
    drained = must_call(lambda: lengths.append(sock.writable_length))
    lengths: list[int] = []
    sock.on("drain", drained)
    assert read(peer, BIG) == BIG
    drained.wait()
    assert lengths == [0]
    assert not sock.writable_need_drain
    net.turns()


def test_the_queue_is_below_the_mark_or_it_is_not(net: Net) -> None:
    """At the mark is not below it."""
    sock = net.connect(net.server())
    assert sock.write(bytes(65_535)) is True
    assert sock.write(b"x") is False
    sock.destroy()
    sock = net.connect(net.server(), high_water_mark=10)
    assert sock.write(b"123456789") is True
    assert sock.write(b"0") is False


def test_a_server_gives_its_high_water_mark_to_its_connections(net: Net) -> None:
    sock, _ = net.accepted(high_water_mark=100_000_000)
    assert sock.write(bytes(BIG)) is True
    assert sock.writable_length > 65536


def test_drain_does_not_come_without_a_false(net: Net, must_not_call: MustNotCall) -> None:
    sock, peer = net.accepted(high_water_mark=100_000_000)
    sock.on("drain", must_not_call("drain"))
    written = Event()
    assert sock.write(bytes(BIG), callback=lambda *args: written.set()) is True
    read(peer, BIG)
    written.wait()
    net.turns()


def test_drain_comes_once_for_many_falses(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    drained = must_call()
    sock.on("drain", drained)
    for _ in range(10):
        assert sock.write(bytes(BIG // 10)) in (True, False)
    read(peer, BIG)
    drained.wait()
    net.turns()
    assert drained.count == 1


def test_a_write_of_fifty_megabytes_to_a_slow_reader_returns_false_and_then_drains(
    tcp: Net, must_call: Calls
) -> None:
    sock, peer = tcp.accepted()
    total = 50_000_000
    assert sock.write(bytes(total)) is False
    drained = must_call()
    sock.on("drain", drained)
    received = 0
    while received < total:
        received += len(peer.recv(4_000_000))
        assert sock.writable_length <= total - received
        gevent.sleep(0)
    drained.wait()


def test_fifty_megabytes_by_sendall_to_a_slow_reader_keep_memory_flat(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    chunk, count = bytes(100_000), 500
    most = 0

    def produce() -> None:
        nonlocal most
        for _ in range(count):
            sock.sendall(chunk)
            most = max(most, sock.writable_length)

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        producer = gevent.spawn(produce)
        received = 0
        buffer = bytearray(65536)
        while received < len(chunk) * count:
            received += peer.recv_into(buffer)
        producer.get()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most <= len(chunk)
    assert peak - before < 2_000_000
    assert sock.bytes_written == len(chunk) * count


def test_one_sendall_of_fifty_megabytes_copies_nothing(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    for data in (bytes(50_000_000), bytearray(50_000_000)):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            writer = gevent.spawn(sock.sendall, data)
            received = 0
            buffer = bytearray(65536)
            while received < len(data):
                received += peer.recv_into(buffer)
            writer.get()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak - before < 2_000_000


def test_buffer_size_is_the_deprecated_name_of_the_queues_length(net: Net) -> None:
    sock = net.connect(net.server())
    sock.write(b"12345")
    with pytest.deprecated_call():
        assert sock.buffer_size == sock.writable_length == 5


# ---------------------------------------------------------------------------------------------
# sendall()


def test_sendall_returns_when_its_last_byte_is_with_the_kernel(net: Net) -> None:
    sock, peer = net.accepted()
    writer = gevent.spawn(sock.sendall, bytes(BIG))
    net.turns(10)
    assert not writer.ready()
    assert sock.writable_length > 0
    assert read(peer, BIG) == BIG
    assert writer.get() is None
    assert sock.writable_length == 0


def test_sendall_waits_for_what_was_written_ahead_of_it(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(bytes(BIG))
    writer = gevent.spawn(sock.sendall, b"last")
    net.turns(10)
    assert not writer.ready()
    read(peer, BIG + 4)
    writer.get()


def test_send_gives_how_much_it_has_sent(net: Net) -> None:
    sock, peer = net.accepted()
    assert sock.send(b"hello") == 5
    assert peer.recv(100) == b"hello"
    assert sock.send(b"") == 0


def test_sendall_takes_no_text(net: Net) -> None:
    sock, _ = net.accepted()
    with pytest.raises(TypeError, match="bytes-like"):
        sock.sendall("text")  # type: ignore[arg-type]
    assert sock.bytes_written == 0
    assert not sock.destroyed


# ---------------------------------------------------------------------------------------------
# Order.


def test_bytes_go_out_in_the_order_of_the_calls_whichever_call_it_was(net: Net) -> None:
    sock, peer = net.accepted()
    reader = read_all(peer)
    expected = bytearray()
    for number in range(40):
        message = b"%03d" % number * (1 + 7000 * (number % 7))
        expected += message
        if number % 3:
            sock.write(message)
        else:
            sock.sendall(message)
    sock.end(b"the end")
    assert reader.get() == bytes(expected) + b"the end"


def test_writes_behind_a_blocked_sendall_follow_it(net: Net) -> None:
    sock, peer = net.accepted()
    first = gevent.spawn(sock.sendall, b"a" * BIG)
    gevent.sleep(0)
    sock.write(b"b" * 1000)
    second = gevent.spawn(sock.sendall, b"c" * 1000)
    gevent.sleep(0)
    sock.end(b"d")
    data = read_all(peer).get()
    assert data == b"a" * BIG + b"b" * 1000 + b"c" * 1000 + b"d"
    first.get()
    second.get()


def test_messages_of_many_greenlets_are_never_torn(net: Net) -> None:
    sock, peer = net.accepted()
    reader = read_all(peer)
    size = 200_001

    def send(letter: bytes, blocking: bool) -> None:
        for _ in range(3):
            if blocking:
                sock.sendall(letter * size)
            else:
                sock.write(letter * size)
                gevent.sleep(0)

    senders = [gevent.spawn(send, bytes([65 + i]), i % 2 == 0) for i in range(10)]
    gevent.joinall(senders, raise_error=True)
    sock.end()
    data = reader.get()
    assert len(data) == size * 30
    for offset in range(0, len(data), size):
        message = data[offset : offset + size]
        assert message == message[:1] * size


def test_the_callbacks_of_writes_come_in_order_and_without_an_error(net: Net) -> None:
    sock, peer = net.accepted()
    log: list[Any] = []
    done = Event()
    sock.write(b"a", callback=lambda *args: log.append(("a", *args)))
    sock.write(bytes(BIG), callback=lambda *args: log.append(("b", *args)))
    sock.write(b"c", callback=lambda *args: (log.append(("c", *args)), done.set()))
    read(peer, BIG + 2)
    done.wait()
    assert [each[0] for each in log] == ["a", "b", "c"]
    assert all(each[1:] in ((), (None,)) for each in log)


# ---------------------------------------------------------------------------------------------
# Counting.


def test_bytes_written_counts_what_is_queued(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(bytes(BIG))
    assert sock.bytes_written == BIG
    sock.write("äöü")
    assert sock.bytes_written == BIG + 6
    writer = gevent.spawn(sock.sendall, b"1234")
    gevent.sleep(0)
    assert sock.bytes_written == BIG + 10
    read(peer, BIG + 10)
    writer.get()
    assert sock.bytes_written == BIG + 10
    sock.destroy()
    assert sock.bytes_written == BIG + 10


def test_bytes_read_counts_both_styles(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"12345")
    sock.wait("data")
    peer.sendall(b"678")
    assert sock.recv() == b"678"
    assert sock.bytes_read == 8


# ---------------------------------------------------------------------------------------------
# What can be written.


@pytest.mark.parametrize(
    ("data", "encoding", "sent"),
    [
        ("grüße", "utf-8", "grüße".encode()),
        ("grüße", "latin1", "grüße".encode("latin-1")),
        ("grüße", "utf8", "grüße".encode()),
        ("hi", "utf-16-le", b"h\0i\0"),
        ("6869", "hex", b"hi"),
        ("aGk=", "base64", b"hi"),
        (bytearray(b"bytes"), "utf-8", b"bytes"),
        (memoryview(b"bytes"), "utf-8", b"bytes"),
        (memoryview(b"b-y-t-e-s")[::2], "utf-8", b"bytes"),
        (array("H", [0x6868, 0x6969]), "utf-8", b"hhii"),
        (b"", "utf-8", b""),
        ("", "utf-8", b""),
    ],
)
def test_what_can_be_written(tcp: Net, data: Any, encoding: str, sent: bytes) -> None:
    sock, peer = tcp.accepted()
    assert sock.write(data, encoding) is True
    assert sock.bytes_written == len(sent)
    sock.end()
    assert peer.makefile("rb").read() == sent


def test_wide_elements_are_counted_as_bytes_when_they_are_queued(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    data = array("I", range(1_000_000))
    sock.write(data)
    assert sock.bytes_written == 4_000_000
    sock.write(memoryview(data))
    sock.end()
    assert read_all(peer).get() == data.tobytes() * 2


@pytest.mark.parametrize("data", [None, 1, 1.5, object(), ["a"], {"a": 1}])
def test_what_cannot_be_written_is_a_type_error(tcp: Net, data: Any) -> None:
    sock, _ = tcp.accepted()
    for method in (sock.write, sock.sendall):
        with pytest.raises(TypeError) as caught:
            method(data)
        code = "ERR_INVALID_ARG_TYPE"
        if data is None and method == sock.write:
            code = "ERR_STREAM_NULL_VALUES"
        assert caught.value.code == code  # type: ignore[attr-defined]
    assert not sock.destroyed
    assert sock.bytes_written == 0


def test_an_unknown_encoding_is_a_value_error(tcp: Net) -> None:
    sock, _ = tcp.accepted()
    with pytest.raises(ValueError, match="nonsense") as caught:
        sock.write("text", "nonsense")
    assert caught.value.code == "ERR_UNKNOWN_ENCODING"  # type: ignore[attr-defined]
    assert not sock.destroyed


def test_a_callback_may_stand_where_the_encoding_may(tcp: Net, must_call: Calls) -> None:
    sock, _ = tcp.accepted()
    sock.write(b"data", must_call())
    must_call.wait()
    sock.end(must_call())
    must_call.wait()


def test_a_callback_that_cannot_be_called_is_a_type_error(tcp: Net) -> None:
    sock, _ = tcp.accepted()
    with pytest.raises(TypeError):
        sock.write(b"data", callback="callback")  # type: ignore[arg-type]
    assert sock.bytes_written == 0


# ---------------------------------------------------------------------------------------------
# cork()


def test_corked_writes_wait_for_uncork(net: Net) -> None:
    sock, peer = net.accepted()
    sock.cork()
    assert sock.write(b"one ") is True
    sock.write(b"two ")
    net.turns()
    assert sock.writable_length == 8
    assert sock.bytes_written == 8
    sock.write(b"three")
    sock.uncork()
    assert peer.recv(100) == b"one two three"
    assert sock.writable_length == 0


def test_corks_nest(net: Net) -> None:
    sock, peer = net.accepted()
    sock.cork()
    sock.cork()
    sock.write(b"one")
    sock.uncork()
    net.turns()
    assert sock.writable_length == 3
    sock.uncork()
    assert peer.recv(100) == b"one"
    sock.uncork()
    sock.write(b"two")
    assert peer.recv(100) == b"two"


def test_end_sends_what_was_corked(net: Net) -> None:
    sock, peer = net.accepted()
    sock.cork()
    sock.write(b"one ")
    sock.end(b"two")
    assert peer.makefile("rb").read() == b"one two"


def test_corked_writes_before_the_connection_stay_corked(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.cork()
    sock.write(b"one ")
    sock.wait("connect")
    net.turns()
    assert sock.writable_length == 4
    sock.write(b"two")
    sock.uncork()
    assert net.keep(listener.accept()[0]).recv(100) == b"one two"


def test_a_corked_write_above_the_mark_returns_false_and_drains(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    sock.on("drain", must_call())
    sock.cork()
    assert sock.write(bytes(70_000)) is False
    sock.uncork()
    read(peer, 70_000)
    must_call.wait()


# ---------------------------------------------------------------------------------------------
# pipe()


def test_a_pipe_carries_everything_and_the_end(net: Net, must_call: Calls) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    piped = must_call()
    sink.on("pipe", piped)
    assert source.pipe(sink) is sink
    reader = read_all(sink_peer)
    data = bytes(range(256)) * 20_000
    source_peer.sendall(data)
    source_peer.close()
    assert reader.get() == data
    assert piped.wait() == (source,)


def test_a_pipe_of_a_socket_into_itself_is_an_echo(net: Net) -> None:
    sock, peer = net.accepted()
    sock.pipe(sock)
    data = bytes(range(256)) * 10_000
    sender = gevent.spawn(peer.sendall, data)
    received = b""
    while len(received) < len(data):
        received += peer.recv(1_000_000)
    sender.get()
    assert received == data
    peer.shutdown(1)
    assert peer.recv(1) == b""
    net.closed(sock)


def test_a_pipe_that_does_not_end_leaves_its_destination_open(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.pipe(sink, end=False)
    source_peer.sendall(b"one ")
    source_peer.close()
    net.closed(source)
    assert sink.writable
    sink.write(b"two")
    received = b""
    while len(received) < 7:
        received += sink_peer.recv(100)
    assert received == b"one two"


def test_unpipe_stops_the_flow(net: Net, must_call: Calls) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.pipe(sink)
    source_peer.sendall(b"one")
    assert sink_peer.recv(100) == b"one"
    sink.on("unpipe", must_call())
    source.unpipe(sink)
    source_peer.sendall(b"two")
    assert source.recv() == b"two"
    assert sink.writable
    must_call.wait()


def test_a_pipe_goes_to_several_destinations_at_the_speed_of_the_slowest(net: Net) -> None:
    source, source_peer = net.accepted()
    sinks = [net.accepted() for _ in range(2)]
    for sink, _ in sinks:
        source.pipe(sink)
    # More than the kernel's buffers between the two can hold.
    data = bytes(3 * BIG)
    sender = gevent.spawn(source_peer.sendall, data)
    fast, slow = (peer for _, peer in sinks)
    reader = read_all(fast)
    net.turns(50)
    assert not sender.ready()
    slow_reader = read_all(slow)
    sender.get()
    source_peer.close()
    assert len(reader.get()) == len(slow_reader.get()) == len(data)


def test_a_pipe_into_anything_with_write(net: Net) -> None:
    class Sink:
        def __init__(self) -> None:
            self.data = bytearray()
            self.ended = AsyncResult()

        def write(self, chunk: bytes) -> int:
            self.data += chunk
            return len(chunk)

        def end(self) -> None:
            self.ended.set(bytes(self.data))

    source, peer = net.accepted()
    sink = source.pipe(Sink())
    peer.sendall(b"hello")
    peer.close()
    assert sink.ended.get() == b"hello"


def test_a_pipe_into_what_cannot_be_written_is_a_type_error(tcp: Net) -> None:
    sock, _ = tcp.accepted()
    with pytest.raises(TypeError):
        sock.pipe(object())


def test_a_pipe_whose_destination_closes_does_not_harm_its_source(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, _ = net.accepted()
    source.pipe(sink)
    sink.destroy()
    net.closed(sink)
    source_peer.sendall(b"more")
    net.turns()
    assert not source.destroyed


def test_a_proxy_of_two_pipes_carries_both_directions(net: Net) -> None:
    upstream = net.server(lambda sock: sock.pipe(sock))

    def connected(sock: gnet.Socket) -> None:
        other = net.connect(upstream, allow_half_open=True)
        sock.pipe(other)
        other.pipe(sock)

    peer = net.peer(net.server(connected, allow_half_open=True))
    data = bytes(range(256)) * 8_000
    sender = gevent.spawn(lambda: (peer.sendall(data), peer.shutdown(1)))
    assert peer.makefile("rb").read() == data
    sender.get()


def test_a_pipe_of_a_paused_source_begins(net: Net) -> None:
    source, source_peer = net.accepted(pause_on_connect=True)
    sink, sink_peer = net.accepted()
    source.pipe(sink)
    source_peer.sendall(b"hello")
    assert sink_peer.recv(100) == b"hello"


@pytest.mark.parametrize("how", ["reset", "destroy", "unpipe"])
def test_a_destination_that_goes_while_it_is_full_costs_its_source_nothing(
    net: Net, how: str
) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    sink.on("error", lambda error: None)
    source.pipe(sink)
    sender = net.start(source_peer.sendall, bytes(30_000_000))
    while not sink.writable_need_drain:
        net.turns(1)
    net.turns(20)
    read_on = source.bytes_read
    if how == "unpipe":
        source.unpipe(sink)
    else:
        sink_peer.close() if how == "reset" else sink.destroy()
        net.closed(sink)
    net.turns(20)
    assert source.bytes_read == read_on
    assert len(source.recv(10)) == 10
    assert not source.destroyed
    assert not sender.ready()


def test_a_source_that_is_reset_leaves_its_destination_open(net: Net, must_call: Calls) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    error = must_call()
    source.on("error", error)
    source.pipe(sink)
    source_peer.sendall(b"one ")
    assert sink_peer.recv(100) == b"one "
    net.reset(source, source_peer)
    assert isinstance(error.wait()[0], ConnectionResetError)
    net.closed(source)
    assert sink.writable
    sink.end(b"two")
    assert sink_peer.makefile("rb").read() == b"two"


def test_a_listener_beside_a_pipe_gets_everything_as_well(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    seen = bytearray()
    source.pipe(sink)
    source.on("data", seen.extend)
    data = bytes(range(256)) * 8_000
    reader = read_all(sink_peer)
    source_peer.sendall(data)
    source_peer.close()
    assert reader.get() == data
    assert seen == data


def test_a_listener_may_come_and_go_beside_a_pipe(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.pipe(sink)
    seen: list[bytes] = []
    for number, message in enumerate((b"one", b"two", b"three")):
        if number == 1:
            source.on("data", seen.append)
        source_peer.sendall(message)
        assert sink_peer.recv(100) == message
        if number == 1:
            source.off("data", seen.append)
    assert seen == [b"two"]
    assert source.bytes_read == sink.bytes_written == 11


def test_a_pipe_of_text_writes_text(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.set_encoding("latin1")
    source.pipe(sink)
    source_peer.sendall(b"\xe4")
    source_peer.close()
    assert sink_peer.makefile("rb").read() == "ä".encode()


def test_a_pipe_is_activity_of_both_its_ends(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    fired: list[str] = []
    for name, sock in (("source", source), ("sink", sink)):
        sock.on("timeout", lambda name=name: fired.append(name))
        sock.set_timeout(0.3)
    source.pipe(sink)
    for _ in range(8):
        gevent.sleep(0.08)
        source_peer.sendall(b"x")
        sink_peer.recv(1)
    assert fired == []


def test_what_is_piped_and_what_is_written_keep_their_order(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    sink.write(b"a" * BIG)
    source.pipe(sink)
    source_peer.sendall(b"b" * 10)
    # A full destination holds the pipe up until it has drained.
    reader = read_all(sink_peer)
    while source.bytes_read < 10:
        net.turns(1)
    sink.write(b"c" * 10)
    source_peer.close()
    assert reader.get() == b"a" * BIG + b"b" * 10 + b"c" * 10


def test_a_corked_destination_sends_nothing_of_a_pipe(net: Net) -> None:
    source, source_peer = net.accepted()
    sink, sink_peer = net.accepted()
    source.pipe(sink)
    sink.cork()
    source_peer.sendall(b"one")
    while source.bytes_read < 3:
        net.turns(1)
    net.turns()
    assert sink.writable_length == 3
    sink.uncork()
    assert sink_peer.recv(100) == b"one"


def test_several_sources_of_one_destination_lose_nothing(net: Net) -> None:
    sink, sink_peer = net.accepted()
    sources = [net.accepted() for _ in range(3)]
    reader = read_all(sink_peer)
    size = 1_000_000
    senders = []
    for number, (source, peer) in enumerate(sources):
        source.pipe(sink, end=False)
        senders.append(gevent.spawn(peer.sendall, bytes([number]) * size))
    gevent.joinall(senders, raise_error=True)
    for source, peer in sources:
        peer.close()
        net.closed(source)
    sink.end()
    data = reader.get()
    assert [data.count(number) for number in range(4)] == [size, size, size, 0]


def test_a_pipe_may_be_laid_before_the_connections(net: Net) -> None:
    listeners = [net.listening_peer() for _ in range(2)]
    source, sink = (net.connect(listener) for listener in listeners)
    source.pipe(sink)
    source_peer, sink_peer = (net.keep(listener.accept()[0]) for listener in listeners)
    source_peer.sendall(b"hello")
    source_peer.close()
    assert sink_peer.makefile("rb").read() == b"hello"


# ---------------------------------------------------------------------------------------------
# Any order.

WRITES = st.lists(
    st.tuples(
        st.sampled_from(["write", "text", "sendall", "interrupted", "cork", "uncork", "turn"]),
        st.integers(0, 200_000),
    ),
    min_size=1,
    max_size=15,
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(writes=WRITES)
@pytest.mark.limit(60)
def test_any_sequence_of_writes_comes_out_in_its_order(
    tcp: Net, writes: list[tuple[str, int]]
) -> None:
    sock, peer = tcp.accepted()
    expected = bytearray()
    corked = 0

    def slow_reader() -> bytes:
        received = bytearray()
        while chunk := peer.recv(30_000):
            received += chunk
            gevent.sleep(0)
        return bytes(received)

    reader = gevent.spawn(slow_reader)
    for number, (how, size) in enumerate(writes):
        message = bytes([number]) * size
        if how == "cork":
            sock.cork()
            corked += 1
        elif how == "uncork":
            sock.uncork()
            corked = max(0, corked - 1)
        elif how == "turn":
            gevent.sleep(0)
        elif how == "interrupted":
            with gevent.Timeout(0.001, False):
                sock.sendall(message)
            expected += message
        elif how == "text":
            sock.write(message.decode("latin1"), "latin1")
            expected += message
        elif how == "write" or corked:
            sock.write(bytearray(message))
            expected += message
        else:
            sock.sendall(message)
            expected += message
    assert sock.bytes_written == len(expected)
    sock.end()
    received = reader.get()
    tcp.end_all()
    tcp._made.clear()
    assert received == expected
