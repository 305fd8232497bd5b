"""What a stranger's records can cost: whoever owns a name writes what a resolver reads."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from time import thread_time
from typing import Any

import dns.message
import gevent
import pytest
from dns.rdatatype import RdataType
from gevent import socket

import gnet
from gnet.dns import Resolver, turns
from gnet.dns.wire import BadResponse, Reply, read_reply
from tests.helpers.dnsserver import DNSServer, truncated

Record = Callable[[int, int], bytes]

#: So long may a turn take at the most, in seconds of the processor. Windows counts a thread's
#: by the ticks of its clock: 0.016 seconds, Wine 0.01.
LONGEST_TURN = 0.06 if sys.platform == "win32" else 0.02
#: A name of as many labels as there can be.
LONG = b"".join(b"\1" + bytes([97 + number % 26]) for number in range(126)) + b"\0"
SUFFIX = LONG[-241:]
#: To the name of the question.
QUESTION = b"\xc0\x0c"


def message(name: str, rdtype: RdataType, data: Record, *, owner: Record | None = None) -> bytes:
    """64 KiB of records of one type; ``data`` gives the data of each, or ``b""`` for the end.

    :param data: is given the number of the record, and where its data begins.
    :param owner: the same for its name; the question's by default.
    """
    query = dns.message.make_query(name, rdtype, use_edns=False, id=0)
    body = bytearray(query.to_wire())
    count = 0
    while True:
        name_of = owner(count, len(body)) if owner is not None else QUESTION
        content = data(count, len(body) + len(name_of) + 10)
        record = name_of + struct.pack("!HHIH", rdtype, 1, 60, len(content)) + content
        if not content or len(body) + len(record) > 65535:
            break
        body += record
        count += 1
    struct.pack_into("!HHHHH", body, 2, 0x8180, 1, count, 0, 0)
    return bytes(body)


def pointing(fixed: int, unique: bool = False) -> Record:
    """Data of so many bytes, and a long name to which all records after the first point."""
    place = 0

    def data(number: int, at: int) -> bytes:
        nonlocal place
        head = number.to_bytes(fixed, "big") if fixed else b""
        if number == 0:
            place = at + fixed
            return head + SUFFIX
        label = b"\2" + number.to_bytes(2, "big") if unique else b""
        return head + label + struct.pack("!H", 0xC000 | place)

    return data


def once(content: bytes) -> Record:
    return lambda number, at: b"" if number else content


BITMAP = b"\0" + b"".join(bytes([window, 32]) + b"\xff" * 32 for window in range(256))

ANSWERS: dict[str, tuple[str, RdataType, Record]] = {
    "mail servers of one long name": ("MX", RdataType.MX, pointing(2)),
    "mail servers of many long names": ("MX", RdataType.MX, pointing(2, unique=True)),
    "services": ("SRV", RdataType.SRV, pointing(6, unique=True)),
    "name servers": ("NS", RdataType.NS, pointing(0, unique=True)),
    "reverse names": ("PTR", RdataType.PTR, pointing(0, unique=True)),
    "rules": ("NAPTR", RdataType.NAPTR, lambda n, at: b"\0\1\0\1\0\0\0" + pointing(0)(0, at)),
    "addresses": ("A", RdataType.A, lambda n, at: n.to_bytes(4, "big")),
    "addresses of IPv6": ("AAAA", RdataType.AAAA, lambda n, at: n.to_bytes(16, "big")),
    "short texts": ("TXT", RdataType.TXT, lambda n, at: b"\2" + n.to_bytes(2, "big")),
    "a text of 65,000 pieces": ("TXT", RdataType.TXT, once(bytes(65000))),
    "authorities": ("CAA", RdataType.CAA, lambda n, at: b"\0\1x" + n.to_bytes(2, "big")),
    "65,536 types": ("NSEC", RdataType.NSEC, once(BITMAP)),
    "prefixes": ("APL", RdataType.APL, once(b"\0\1\0\0" * 16000)),
    "rendezvous": ("HIP", RdataType.HIP, once(b"\1\1\0\1ab" + bytes(65000))),
    "parameters": (
        "HTTPS",
        RdataType.HTTPS,
        once(b"\0\1\0" + b"".join(struct.pack("!HH", key, 0) for key in range(10, 16000))),
    ),
    "a key": ("DNSKEY", RdataType.DNSKEY, once(b"\1\1\3\10" + bytes(65000))),
    "what nobody knows": ("TYPE65280", RdataType.make(65280), once(bytes(65000))),
}


@pytest.fixture
def server() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.udp = [truncated]
        yield server


def resolver_of(server: DNSServer, **options: Any) -> Resolver:
    options = {"timeout": 20, "tries": 1, "search": [], "hosts": None, **options}
    return Resolver([f"127.0.0.1:{server.port}"], **options)


def sending(wire: bytes) -> Any:
    return lambda query, reply: [query.id.to_bytes(2, "big") + wire[2:]]


class Watch:
    """The longest time that one turn of the others has taken.

    In time of the processor: what else the machine does is not the resolver's.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = False
        self._greenlet = gevent.spawn(self._run)
        gevent.sleep(0)

    def _run(self) -> None:
        last = thread_time()
        while not self._over:
            gevent.sleep(0)
            now = thread_time()
            self.longest = max(self.longest, now - last)
            last = now

    def stop(self) -> float:
        self._over = True
        self._greenlet.get()
        return self.longest


