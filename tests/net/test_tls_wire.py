"""TLS as a transport: records in any pieces, ends, alerts, answers, and bytes that are left."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnet._core.tls_wire import TLSWire
from gnet._transport.protocol import READ, WRITE
from gnet._transport.stream_socket import Wire
from tests.helpers.authority import client_context, expired, server_context
from tests.helpers.tls_peer import Peer, connected, shake_hands, wire_and_peer

VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
SIDES = pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])


@contextmanager
def closing(wire: TLSWire, peer: Peer) -> Iterator[tuple[TLSWire, Peer]]:
    try:
        yield wire, peer
    finally:
        wire.close()
        peer.socket.close()


@pytest.fixture(params=[True, False], ids=["server", "client"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[TLSWire, Peer]]:
    """A wire and its peer, behind the handshake, the wire on either side."""
    with closing(*connected(request.param)) as both:
        yield both


def nothing_to_read(wire: TLSWire) -> bool:
    with pytest.raises(BlockingIOError):
        wire.recv(65536)
    return not wire.has_input()


def receive(wire: TLSWire, size: int) -> bytes:
    """So many bytes, which are there."""
    data = b""
    while len(data) < size:
        data += wire.recv(size - len(data))
    return data


# -- the handshake ---------------------------------------------------------------------------


@SIDES
@VERSIONS
def test_the_handshake_goes_step_by_step(server_side: bool, version: ssl.TLSVersion) -> None:
    with closing(*wire_and_peer(server_side, version=version)) as (wire, peer):
        with pytest.raises(BlockingIOError):
            wire.handshake()
        assert wire.wants == READ
        assert not wire.established
        shake_hands(wire, peer)
        assert wire.established
        assert wire.engine.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version]


@SIDES
@VERSIONS
def test_the_handshake_may_come_in_single_bytes(
    server_side: bool, version: ssl.TLSVersion
) -> None:
    with closing(*wire_and_peer(server_side, version=version)) as (wire, peer):
        for _ in range(10):
            peer.hear()
            with suppress(ssl.SSLWantReadError):
                peer.tls.do_handshake()
            for byte in peer.take():
                peer.deliver(bytes([byte]))
                with suppress(BlockingIOError):
                    if wire.established:
                        # A client is done ahead of the tickets.
                        assert not wire.recv(1)
                    else:
                        wire.handshake()
            if not wire.established:
                with suppress(BlockingIOError):
                    wire.handshake()
        assert wire.established
        peer.read()
        peer.deliver(peer.encrypted(b"hello"))
        assert receive(wire, 5) == b"hello"


def test_a_write_of_the_handshake_waits_for_room() -> None:
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    here.setblocking(False)
    filled = 0
    with pytest.raises(BlockingIOError):
        while True:
            filled += here.send(bytes(4096))
    wire = TLSWire(Wire.adopt(here.detach()), client_context(), False, "localhost")
    with closing(wire, Peer(there, server_context(), server_side=True)) as (_, peer):
        with pytest.raises(BlockingIOError):
            wire.handshake()
        assert wire.wants == WRITE
        while filled:
            filled -= len(there.recv(filled))
        shake_hands(wire, peer)


def test_what_was_read_already_is_a_part_of_it() -> None:
    here, there = socket.socketpair()
    peer = Peer(there, client_context(), server_hostname="localhost")
    peer.handshake()
    hello = here.recv(65536)
    wire = TLSWire(Wire.adopt(here.detach()), server_context(), True, received=hello)
    with closing(wire, peer):
        shake_hands(wire, peer)


@SIDES
def test_what_comes_with_the_last_step_is_not_lost(server_side: bool) -> None:
    with closing(*wire_and_peer(server_side)) as (wire, peer):
        for _ in range(10):
            peer.hear()
            try:
                peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                peer.deliver()
            else:
                peer.deliver(peer.take() + peer.encrypted(b"at once"))
                break
            with suppress(BlockingIOError):
                wire.handshake()
        if not wire.established:
            wire.handshake()
            assert wire.has_input()
        assert receive(wire, 7) == b"at once"


@SIDES
def test_a_peer_that_leaves_in_the_handshake_has_reset_it(server_side: bool) -> None:
    with closing(*wire_and_peer(server_side)) as (wire, peer):
        peer.socket.close()
        with pytest.raises(OSError) as failure:
            for _ in range(3):
                with suppress(BlockingIOError):
                    wire.handshake()
        assert failure.value.errno in (errno.ECONNRESET, errno.EPIPE)


@pytest.mark.parametrize(
    "garbage, code",
    [
        (b"GET / HTTP/1.0\r\n\r\n", "ERR_SSL_HTTP_REQUEST"),
        (b"\x00" * 100, "ERR_SSL_WRONG_VERSION_NUMBER"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "ERR_SSL_LENGTH_TOO_SHORT"),
    ],
)
def test_what_is_no_tls_is_an_error_with_nodes_code(garbage: bytes, code: str) -> None:
    with closing(*wire_and_peer(True)) as (wire, peer):
        peer.deliver(garbage)
        with pytest.raises(ssl.SSLError) as failure:
            wire.handshake()
        assert getattr(failure.value, "code", None) == code


@pytest.mark.parametrize(
    "leaf, name, code",
    [
        (lambda: expired("localhost"), "localhost", "CERT_HAS_EXPIRED"),
        (lambda: None, "other.example", "ERR_TLS_CERT_ALTNAME_INVALID"),
        (lambda: None, "127.0.0.9", "ERR_TLS_CERT_ALTNAME_INVALID"),
    ],
)
def test_a_certificate_that_is_not_believed_is_told_to_the_peer(
    leaf: Any, name: str, code: str
) -> None:
    here, there = socket.socketpair()
    wire = TLSWire(Wire.adopt(here.detach()), client_context(), False, name)
    with closing(wire, Peer(there, server_context(leaf()), server_side=True)) as (_, peer):
        with pytest.raises(ssl.SSLCertVerificationError) as failure:
            shake_hands(wire, peer)
        assert getattr(failure.value, "code", None) == code
        with pytest.raises(ssl.SSLError, match="alert"):
            peer.handshake()


def test_an_alert_is_not_hidden_by_the_reset_behind_it() -> None:
    # A server that wants a certificate: with TLS 1.3 the client's handshake is done before that.
    peers = server_context(clients=True)
    with closing(*wire_and_peer(False, peers=peers)) as (wire, peer):
        with pytest.raises(ssl.SSLError):
            shake_hands(wire, peer)
        peer.socket.close()
        with pytest.raises(ssl.SSLError) as failure:
            for _ in range(3):
                wire.send(b"hello")
        code = getattr(failure.value, "code", "")
        assert code in (
            "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED",
        )


# -- reading ---------------------------------------------------------------------------------


def test_a_record_may_come_in_any_two_pieces(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    message = b"0123456789" * 5
    record = peer.encrypted(message)
    peer.deliver(record)
    assert wire.recv(65536) == message
    for place in range(1, len(record) + 1):
        record = peer.encrypted(message)
        peer.deliver(record[:place])
        if place < len(record):
            assert nothing_to_read(wire)
        peer.deliver(record[place:])
        assert wire.recv(65536) == message
    assert nothing_to_read(wire)


def test_two_records_may_come_in_any_three_pieces(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    records = peer.encrypted(b"ab", b"cd")
    peer.deliver(records)
    assert wire.recv(65536) == b"abcd"
    size = len(records)
    for first in range(0, size, 3):
        for second in range(first, size, 5):
            records = peer.encrypted(b"ab", b"cd")
            got = b""
            for piece in (records[:first], records[first:second], records[second:]):
                peer.deliver(piece)
                try:
                    got += wire.recv(3)
                    got += wire.recv(3)
                except BlockingIOError:
                    pass
            while len(got) < 4:
                got += wire.recv(1)
            assert got == b"abcd"


def test_a_small_read_leaves_the_rest(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"hello", b" world"))
    assert wire.recv(2) == b"he"
    assert wire.has_input()
    assert wire.recv(65536) == b"llo world"
    assert nothing_to_read(wire)


def test_a_read_takes_all_records_that_are_there(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    data = os.urandom(100_000)
    peer.deliver(peer.encrypted(*(data[i : i + 16384] for i in range(0, len(data), 16384))))
    assert wire.recv(1 << 20) == data


def test_recv_into_fills_a_buffer(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"hello"))
    buffer = bytearray(3)
    assert wire.recv_into(buffer) == 3
    assert buffer == b"hel"
    assert wire.recv_into(buffer, 1) == 1
    assert buffer == b"lel"


def test_a_peek_leaves_everything(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    with pytest.raises(BlockingIOError):
        wire.recv(5, socket.MSG_PEEK)
    peer.deliver(peer.encrypted(b"hello", b" world"))
    assert wire.recv(100, socket.MSG_PEEK) == b"hello world"
    assert wire.recv(3, socket.MSG_PEEK) == b"hel"
    assert wire.recv(3, socket.MSG_WAITALL) == b"hel"
    assert not wire.at_end()
    assert wire.recv(100) == b"lo world"


def test_a_flag_that_tls_has_not_is_refused(pair: tuple[TLSWire, Peer]) -> None:
    wire, _ = pair
    with pytest.raises(ValueError, match="MSG_PEEK"):
        wire.recv(5, socket.MSG_OOB)
    with pytest.raises(OSError) as failure:
        wire.send(b"x", socket.MSG_OOB)
    assert failure.value.errno == errno.EOPNOTSUPP


def test_nobody_reads_and_one_read_is_taken_ahead(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    with pytest.raises(BlockingIOError):
        wire.at_end()
    for _ in range(3):
        peer.deliver(peer.encrypted(bytes(16000)))
    assert not wire.at_end()
    peer.deliver(peer.encrypted(bytes(16000)))
    for _ in range(5):
        assert not wire.at_end()
    waiting = wire.inner.recv(1 << 20, socket.MSG_PEEK)
    assert len(waiting) > 16000
    assert receive(wire, 64000) == bytes(64000)


def test_a_ticket_and_a_key_update_are_no_data(pair: tuple[TLSWire, Peer]) -> None:
    wire, _peer = pair
    if wire.engine.server_side:
        pytest.skip("only a server gives tickets")
    # shake_hands() has left them unread.
    assert nothing_to_read(wire)
    assert wire.engine.session.has_ticket


# -- writing ---------------------------------------------------------------------------------


def test_a_message_arrives(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    assert wire.send(b"hello") == 5
    assert wire.send(memoryview(b" ")) == 1
    assert wire.send(bytearray(b"world")) == 5
    assert wire.send(b"") == 0
    assert peer.read() == b"hello world"


def test_small_messages_become_one_record(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.hear()
    assert wire.sendmsg([b"a" * 10, bytearray(b"b" * 10), memoryview(b"c" * 10)]) == 30
    assert peer.hear() < 30 + 2 * 22
    assert peer.read() == b"a" * 10 + b"b" * 10 + b"c" * 10


def test_what_is_not_counted_is_offered_again(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    data = os.urandom(3_000_000)
    place = 0
    got = bytearray()
    blocked = 0
    while len(got) < len(data):
        try:
            place += wire.send(data[place:])
        except BlockingIOError:
            blocked += 1
            got += peer.read()
        else:
            if place == len(data):
                got += peer.read()
    assert blocked
    assert (got == data, place, wire.take_owed()) == (True, len(data), 0)


def test_who_has_no_more_to_offer_has_what_was_begun_sent(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += wire.send(bytes(100_000))
    owed = wire.take_owed()
    assert owed
    assert wire.take_owed() == 0
    got = 0
    while got < sent + owed:
        got += len(peer.read())
        # The loop sends the rest.
        gevent.sleep(0)
    assert wire.send(b"end") == 3
    assert (got, peer.read()) == (sent + owed, b"end")


# -- ends ------------------------------------------------------------------------------------


def test_the_peers_close_notify_is_its_end(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"last") + peer.farewell())
    assert not wire.at_end()
    assert wire.recv(100) == b"last"
    assert wire.at_end()
    assert [wire.recv(100), wire.recv(100)] == [b"", b""]
    assert not wire.truncated
    assert wire.send(b"still") == 5
    assert peer.read() == b"still"


def test_an_end_without_close_notify_is_an_end_all_the_same(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    last = peer.encrypted(b"last")
    record = peer.encrypted(b"half of it does not come")
    peer.deliver(last + record[: len(record) // 2])
    peer.socket.shutdown(socket.SHUT_WR)
    assert wire.recv(100) == b"last"
    assert wire.recv(100) == b""
    assert wire.truncated


def test_it_is_an_error_to_a_strict_one(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    wire.strict = True
    peer.deliver(peer.encrypted(b"last"))
    peer.socket.shutdown(socket.SHUT_WR)
    assert wire.recv(100) == b"last"
    for _ in range(2):
        with pytest.raises(ssl.SSLEOFError) as failure:
            wire.recv(100)
        assert getattr(failure.value, "code", None) == "ERR_SSL_UNEXPECTED_EOF_WHILE_READING"
    with pytest.raises(ssl.SSLEOFError):
        wire.at_end()


def test_an_end_is_sent_behind_the_last_byte(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    wire.send(b"last")
    wire.shutdown(socket.SHUT_WR)
    assert peer.read() == b"last"
    assert peer.socket.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        wire.send(b"more")


def test_a_side_that_has_ended_goes_on_reading(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"one", b"two"))
    assert wire.recv(1) == b"o"
    wire.shutdown(socket.SHUT_WR)
    assert receive(wire, 5) == b"netwo"
    assert nothing_to_read(wire)
    assert peer.read() == b""
    peer.deliver(peer.encrypted(b"three"))
    assert wire.recv(100) == b"three"
    peer.deliver(peer.farewell())
    assert wire.recv(100) == b""
    assert not wire.truncated


def test_an_end_may_be_sent_at_any_place_of_a_record() -> None:
    with closing(*connected()) as (_, peer):
        size = len(peer.encrypted(b"0123456789"))
    for place in range(size + 1):
        with closing(*connected()) as (wire, peer):
            record = peer.encrypted(b"0123456789")
            peer.deliver(record[:place])
            wire.inner.at_end() if place else None
            with suppress(BlockingIOError):
                wire.at_end()
            wire.shutdown(socket.SHUT_WR)
            peer.deliver(record[place:] + peer.encrypted(b"more"))
            assert receive(wire, 14) == b"0123456789more"


def test_an_end_waits_for_what_was_sent_before(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    data = bytes(200_000)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += wire.send(data)
    sent += wire.take_owed()
    with pytest.raises(BlockingIOError):
        wire.shutdown(socket.SHUT_WR)
    got = 0
    for _ in range(100):
        got += len(peer.read())
        try:
            wire.shutdown(socket.SHUT_WR)
            break
        except BlockingIOError:
            pass
    got += len(peer.read())
    assert got == sent
    assert peer.socket.recv(1) == b""


def test_to_read_no_more_is_local(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"before"))
    assert wire.recv(3) == b"bef"
    wire.shutdown(socket.SHUT_RD)
    assert wire.recv(100) == b"ore"
    assert wire.recv(100) == b""
    assert not wire.truncated
    assert wire.send(b"hello") == 5
    assert peer.read() == b"hello"


def test_a_reset_is_told_behind_what_came_before(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"last"))
    wire.send(b"unread")
    peer.socket.close()
    got = b""
    with pytest.raises(ConnectionResetError):
        while True:
            data = wire.recv(100)
            got += data
            if not data:
                break
    assert got == b"last"


# -- to plain again --------------------------------------------------------------------------


def test_the_way_back_to_plain(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"unread"))
    with pytest.raises(BlockingIOError):
        wire.unwrap()
    assert wire.wants == READ
    assert peer.read() == b""
    peer.deliver(peer.encrypted(b" last") + peer.farewell() + b"plain")
    rest = wire.unwrap()
    assert rest == b"plain"
    assert wire.recv(100) == b"unread last"
    inner = wire.leave()
    assert wire.closed
    inner.send(b"plain, too")
    assert peer.socket.recv(100) == b"plain, too"
    inner.close()


def test_the_way_back_waits_for_a_reader_of_what_is_still_sent() -> None:
    with closing(*connected()) as (wire, peer):
        with pytest.raises(BlockingIOError):
            wire.unwrap()
        sent = got = 0
        for _ in range(60):
            peer.deliver(peer.encrypted(bytes(16000)))
            sent += 16000
            with pytest.raises(BlockingIOError):
                wire.unwrap()
            if sent > 400_000:
                got += len(wire.recv(65536))
        peer.deliver(peer.farewell())
        while True:
            try:
                wire.unwrap()
                break
            except BlockingIOError:
                got += len(wire.recv(65536))
        while got < sent:
            got += len(wire.recv(65536))
        assert wire.recv(1) == b""


def test_a_live_connection_has_no_descriptor_to_give() -> None:
    with closing(*connected()) as (wire, _):
        assert wire.fileno() >= 0
        with pytest.raises(OSError) as failure:
            wire.detach()
        assert failure.value.errno == errno.ENOTSUP
    assert wire.detach() == -1


# -- readiness -------------------------------------------------------------------------------


def fired(wire: TLSWire, events: int, act: Any = None) -> bool:
    """Whether a watcher calls back, once ``act`` was called."""
    loop = gevent.get_hub().loop
    watcher = wire.watch(loop, events)
    seen = Event()
    watcher.start(lambda: seen.set())
    if act is not None:
        act()
    came = seen.wait(0.2)
    watcher.close()
    return came


def test_a_watcher_tells_of_encrypted_bytes(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    with suppress(BlockingIOError):
        wire.recv(1)
    assert not fired(wire, READ)
    assert fired(wire, READ, lambda: peer.deliver(peer.encrypted(b"x")))
    assert fired(wire, WRITE)


def test_a_watcher_tells_of_what_is_left(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    peer.deliver(peer.encrypted(b"hello"))
    assert wire.recv(1) == b"h"
    assert fired(wire, READ)
    assert wire.recv(10) == b"ello"
    assert not fired(wire, READ)


def test_a_started_watcher_tells_of_what_a_read_leaves(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    got: list[bytes] = []
    done = Event()

    def one_byte() -> None:
        try:
            got.append(wire.recv(1))
        except BlockingIOError:
            return
        if len(got) == 11:
            done.set()

    watcher = wire.watch(gevent.get_hub().loop, READ)
    watcher.start(one_byte)
    peer.deliver(peer.encrypted(b"hello", b" world"))
    assert done.wait(5)
    watcher.close()
    assert b"".join(got) == b"hello world"


def test_the_callback_of_a_watcher_may_be_replaced(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    watcher = wire.watch(gevent.get_hub().loop, READ)
    seen = Event()
    watcher.start(lambda: None)
    peer.deliver(peer.encrypted(b"hello"))
    assert wire.recv(1) == b"h"
    watcher.callback = lambda value: seen.set() if value == 5 else None
    watcher.args = (5,)
    assert (watcher.args, seen.wait(5)) == ((5,), True)
    watcher.stop()
    assert watcher.callback is None
    watcher.close()


def test_nothing_spins_on_a_quiet_connection(pair: tuple[TLSWire, Peer]) -> None:
    wire, peer = pair
    calls = []

    def look() -> None:
        calls.append(1)
        with pytest.raises(BlockingIOError):
            wire.at_end()

    watcher = wire.watch(gevent.get_hub().loop, READ)
    watcher.start(look)
    record = peer.encrypted(b"hello")
    peer.deliver(record[:9])
    gevent.sleep(0.1)
    watcher.close()
    assert len(calls) <= 4


# -- over anything ---------------------------------------------------------------------------


def test_tls_in_tls() -> None:
    with closing(*connected()) as (outer, carrier):
        wire = TLSWire(outer, server_context(), True)
        here, there = socket.socketpair()
        peer = Peer(there, client_context(), server_hostname="localhost")
        here.setblocking(False)

        def carry() -> None:
            """What the inner peer sends goes by the outer one, and the reverse."""
            with suppress(BlockingIOError):
                carrier.deliver(carrier.encrypted(here.recv(1 << 20)))
            back = carrier.read()
            if back:
                here.sendall(back)

        for _ in range(10):
            peer.handshake()
            carry()
            with suppress(BlockingIOError):
                wire.handshake()
            carry()
        assert wire.established
        peer.deliver(peer.encrypted(b"hello", b"again"))
        carry()
        assert wire.recv(3) == b"hel"
        assert fired(wire, READ)
        assert receive(wire, 7) == b"loagain"
        wire.send(b"back")
        carry()
        assert peer.read() == b"back"
        wire.shutdown(socket.SHUT_WR)
        carry()
        assert peer.read() == b""
        wire.close()
        here.close()
        there.close()


# -- a model ---------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(1, 200)),
        st.tuples(st.just("write"), st.binary(max_size=300)),
        st.tuples(st.just("recv"), st.integers(0, 400)),
        st.tuples(st.just("peek"), st.integers(1, 400)),
        st.tuples(st.just("at_end"), st.none()),
        st.tuples(st.just("send"), st.binary(max_size=300)),
        st.tuples(st.just("shutdown"), st.none()),
        st.tuples(st.just("farewell"), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, version=st.sampled_from([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]))
@pytest.mark.limit(60)
def test_any_calls_in_any_order(steps: list[tuple[str, Any]], version: ssl.TLSVersion) -> None:
    with closing(*connected(version=version)) as (wire, peer):
        waiting = bytearray()
        written = bytearray()
        got = bytearray()
        sent = bytearray()
        ended = mute = False
        for step, value in steps:
            if step == "write" and not ended and value:
                waiting += peer.encrypted(value)
                written += value
            elif step == "farewell" and not ended:
                ended = True
                waiting += peer.farewell()
            elif step == "deliver":
                peer.deliver(bytes(waiting[:value]))
                del waiting[:value]
            elif step == "send" and not mute:
                assert wire.send(value) == len(value)
                sent += value
            elif step == "shutdown":
                mute = True
                wire.shutdown(socket.SHUT_WR)
            try:
                if step == "recv":
                    data = wire.recv(value)
                    assert data or not value or (ended and got == written)
                    got += data
                elif step == "peek":
                    data = wire.recv(value, socket.MSG_PEEK)
                    assert written[len(got) :].startswith(data)
                elif step == "at_end":
                    assert wire.at_end() == (ended and got == written)
            except BlockingIOError:
                pass
            assert written.startswith(got)
        peer.deliver(bytes(waiting))
        while len(got) < len(written):
            got += wire.recv(100)
        assert got == written
        if ended:
            assert wire.recv(100) == b""
            assert not wire.truncated
        else:
            assert nothing_to_read(wire)
        if not ended:
            assert peer.read() == sent
