"""What every transport does, below the stream (``gnet/_transport/protocol.py``)."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import AsyncResult, Event

from gnet._loop import splicer
from gnet._loop.peer_watch import AVAILABLE, PeerWatch
from gnet._transport.protocol import READ, WRITE, Transport
from tests.helpers.transports import KINDS, Firing, Flood, Kind, await_event, read, receive, send
from tests.helpers.windows import needs_resets

# More than one message of a named pipe.
MORE = 70_000


class Connection:
    """Two connected ends; ``writer`` sends to ``reader``."""

    def __init__(self, kind: Kind, writer: Transport, reader: Transport) -> None:
        self.kind = kind
        self.writer = writer
        self.reader = reader


WAYS = [
    (kind, turned) for kind in KINDS for turned in ((False, True) if kind.both_ways else (False,))
]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}{'-back' * way[1]}")
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Every transport in its turn, and each of its ways."""
    kind, turned = request.param
    with kind.make() as ends:
        writer, reader = reversed(ends) if turned else ends
        yield Connection(kind, writer, reader)


def code_of(error: BaseException) -> str:
    assert isinstance(error, OSError)
    return errno.errorcode[error.errno or 0]


# -- bytes ----------------------------------------------------------------------------------------


def test_it_is_a_transport(connection: Connection) -> None:
    assert isinstance(connection.writer, Transport)
    assert isinstance(connection.reader, Transport)


def test_what_is_sent_is_received_in_order(connection: Connection) -> None:
    send(connection.writer, b"one")
    send(connection.writer, b"two")
    assert receive(connection.reader, 6) == b"onetwo"


def test_a_read_gives_no_more_than_was_asked_for(connection: Connection) -> None:
    send(connection.writer, b"abcdef")
    assert receive(connection.reader, 1) == b"a"
    assert receive(connection.reader, 2) == b"bc"
    assert receive(connection.reader, 3) == b"def"


def test_with_nothing_there_no_call_blocks(connection: Connection) -> None:
    reader = connection.reader
    for call in (lambda: reader.recv(10), lambda: reader.recv_into(bytearray(10)), reader.at_end):
        with pytest.raises(BlockingIOError):
            call()


def test_a_buffer_is_filled_as_far_as_was_asked(connection: Connection) -> None:
    send(connection.writer, b"abcdef")
    reader = connection.reader
    await_event(reader, READ)
    buffer = bytearray(8)
    assert read(reader, reader.recv_into, buffer, 2) == 2
    assert read(reader, reader.recv_into, memoryview(buffer)[2:]) == 4
    assert buffer == b"abcdef\0\0"


def test_several_buffers_are_sent_one_behind_the_other(connection: Connection) -> None:
    buffers = [b"one", bytearray(b"two"), memoryview(b"three")]
    sent = connection.writer.sendmsg(buffers)
    assert sent == 11
    assert receive(connection.reader, 11) == b"onetwothree"


def test_a_part_is_sent_where_not_all_is_taken_and_nothing_is_lost(connection: Connection) -> None:
    flood = Flood(connection.writer, connection.kind.largest)
    flood.fill()
    reading = gevent.spawn(receive, connection.reader, flood.sent + MORE)
    assert flood.finish(MORE) == reading.get()
    with pytest.raises(BlockingIOError):
        connection.reader.recv(1)


def test_no_bytes_are_sent_at_once(connection: Connection) -> None:
    assert connection.writer.send(b"") == 0
    send(connection.writer, b"x")
    assert receive(connection.reader, 1) == b"x"


def test_looking_for_the_end_takes_nothing(connection: Connection) -> None:
    send(connection.writer, b"abc")
    await_event(connection.reader, READ)
    assert connection.reader.at_end() is False
    assert receive(connection.reader, 3) == b"abc"


def test_the_sides_are_those_that_there_are(connection: Connection) -> None:
    both = connection.kind.both_ways
    assert connection.writer.sides() == (both, True)
    assert connection.reader.sides() == (True, both)


# -- watchers -------------------------------------------------------------------------------------


def test_a_watcher_fires_for_as_long_as_there_is_something(connection: Connection) -> None:
    reading = Firing(connection.reader, READ)
    reading.start()
    send(connection.writer, b"abc")
    for _ in range(3):
        reading.wait()
    assert receive(connection.reader, 3) == b"abc"
    reading.watcher.close()


