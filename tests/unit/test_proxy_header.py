"""The header of the PROXY protocol: what is read, what is refused, and any bytes at all."""

from __future__ import annotations

import random
import struct
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnet._values.proxy_header import (
    MAX_BYTES,
    ProxyHeader,
    is_header,
    read_header,
    write_header,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FUZZED_HEADERS = 20_000
# For all of them together, in seconds, on a slow machine.
FUZZING_LIMIT = 60.0


def v2(
    kind: int = 0x11,
    body: bytes = struct.pack("!4s4sHH", b"\x01\x02\x03\x04", b"\x05\x06\x07\x08", 9, 10),
    command: int = 0x21,
    length: int | None = None,
) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, kind, size) + body


V2_IPV6 = struct.pack("!16s16sHH", bytes(15) + b"\x01", b"\x20\x01" + bytes(13) + b"\x02", 1, 2)

# -- what is read ----------------------------------------------------------------------------

GOOD = [
    pytest.param(
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        ("192.0.2.1", 56324), ("198.51.100.2", 443), id="v1-ipv4",
    ),
    pytest.param(
        b"PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 0 65535\r\n",
        ("2001:db8::1", 0), ("2001:db8::2", 65535), id="v1-ipv6",
    ),
    pytest.param(
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), id="v1-longest-tcp6",
    ),
    pytest.param(
        b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 1 2\r\n",
        ("::ffff:192.0.2.1", 1), ("::ffff:198.51.100.2", 2), id="v1-mapped",
    ),
    pytest.param(b"PROXY UNKNOWN\r\n", None, None, id="v1-unknown"),
    pytest.param(b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None, None, id="v1-unknown-107-bytes"),
    pytest.param(v2(), ("1.2.3.4", 9), ("5.6.7.8", 10), id="v2-ipv4"),
    pytest.param(v2(0x21, V2_IPV6), ("::1", 1), ("2001::2", 2), id="v2-ipv6"),
    pytest.param(
        v2(
            0x21,
            struct.pack("!16s16sHH", bytes(10) + b"\xff\xff\1\2\3\4", bytes(16), 1, 2),
        ),
        ("::ffff:1.2.3.4", 1), ("::", 2), id="v2-mapped",
    ),
    pytest.param(
        v2(body=v2()[16:] + b"\x04\x00\x03abc"), ("1.2.3.4", 9), ("5.6.7.8", 10), id="v2-tlv",
    ),
    pytest.param(
        v2(body=v2()[16:] + bytes(MAX_BYTES - 28)), ("1.2.3.4", 9), ("5.6.7.8", 10),
        id="v2-longest",
    ),
    pytest.param(v2(0x00, b""), None, None, id="v2-unspecified"),
    pytest.param(v2(0x31, bytes(216)), None, None, id="v2-unix"),
    pytest.param(v2(0x00, b"", command=0x20), None, None, id="v2-local"),
    pytest.param(v2(0xFF, b"whatever", command=0x20), None, None, id="v2-local-with-nonsense"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "source", "destination"), GOOD)
def test_a_header_is_read(
    data: bytes, source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    assert read_header(data) == ProxyHeader(len(data), source, destination)


@pytest.mark.parametrize(("data", "source", "destination"), GOOD)
def test_what_stands_behind_a_header_is_left_alone(
    data: bytes, source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    behind = b"GET / HTTP/1.1\r\n\r\n" + data
    assert read_header(data + behind) == ProxyHeader(len(data), source, destination)


@pytest.mark.parametrize(("data", "source", "destination"), GOOD)
def test_a_part_of_a_header_is_waited_for(
    data: bytes, source: object, destination: object
) -> None:
    for size in range(len(data)):
        assert read_header(data[:size]) is None
        assert is_header(data[:size]) in (True, None)


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (b"", None), (b"P", None), (b"PROXY", None), (b"PROXY ", True), (b"PROXY x", True),
        (b"\r", None), (SIGNATURE[:-1], None), (SIGNATURE, True), (SIGNATURE + b"x", True),
        (b"G", False), (b"PROXX", False), (b"proxy ", False), (b"\r\n\r\n\r", False),
        (b" PROXY ", False), (b"PROXY\t", False),
    ],
)  # fmt: skip
def test_a_header_is_known_by_its_first_bytes(data: bytes, begins: bool | None) -> None:
    assert is_header(data) is begins


