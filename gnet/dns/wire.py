"""A name server's message, read as far as the answer to a question needs it.

Whoever owns a name writes what this reads, up to 64 KiB of it, and dnspython's own reading can
be made to take ten seconds by names that point to one another. So a name is read once however
often it is pointed to, only the records that were asked for are decoded, and the other greenlets
have their turn in between.
"""

from __future__ import annotations

import _socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.wire
from dns.rdatatype import RdataType

from .records import SHAPES, generic, shape, text
from .turns import Turns

_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")

_MAX_MESSAGE_BYTES = 65535
_RESPONSE = 0x8000
_TRUNCATED = 0x0200
_OPCODE = 0x7800
# RFC 1035, section 3.1.
_MAX_NAME_BYTES = 255
# As many as a name can have labels.
_MAX_POINTERS = 127
# FORMERR, SERVFAIL, NOTIMP, REFUSED: some servers leave the question out then.
_WITHOUT_QUESTION = (1, 2, 4, 5)
# How many records or strings are read between two looks at the clock.
_STRIDE = 32
# dnspython takes a microsecond or so for each byte of a list of anything, and for each bit of a
# list of types: 0.3 s for the 8 KiB that an NSEC record can have.
_MAX_LIST_BYTES = 1024
_MAX_BITMAP_BYTES = 256
_BITMAPS = {RdataType.CSYNC, RdataType.NSEC, RdataType.NSEC3, RdataType.WKS}
# Keys and the like, which it takes no time for.
_OPAQUE = {
    RdataType.CDNSKEY,
    RdataType.CERT,
    RdataType.DHCID,
    RdataType.DNSKEY,
    RdataType.IPSECKEY,
    RdataType.KEY,
    RdataType.OPENPGPKEY,
    RdataType.RRSIG,
    RdataType.SMIMEA,
    RdataType.TLSA,
}

_AF = {RdataType.A: _socket.AF_INET, RdataType.AAAA: _socket.AF_INET6}
_ADDRESS_BYTES = {RdataType.A: 4, RdataType.AAAA: 16}


class BadResponse(Exception):
    """The server sent what is no DNS message, or no answer to the question."""


class Found(NamedTuple):
    """The records of one name and type, not decoded yet."""

    #: The shortest time for which one of them holds.
    ttl: int
    #: Where each one's data begins and ends.
    spans: list[tuple[int, int]]


_Section = dict[tuple[bytes, int], Found]


class Reply:
    """A message that answers a question.

    :ivar rcode: the response code.
    :ivar truncated: whether the answer did not fit; its records are not read then.
    :ivar answer: by the name, in its canonical wire form, and the type.
    :ivar authority: the same.
    """

    __slots__ = ("_names", "_wire", "answer", "authority", "rcode", "truncated")

    def __init__(self, wire: bytes, names: _Names, rcode: int, truncated: bool) -> None:
        self._wire = wire
        self._names = names
        self.rcode: int = rcode
        self.truncated: bool = truncated
        self.answer: _Section = {}
        self.authority: _Section = {}

    @property
    def size(self) -> int:
        """How long the message is."""
        return len(self._wire)

    def name(self, found: Found) -> bytes:
        """The name that the first record is, for example a ``CNAME``'s."""
        start, end = found.spans[0]
        name, behind = self._names.read(start)
        if behind != end:
            raise BadResponse
        return name

    def values(self, found: Found, rdtype: RdataType) -> tuple[Any, ...]:
        """The records in the form of :func:`gnet.dns.records.shape`."""
        if rdtype in _AF:
            return self._addresses(found.spans, rdtype)
        turns = Turns()
        if rdtype == RdataType.TXT:
            return tuple([self._strings(*span, turns) for span in found.spans])
        parser = _Parser(self._wire, self._names)
        values = []
        try:
            for start, end in found.spans:
                if end - start > _longest(rdtype):
                    values.append(generic(self._wire[start:end]))
                else:
                    values.append(shape(rdtype.name, parser.record(start, end, rdtype)))
                turns.pause()
        except (dns.exception.DNSException, ValueError) as exc:
            raise BadResponse from exc
        return tuple(values)

    def _addresses(self, spans: Iterable[tuple[int, int]], rdtype: RdataType) -> tuple[str, ...]:
        size, family = _ADDRESS_BYTES[rdtype], _AF[rdtype]
        if any(end - start != size for start, end in spans):
            raise BadResponse
        return tuple([_socket.inet_ntop(family, self._wire[start:end]) for start, end in spans])

    def _strings(self, start: int, end: int, turns: Turns) -> tuple[str, ...]:
        found: list[str] = []
        while start < end:
            behind = start + 1 + self._wire[start]
            if behind > end:
                raise BadResponse
            found.append(text(self._wire[start + 1 : behind]))
            start = behind
            if not len(found) % _STRIDE:
                turns.pause()
        return tuple(found)


def _longest(rdtype: RdataType) -> int:
    """How long a record's data may be for dnspython to read it."""
    if rdtype.name in SHAPES or rdtype in _OPAQUE:
        return _MAX_MESSAGE_BYTES
    return _MAX_BITMAP_BYTES if rdtype in _BITMAPS else _MAX_LIST_BYTES