def test_a_watcher_that_is_stopped_fires_no_more_until_it_is_started(
    connection: Connection,
) -> None:
    reading = Firing(connection.reader, READ)
    reading.start()
    send(connection.writer, b"abc")
    reading.wait()
    reading.watcher.stop()
    count = reading.count
    # Another one would have fired beside it.
    gevent.sleep(0.01)
    assert reading.count == count
    reading.start()
    reading.wait()
    reading.watcher.close()


def test_a_started_watcher_takes_another_callback(connection: Connection) -> None:
    reading = Firing(connection.reader, READ)
    reading.start()
    got = AsyncResult()
    reading.watcher.callback = lambda *args: got.set(args)
    reading.watcher.args = (1, 2)
    send(connection.writer, b"abc")
    assert got.get() == (1, 2)
    assert reading.count == 0
    reading.watcher.close()


def test_a_watcher_fires_when_there_is_room_again(connection: Connection) -> None:
    flood = Flood(connection.writer, connection.kind.largest)
    flood.fill()
    writing = Firing(connection.writer, WRITE)
    writing.start()
    assert len(receive(connection.reader, flood.sent)) == flood.sent
    writing.wait()
    writing.watcher.close()


def test_an_end_wakes_the_reader(connection: Connection) -> None:
    reader = connection.reader
    reading = Firing(reader, READ)
    reading.start()
    connection.writer.close()
    reading.wait()
    reading.watcher.close()
    assert receive(reader, 10) == b""


# -- the end --------------------------------------------------------------------------------------


def test_the_end_comes_behind_the_last_byte_and_stays(connection: Connection) -> None:
    writer, reader = connection.writer, connection.reader
    send(writer, b"abc")
    # A terminal drops what its other side has not read when this one closes.
    assert receive(reader, 2) == b"ab"
    drops = connection.kind.name == "terminal"
    if not drops:
        writer.close()
        assert read(reader, reader.at_end) is False
    assert receive(reader, 1) == b"c"
    if drops:
        writer.close()
    await_event(reader, READ)
    for _ in range(2):
        assert read(reader, reader.at_end) is True
        assert receive(reader, 10) == b""
        assert read(reader, reader.recv_into, bytearray(10)) == 0


def test_one_way_ends_and_the_other_goes_on(connection: Connection) -> None:
    if not connection.kind.half_open:
        pytest.skip("it has no end of one way")
    writer, reader = connection.writer, connection.reader
    send(writer, b"last")
    writer.shutdown(socket.SHUT_WR)
    assert receive(reader, 10) == b"last"
    assert reader.recv(10) == b""
    send(reader, b"answer")
    assert receive(writer, 6) == b"answer"


def test_a_side_that_is_shut_down_reads_an_end(connection: Connection) -> None:
    if not connection.kind.half_open:
        pytest.skip("it has no end of one way")
    reading = Firing(connection.reader, READ)
    reading.start()
    connection.reader.shutdown(socket.SHUT_RD)
    reading.wait()
    reading.watcher.close()
    assert connection.reader.recv(10) == b""


def test_a_peer_that_has_closed_takes_nothing_more(connection: Connection) -> None:
    if connection.kind.name == "terminal":
        pytest.skip("the kernel takes what nobody will read")
    connection.reader.close()
    with pytest.raises(OSError) as caught:
        while True:
            try:
                connection.writer.send(b"x")
            except BlockingIOError:
                await_event(connection.writer, WRITE)
            gevent.sleep(0.001)
    assert isinstance(caught.value, ConnectionError)


def test_closed_is_closed(connection: Connection) -> None:
    for end in connection.writer, connection.reader:
        watchers = [end.watch(gevent.get_hub().loop, events) for events in (READ, WRITE)]
        for watcher in watchers:
            watcher.start(int)
        assert end.closed is False
        end.close()
        end.close()
        assert end.closed is True
        assert end.fileno() == -1
        assert end.detach() == -1
        with pytest.raises((OSError, ValueError)):
            end.recv(1)


def test_a_descriptor_is_given_away_and_the_connection_lives(connection: Connection) -> None:
    writer = connection.writer
    fd = writer.fileno()
    gives = fd >= 0 and connection.kind.gives_fd
    if not gives or sys.platform == "win32":
        if not gives:
            with pytest.raises(OSError) as caught:
                writer.detach()
            assert code_of(caught.value) == "ENOTSUP"
            assert writer.closed is False
        return
    assert writer.detach() == fd
    assert writer.closed is True
    try:
        assert os.write(fd, b"abc") == 3
        assert receive(connection.reader, 3) == b"abc"
    finally:
        socket.close(fd)