@pytest.mark.parametrize("what", ANSWERS)
def test_no_answer_holds_the_loop(server: DNSServer, what: str) -> None:
    text, rdtype, data = ANSWERS[what]
    wire = message("shop.example", rdtype, data)
    server.tcp = [sending(wire)]
    resolver = resolver_of(server)
    watch = Watch()
    started = thread_time()
    found = resolver.resolve("shop.example", text)
    took = thread_time() - started
    again = resolver.resolve("shop.example", text)
    assert watch.stop() < LONGEST_TURN
    assert took < 2
    assert found
    assert again == found


def test_a_name_of_4000_addresses_is_looked_up_in_turns(server: DNSServer) -> None:
    wire = message("shop.example", RdataType.A, lambda n, at: (0x7F010000 + n).to_bytes(4, "big"))
    server.tcp = [sending(wire)]
    resolver = resolver_of(server)
    watch = Watch()
    found = resolver.lookup("shop.example", family=4, all=True)
    assert watch.stop() < LONGEST_TURN
    assert len(found) > 4000


def test_of_a_name_of_4000_addresses_32_are_tried() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        addresses = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(4000)]
        found = [(each, 4) for each in addresses]
        sock = gnet.Socket()
        tried = []
        sock.on("connection_attempt", lambda *args: tried.append(args[0]))
        watch = Watch()
        sock.connect(port, "shop.example", lookup=lambda name, **options: found)
        with pytest.raises(gnet.AggregateError) as caught:
            sock.wait("connect")
        sock.destroy()
        assert watch.stop() < LONGEST_TURN
    assert tried == addresses[:32]
    assert len(caught.value.errors) == 32


# -- aliases --------------------------------------------------------------------------------------


def chain(length: int) -> bytes:
    """A message of so many aliases, each of the next."""
    places = [12]

    def data(number: int, at: int) -> bytes:
        places.append(at)
        label = str(number + 1).encode()
        name = bytes([len(label)]) + label + b"\0"
        return name if number < length else b""

    def owner(number: int, at: int) -> bytes:
        if places[number] < 0x4000:
            return struct.pack("!H", 0xC000 | places[number])
        label = str(number).encode()
        return bytes([len(label)]) + label + b"\0"

    return message("0", RdataType.CNAME, data, owner=owner)


def question(wire: bytes, rdtype: RdataType) -> bytes:
    """The message as an answer to a question for another type."""
    return wire[:15] + struct.pack("!H", rdtype) + wire[17:]


@pytest.mark.parametrize(
    ("length", "code"), [(16, "ENODATA"), (17, "ESERVFAIL"), (3000, "ESERVFAIL")]
)
def test_a_chain_of_aliases_in_one_answer_is_followed_16_times(
    server: DNSServer, length: int, code: str
) -> None:
    wire = question(chain(length), RdataType.A)
    server.tcp = [sending(wire)]
    server.soa = (60, 60)
    server.add("16", "TXT", "the end")
    watch = Watch()
    with pytest.raises(socket.gaierror) as caught:
        resolver_of(server).resolve4("0.")
    assert watch.stop() < LONGEST_TURN
    error: Any = caught.value
    if length == 16:
        # The end is asked for, and the server sends the same again.
        assert [name for name, _, transport in server.asked if transport == "udp"] == ["0", "16"]
    else:
        assert error.code == code