class _Names:
    """The names of a message, in wire form without compression."""

    __slots__ = ("_known", "_wire")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        # By where they begin, those that are pointed to.
        self._known: dict[int, bytes] = {}

    def read(self, start: int) -> tuple[bytes, int]:
        """The name that begins there, and where it ends.

        :raises BadResponse: there is no name there.
        :raises IndexError: the message ends within it.
        """
        wire, known = self._wire, self._known
        parts: list[bytes] = []
        pointed: list[tuple[int, int]] = []
        at = begin = lowest = start
        end = size = 0
        while True:
            count = wire[at]
            if 0 < count < 64:
                at += count + 1
                size += count + 1
                if size >= _MAX_NAME_BYTES:
                    raise BadResponse
                continue
            parts.append(wire[begin:at])
            if count == 0:
                end = end or at + 1
                parts.append(b"\0")
                break
            target = (count & 0x3F) << 8 | wire[at + 1]
            end = end or at + 2
            # Backwards, or it could go round for ever.
            if count < 0xC0 or target >= lowest or len(pointed) == _MAX_POINTERS:
                raise BadResponse
            suffix = known.get(target)
            if suffix is not None:
                parts.append(suffix)
                break
            pointed.append((target, len(parts)))
            at = begin = lowest = target
        name = b"".join(parts)
        if len(name) > _MAX_NAME_BYTES:
            raise BadResponse
        for target, first in pointed:
            known[target] = b"".join(parts[first:])
        return name, end


class _Parser(dns.wire.Parser):
    """dnspython's, with the names of the message read once."""

    def __init__(self, wire: bytes, names: _Names) -> None:
        super().__init__(wire)
        self._names = names
        self._made: dict[bytes, dns.name.Name] = {}

    def record(self, start: int, end: int, rdtype: RdataType) -> dns.rdata.Rdata:
        """The record whose data is there."""
        self.seek(start)
        with self.restrict_to(end - start):
            return dns.rdata.from_wire_parser(dns.rdataclass.IN, rdtype, self)

    def get_name(self, origin: Any = None, *options: Any, **more: Any) -> dns.name.Name:
        try:
            wire, behind = self._names.read(self.current)
        except (BadResponse, IndexError) as exc:
            raise dns.exception.FormError from exc
        if behind > self.end:
            raise dns.exception.FormError
        self.current = behind
        self.furthest = max(self.furthest, behind)
        name = self._made.get(wire)
        if name is None:
            name = self._made[wire] = made_name(wire)
        return name


def made_name(wire: bytes) -> dns.name.Name:
    """dnspython's name for one in wire form, without compression."""
    labels = []
    at = 0
    while wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += wire[at] + 1
    return dns.name.Name([*labels, b""])


def canonical(name: dns.name.Name) -> bytes:
    """The wire form of a name by which a :class:`Reply` knows it."""
    # No length is a capital letter: they end at 63.
    return name.to_wire().lower()  # type: ignore[union-attr]


def read_reply(query: dns.message.QueryMessage, wire: bytes) -> Reply | None:
    """Read a message; the other greenlets have their turn meanwhile.

    :returns: ``None`` for what is no answer to ``query``.
    :raises BadResponse: it cannot be read.
    """
    if len(wire) < _HEADER.size or wire[:2] != query.id.to_bytes(2, "big"):
        return None
    _, flags, *counts = _HEADER.unpack_from(wire)
    if not flags & _RESPONSE or flags & _OPCODE:
        return None
    reply = Reply(wire, _Names(wire), flags & 0xF, bool(flags & _TRUNCATED))
    try:
        return reply if _read(reply, query, counts) else None
    except (IndexError, struct.error) as exc:
        raise BadResponse from exc


def _read(reply: Reply, query: dns.message.QueryMessage, counts: list[int]) -> bool:
    """Whether it answers the question; fills the sections."""
    questions, answers, authorities, additionals = counts
    at = _HEADER.size
    if questions:
        name, at = reply._names.read(at)
        asked = query.question[0]
        if questions > 1 or name.lower() != canonical(asked.name):
            return False
        if _QUESTION.unpack_from(reply._wire, at) != (asked.rdtype, asked.rdclass):
            return False
        at += _QUESTION.size
    elif reply.rcode not in _WITHOUT_QUESTION:
        return False
    if not reply.truncated:
        turns = Turns()
        at = _read_section(reply, at, answers, reply.answer, turns)
        at = _read_section(reply, at, authorities, reply.authority, turns)
        _read_section(reply, at, additionals, None, turns)
    return True


def _read_section(reply: Reply, at: int, count: int, into: _Section | None, turns: Turns) -> int:
    """Read so many records; gives where they end."""
    wire, read = reply._wire, reply._names.read
    for number in range(count):
        name, at = read(at)
        rdtype, rdclass, ttl, size = _RECORD.unpack_from(wire, at)
        start = at + _RECORD.size
        at = start + size
        if at > len(wire):
            raise BadResponse
        if into is None:
            if rdtype == RdataType.OPT:
                # The upper bits of the code are there (RFC 6891, section 6.1.3).
                reply.rcode |= ttl >> 24 << 4
        elif rdclass == dns.rdataclass.IN:
            key = (name.lower(), rdtype)
            # RFC 2181, section 8: what has the upper bit is 0.
            ttl = ttl if ttl < 1 << 31 else 0
            known = into.get(key)
            if known is None:
                into[key] = Found(ttl, [(start, at)])
            else:
                known.spans.append((start, at))
                if ttl < known.ttl:
                    into[key] = Found(ttl, known.spans)
        if not number % _STRIDE:
            turns.pause()
    return at