def test_an_end_that_is_abandoned_ends_nothing(connection: Connection) -> None:
    fd = connection.writer.abandon()
    assert connection.writer.closed is True
    try:
        with pytest.raises(BlockingIOError):
            connection.reader.at_end()
    finally:
        if fd >= 0 and sys.platform != "win32":
            socket.close(fd)
        elif fd >= 0:
            import _winapi

            _winapi.CloseHandle(fd)


# -- what is known of it --------------------------------------------------------------------------


def test_each_end_is_named_as_the_other_one_sees_it(connection: Connection) -> None:
    writer, reader = connection.writer, connection.reader
    assert writer.local_name() == reader.remote_name()
    assert writer.remote_name() == reader.local_name()
    assert writer.is_connected() is reader.is_connected() is True
    assert writer.family == reader.family


# -- abilities ------------------------------------------------------------------------------------


def test_it_resets_or_says_that_it_cannot(connection: Connection) -> None:
    if not connection.writer.RESET:
        with pytest.raises(OSError):
            connection.writer.reset_on_close()
        return
    if connection.kind.name.startswith(("tcp", "tls")):
        needs_resets()
    connection.writer.reset_on_close()
    connection.writer.close()
    await_event(connection.reader, READ)
    with pytest.raises(ConnectionResetError):
        connection.reader.recv(1)


def test_it_peeks_or_says_that_it_cannot(connection: Connection) -> None:
    send(connection.writer, b"abc")
    await_event(connection.reader, READ)
    if connection.reader.PEEK:
        assert connection.reader.recv(2, socket.MSG_PEEK) == b"ab"
    else:
        with pytest.raises(OSError) as caught:
            connection.reader.recv(2, socket.MSG_PEEK)
        assert code_of(caught.value) in ("EOPNOTSUPP", "ENOTSUP")
    assert receive(connection.reader, 3) == b"abc"


def test_it_takes_options_of_tcp_or_says_that_it_cannot(connection: Connection) -> None:
    level, name = socket.IPPROTO_TCP, socket.TCP_NODELAY
    if connection.writer.TCP_OPTIONS:
        connection.writer.set_option(level, name, 1)
        assert connection.writer.option(level, name)
    else:
        for call in (
            lambda: connection.writer.set_option(level, name, 1),
            lambda: connection.writer.option(level, name),
        ):
            with pytest.raises(OSError):
                call()


def test_it_has_messages_where_it_says_so(connection: Connection) -> None:
    assert hasattr(connection.reader, "recvfrom") is connection.reader.MESSAGES


def test_the_end_of_the_peer_is_seen_behind_unread_bytes_where_it_says_so(
    connection: Connection,
) -> None:
    if not AVAILABLE or not connection.reader.PEER_END:
        pytest.skip("it does not say so")

    class Watched:
        ended = Event()

        def _peer_has_ended(self) -> None:
            self.ended.set()

    watched = Watched()
    peers = PeerWatch(gevent.get_hub().loop)
    peers.add(connection.reader, watched)
    send(connection.writer, b"unread")
    connection.writer.close()
    watched.ended.wait()
    peers.remove(connection.reader)


def test_the_kernel_moves_its_bytes_where_it_says_so(connection: Connection) -> None:
    if not splicer.AVAILABLE or not (connection.writer.SPLICE and connection.reader.SPLICE):
        pytest.skip("it does not say so")
    mover = splicer.Splicer()
    mover.acquire()
    here, there = (connection.kind.make() for _ in range(2))
    with here as (source, end), there as (other, destination):
        send(source, b"moved")
        await_event(end, READ)
        received, rest, error = mover.move(end.fileno(), other.fileno())
        assert (received, len(rest), error) == (5, 0, None)
        assert receive(destination, 5) == b"moved"
    mover.release()


def test_what_was_sent_outlives_a_close_with_input_unread_where_it_says_so(
    connection: Connection,
) -> None:
    writer, reader = connection.writer, connection.reader
    if writer.UNREAD_RESETS or not connection.kind.half_open:
        pytest.skip("it does not say so")
    send(reader, b"unread")
    send(writer, b"last words")
    writer.close()
    assert receive(reader, 20) == b"last words"
