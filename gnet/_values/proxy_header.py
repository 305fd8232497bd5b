"""The header of the PROXY protocol, versions 1 and 2: bytes in, addresses out, no I/O.

From HAProxy's *The PROXY protocol*, sections 2.1 and 2.2.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from ..errors import coded
from .addresses import canonical, parse_ip

__all__ = ["MAX_BYTES", "ProxyHeader", "is_header", "read_header", "write_header"]

#: The longest header that is read, in bytes: room for TLVs, and no more.
MAX_BYTES = 4096

_V1 = b"PROXY "
_V1_MAX_BYTES = 107
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = struct.Struct("!12sBBH")
# By family and protocol: TCP over IPv4 and over IPv6.
_V2_ADDRESSES: dict[int, tuple[struct.Struct, type[IPv4Address] | type[IPv6Address]]] = {
    0x11: (struct.Struct("!4s4sHH"), IPv4Address),
    0x21: (struct.Struct("!16s16sHH"), IPv6Address),
}
# And the others that are valid: unspecified, datagrams (UDP), and both kinds of Unix sockets. A
# receiver that does not know them uses the connection's own addresses.
_V2_VALID = {*_V2_ADDRESSES, 0x00, 0x12, 0x22, 0x31, 0x32}

SockAddr = tuple[str, int]


class ProxyHeader(NamedTuple):
    """What a proxy says of the connection that it passes on.

    :ivar size: how many bytes the header has.
    :ivar source: the client's address; ``None`` where the proxy speaks for itself.
    :ivar destination: the address that the client connected to.
    """

    size: int
    source: SockAddr | None
    destination: SockAddr | None


def malformed(what: str) -> ValueError:
    """The error for bytes that are no header."""
    return coded(ValueError(f"PROXY protocol: {what}"), "ERR_PROXY_PROTOCOL")


def is_header(data: bytes) -> bool | None:
    """Whether ``data`` begins a header; ``None`` while that cannot be said."""
    for signature in (_V1, _V2):
        if data.startswith(signature):
            return True
        if signature.startswith(data):
            return None
    return False


def read_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the beginning of ``data``.

    :returns: the header, or ``None`` while it is not complete.
    :raises ValueError: it is malformed or too long; ``code`` ``"ERR_PROXY_PROTOCOL"``.
    """
    begins = is_header(data)
    if begins is None:
        return None
    if not begins:
        raise malformed(f"no header, but {data[:16]!r}")
    return _read_v1(data) if data.startswith(_V1) else _read_v2(data)


def _read_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_MAX_BYTES)
    if end < 0:
        if len(data) >= _V1_MAX_BYTES:
            raise malformed("a line of more than 107 bytes")
        return None
    size = end + 2
    fields = data[:end].split(b" ")
    if fields[1] == b"UNKNOWN":
        return ProxyHeader(size, None, None)
    if len(fields) != 6 or fields[1] not in (b"TCP4", b"TCP6"):
        raise malformed(f"{data[:end]!r}")
    version = 4 if fields[1] == b"TCP4" else 6
    hosts = [_host(field, version) for field in fields[2:4]]
    ports = [_port(field) for field in fields[4:]]
    return ProxyHeader(size, (hosts[0], ports[0]), (hosts[1], ports[1]))


def _host(field: bytes, version: int) -> str:
    text = field.decode("ascii", "replace")
    ip = parse_ip(text)
    if ip is None or ip.version != version or "%" in text:
        raise malformed(f"not an address of its family: {field!r}")
    return canonical(ip)


def _port(field: bytes) -> int:
    number = int(field) if field.isdigit() and len(field) <= 5 else -1
    if not 0 <= number <= 65535 or (field[:1] == b"0" and field != b"0"):
        raise malformed(f"no port: {field!r}")
    return number


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD.size:
        return None
    _, command, kind, length = _V2_HEAD.unpack_from(data)
    size = _V2_HEAD.size + length
    if command >> 4 != 2 or command & 0xF > 1:
        raise malformed(f"version and command {command:#04x}")
    if size > MAX_BYTES:
        raise malformed(f"a header of {size} bytes")
    if len(data) < size:
        return None
    # LOCAL: the proxy's own health check, whose other fields mean nothing.
    if not command & 0xF:
        return ProxyHeader(size, None, None)
    if kind not in _V2_VALID:
        raise malformed(f"family and protocol {kind:#04x}")
    if kind not in _V2_ADDRESSES:
        return ProxyHeader(size, None, None)
    layout, ip = _V2_ADDRESSES[kind]
    if length < layout.size:
        raise malformed(f"{length} bytes of addresses")
    source, destination, port, own_port = layout.unpack_from(data, _V2_HEAD.size)
    hosts = [canonical(ip(packed)) for packed in (source, destination)]
    return ProxyHeader(size, (hosts[0], port), (hosts[1], own_port))


def write_header(source: SockAddr | None, destination: SockAddr | None, version: int) -> bytes:
    """The header that tells of a connection.

    :param source: the client's address; ``None`` where it has none that could be told.
    :param destination: the address that the client has connected to.
    :param version: ``1``, the line of text, or ``2``, the binary form.
    """
    if source is None or destination is None:
        unknown = _V2_HEAD.pack(_V2, 0x21, 0, 0)
        return b"PROXY UNKNOWN\r\n" if version == 1 else unknown
    hosts = _of_one_family(source[0], destination[0])
    ports = source[1], destination[1]
    kind = hosts[0].version
    if version == 1:
        fields = (f"PROXY TCP{kind}", *map(canonical, hosts), *map(str, ports))
        return " ".join(fields).encode("ascii") + b"\r\n"
    family = 0x11 if kind == 4 else 0x21
    body = _V2_ADDRESSES[family][0].pack(*(each.packed for each in hosts), *ports)
    return _V2_HEAD.pack(_V2, 0x21, family, len(body)) + body


def _of_one_family(*addresses: str) -> list[IPv4Address] | list[IPv6Address]:
    """The addresses as IPv4's, where all of them can be that, or as IPv6's."""
    # A zone means nothing to another machine.
    parsed = [ip_address(each.partition("%")[0]) for each in addresses]
    plain = [getattr(each, "ipv4_mapped", None) or each for each in parsed]
    four = [each for each in plain if isinstance(each, IPv4Address)]
    if len(four) == len(plain):
        return four
    return [
        IPv6Address(f"::ffff:{each}") if isinstance(each, IPv4Address) else each for each in plain
    ]