# -- what is refused -------------------------------------------------------------------------

MALFORMED = {
    "another protocol": b"GET / HTTP/1.1\r\n",
    "lower case": b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "no family": b"PROXY \r\n",
    "an unknown family": b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
    "UDP": b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "a longer UNKNOWN": b"PROXY UNKNOWNS\r\n",
    "two spaces": b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "a tab": b"PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n",
    "a space at the end": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
    "a field too many": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    "a field too few": b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "an IPv6 address as TCP4": b"PROXY TCP4 ::1 5.6.7.8 1 2\r\n",
    "an IPv4 address as TCP6": b"PROXY TCP6 ::1 5.6.7.8 1 2\r\n",
    "an octal address": b"PROXY TCP4 0177.0.0.1 5.6.7.8 1 2\r\n",
    "a leading zero": b"PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
    "a short address": b"PROXY TCP4 127.1 5.6.7.8 1 2\r\n",
    "a number as the address": b"PROXY TCP4 2130706433 5.6.7.8 1 2\r\n",
    "a hexadecimal address": b"PROXY TCP4 0x7f.0.0.1 5.6.7.8 1 2\r\n",
    "a part above 255": b"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "brackets": b"PROXY TCP6 [::1] ::1 1 2\r\n",
    "a name": b"PROXY TCP4 localhost 5.6.7.8 1 2\r\n",
    "digits of another alphabet": "PROXY TCP4 1.2.3.4 5.6.7.8 \u0661 2\r\n".encode(),
    "bytes that are no text": b"PROXY TCP4 \xff\xfe 5.6.7.8 1 2\r\n",
    "a NUL": b"PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n",
    "a port above 65535": b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
    "a negative port": b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
    "a signed port": b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
    "a port with a leading zero": b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
    "a port of many digits": b"PROXY TCP4 1.2.3.4 5.6.7.8 " + b"1" * 40 + b" 2\r\n",
    "a port with an underscore": b"PROXY TCP4 1.2.3.4 5.6.7.8 1_0 2\r\n",
    "an empty port": b"PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n",
    "a line without an end": b"PROXY TCP4 " + b"1" * 96,
    "a line of 108 bytes": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "version 1 in binary": v2(command=0x11),
    "version 3": v2(command=0x31),
    "an unknown command": v2(command=0x22),
    "an unknown protocol": v2(0x13),
    "no protocol for a family": v2(0x10),
    "an unknown family in binary": v2(0x41),
    "no room for the addresses": v2(body=b"\x01\x02\x03\x04"),
    "IPv4's size for IPv6": v2(0x21),
    "4,097 bytes": v2(body=v2()[16:] + bytes(MAX_BYTES - 27)),
    "65,551 bytes": v2(length=65535),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_a_value_error_with_a_code(data: bytes) -> None:
    with pytest.raises(ValueError, match="^PROXY protocol: ") as caught:
        read_header(data)
    assert caught.value.code == "ERR_PROXY_PROTOCOL"  # type: ignore[attr-defined]


def test_a_header_that_is_too_long_is_refused_before_it_has_come() -> None:
    with pytest.raises(ValueError):
        read_header(v2(length=65535)[:16])
    with pytest.raises(ValueError):
        read_header((b"PROXY " + b"x" * 200)[:107])


def test_an_error_does_not_repeat_all_that_a_peer_has_sent() -> None:
    with pytest.raises(ValueError) as caught:
        read_header(b"x" * 100_000)
    assert len(str(caught.value)) < 1000


# -- any bytes at all ------------------------------------------------------------------------


def checked(data: bytes) -> ProxyHeader | ValueError | None:
    """What :func:`read_header` says; anything but a header, ``None`` or its error is raised."""
    try:
        header = read_header(data)
    except ValueError as exc:
        assert exc.code == "ERR_PROXY_PROTOCOL"  # type: ignore[attr-defined]
        assert len(str(exc)) < 1000
        return exc
    if header is not None:
        assert 0 < header.size <= min(len(data), MAX_BYTES)
        # What comes behind it changes nothing.
        assert read_header(data[: header.size]) == header
    else:
        assert len(data) < MAX_BYTES
    return header


def test_20_000_fuzzed_headers_are_read_waited_for_or_refused() -> None:
    chance = random.Random(20)
    seeds = [param.values[0] for param in GOOD] + list(MALFORMED.values())
    outcomes = {ProxyHeader: 0, ValueError: 0, type(None): 0}
    started = monotonic()
    for _ in range(FUZZED_HEADERS):
        outcomes[type(checked(mutated(chance, chance.choice(seeds))))] += 1
    seconds = monotonic() - started
    print(f"{FUZZED_HEADERS} headers in {seconds:.1f} seconds: {outcomes}")
    assert seconds < FUZZING_LIMIT
    # The fuzzer is worth something: it has met each outcome often.
    assert min(outcomes.values()) > FUZZED_HEADERS / 100


def mutated(chance: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        change = chance.randrange(6)
        if change == 0:
            data[at : at + chance.randrange(1, 9)] = b""
        elif change == 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif change == 2 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif change == 3:
            del data[at:]
        elif change == 4:
            data[at:at] = chance.choice(
                [b" ", b"\r\n", b"\0", b"%", b":", b".", b"0", b"\xff" * 99]
            )
        else:
            data += chance.randbytes(chance.randrange(64))
    return bytes(data)


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_refused_or_waited_for(data: bytes) -> None:
    checked(data)


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=500)
def test_any_binary_header_is_read_or_refused(body: bytes, command: int, kind: int) -> None:
    assert checked(v2(kind, body, command)) is not None


@given(
    st.ip_addresses(v=4) | st.ip_addresses(v=6),
    st.data(),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(max_size=20),
)
@settings(max_examples=500)
def test_both_versions_say_the_same_of_any_address(
    source: object, data: st.DataObject, port: int, own_port: int, behind: bytes
) -> None:
    version: int = source.version  # type: ignore[attr-defined]
    destination = data.draw(st.ip_addresses(v=version))  # type: ignore[arg-type]
    text = f"PROXY TCP{version} {source} {destination} {port} {own_port}\r\n".encode()
    packed = source.packed + destination.packed + struct.pack("!HH", port, own_port)  # type: ignore[attr-defined]
    first = read_header(text + behind)
    second = read_header(v2(0x11 if version == 4 else 0x21, packed) + behind)
    assert first is not None
    assert second is not None
    assert first[1:] == second[1:]
    assert first.source is not None
    assert first.source[1] == port


# -- what is written -------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("source", "destination", "read"),
    [
        ("192.0.2.1", "198.51.100.2", ("192.0.2.1", "198.51.100.2")),
        ("2001:db8::1", "::1", ("2001:db8::1", "::1")),
        # As a server has it that listens on both families.
        ("::ffff:192.0.2.1", "::ffff:198.51.100.2", ("192.0.2.1", "198.51.100.2")),
        # Behind a header that came over the other family.
        ("192.0.2.1", "2001:db8::1", ("::ffff:192.0.2.1", "2001:db8::1")),
        ("fe80::1%eth0", "fe80::2%eth0", ("fe80::1", "fe80::2")),
    ],
)
def test_what_is_written_is_read_again(
    source: str, destination: str, read: tuple[str, str], version: int
) -> None:
    data = write_header((source, 1111), (destination, 65535), version)
    header = read_header(data)
    assert header == ProxyHeader(len(data), (read[0], 1111), (read[1], 65535))


@pytest.mark.parametrize("version", [1, 2])
def test_what_has_no_address_is_unknown(version: int) -> None:
    data = write_header(None, None, version)
    assert read_header(data) == ProxyHeader(len(data), None, None)