# -- names that point -----------------------------------------------------------------------------


def read(wire: bytes) -> Reply | None:
    query = dns.message.make_query("a.", "PTR", use_edns=False, id=0)
    return read_reply(query, wire)


def with_names(*names: bytes) -> bytes:
    """A message whose records have these names; the first begins at byte 19."""
    query = dns.message.make_query("a.", "PTR", use_edns=False, id=0).to_wire()
    body = bytearray(query)
    for name in names:
        body += name + struct.pack("!HHIH", RdataType.PTR, 1, 60, 0)
    struct.pack_into("!HHHHH", body, 2, 0x8180, 1, len(names), 0, 0)
    return bytes(body)


def test_a_name_is_read_through_its_pointers_once() -> None:
    reply = read(with_names(b"\1b" + QUESTION, b"\1C\xc0\x13", b"\1d\xc0\x13", b"\xc0\x13"))
    assert reply is not None
    names = [name for name, _ in reply.answer]
    assert names == [b"\1b\1a\0", b"\1c\1b\1a\0", b"\1d\1b\1a\0"]


@pytest.mark.parametrize(
    "name",
    [
        # To itself, forwards, behind the end.
        b"\xc0\x13",
        b"\1b\xc0\x13",
        b"\xc0\x20",
        b"\xff\xff",
        # A label of a kind that there is not.
        b"\x80b\0",
        b"\x40b\0",
        # Too long, at once and by its pointer.
        LONG[:-1] + b"\1b\1c\0",
        bytes([63]) * 64 * 4 + b"\0",
    ],
)
def test_a_name_that_can_be_none_is_a_bad_response(name: bytes) -> None:
    with pytest.raises(BadResponse):
        read(with_names(name))


def test_a_name_that_is_too_long_by_its_pointer_is_a_bad_response() -> None:
    first = b"\1b" * 120 + b"\0"
    with pytest.raises(BadResponse):
        read(with_names(first, b"\1c" * 10 + b"\xc0\x13"))


def test_pointers_to_pointers_end() -> None:
    pointers = b"".join(struct.pack("!H", 0xC000 | 29 + 2 * number) for number in range(8000))
    query = dns.message.make_query("a.", "PTR", use_edns=False, id=0).to_wire()
    body = bytearray(query)
    body += b"\0" + struct.pack("!HHIH", 65280, 1, 60, len(pointers) + 1) + b"\0" + pointers
    body += struct.pack("!H", 0xC000 | len(body) - 2) + struct.pack("!HHIH", 12, 1, 60, 0)
    struct.pack_into("!HHHHH", body, 2, 0x8180, 1, 2, 0, 0)
    with pytest.raises(BadResponse):
        read(bytes(body))


def test_records_of_another_class_are_none() -> None:
    wire = bytearray(with_names(QUESTION))
    struct.pack_into("!H", wire, 19 + 2 + 2, 3)
    reply = read(bytes(wire))
    assert reply is not None
    assert reply.answer == {}


@pytest.mark.parametrize("end", [13, 18, 20, 25, 30])
def test_a_message_that_breaks_off_is_a_bad_response(end: int) -> None:
    wire = with_names(QUESTION)
    assert end < len(wire)
    with pytest.raises(BadResponse):
        read(wire[:end])


def test_a_time_to_live_with_its_upper_bit_is_none() -> None:
    wire = bytearray(with_names(QUESTION))
    struct.pack_into("!I", wire, 19 + 2 + 4, 1 << 31)
    reply = read(bytes(wire))
    assert reply is not None
    assert [found.ttl for found in reply.answer.values()] == [0]


def test_an_answer_that_comes_byte_by_byte_is_read(server: DNSServer) -> None:
    server.add("text.test", "TXT", *[f'"{number} {"x" * 200}"' for number in range(20)])

    def dripping(query: Any, reply: Any) -> list[bytes]:
        return [reply.to_wire()]

    server.tcp = [dripping]
    assert len(resolver_of(server).resolve_txt("text.test")) == 20


def test_turns_are_given_up_only_when_they_were_long(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(gevent, "sleep", given.append)
    turn = turns.Turns()
    turn.pause()
    assert given == []
    monkeypatch.setattr(turns, "_LONGEST_TURN", -1)
    turn.pause()
    assert given == [0]
