"""The first message of a TLS client: real ones in any pieces, and any bytes at all."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnet._values.client_hello import MAX_HELLO_BYTES, ClientHello, HelloReader


def hello_of(
    server_hostname: str | None,
    protocols: tuple[str, ...] = (),
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bytes:
    """What OpenSSL begins with."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_hostname).do_handshake()
    return outgoing.read()


def read(*pieces: bytes) -> ClientHello | None:
    """What is read of the pieces, none of which but the last one may be enough."""
    reader = HelloReader()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    return reader.feed(pieces[-1])


def in_records(message: bytes, size: int) -> bytes:
    """A message in records of so many bytes."""
    pieces = (message[place : place + size] for place in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(each)) + each for each in pieces)


HELLO = hello_of("www.example.com", ("h2", "http/1.1"))
EXPECTED = ClientHello(True, "www.example.com", ("h2", "http/1.1"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_openssls_hello_is_read(version: ssl.TLSVersion) -> None:
    assert read(hello_of("www.example.com", ("h2",), version)) == ClientHello(
        True, "www.example.com", ("h2",)
    )


def test_a_client_may_ask_for_nobody() -> None:
    assert read(hello_of(None)) == ClientHello(True)


def test_an_address_is_no_name() -> None:
    # RFC 6066 allows names only, and so OpenSSL sends none.
    assert read(hello_of("192.0.2.1")) == ClientHello(True)


@pytest.mark.parametrize(
    "sent, name",
    [
        (b"WWW.Example.COM", "www.example.com"),
        (b"www.example.com.", "www.example.com"),
        (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
        (b"www.ex\0mple.com", None),
        ("b\xfccher.example".encode("latin-1"), None),
        ("b\xfccher.example".encode(), None),
        (b"", None),
    ],
)
def test_the_name_has_one_form(sent: bytes, name: str | None) -> None:
    entry = b"\0" + struct.pack("!H", len(sent)) + sent
    extension = struct.pack("!HHH", 0, len(entry) + 2, len(entry)) + entry
    body = (
        b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
        + struct.pack("!H", len(extension)) + extension
    )  # fmt: skip
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    assert read(in_records(message, 16384)) == ClientHello(True, name)


@pytest.mark.parametrize("place", range(1, len(HELLO)))
def test_it_may_come_in_any_two_pieces(place: int) -> None:
    assert read(HELLO[:place], HELLO[place:]) == EXPECTED


def test_it_may_come_in_single_bytes() -> None:
    assert read(*(HELLO[place : place + 1] for place in range(len(HELLO)))) == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100, len(HELLO)])
def test_it_may_lie_in_several_records(size: int) -> None:
    assert read(in_records(HELLO[5:], size)) == EXPECTED


def test_what_comes_behind_it_is_kept() -> None:
    reader = HelloReader()
    assert reader.feed(HELLO + b"more") == EXPECTED
    assert reader.received == HELLO + b"more"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"G", id="http"),
        pytest.param(b"\x80\x2e\x01", id="ssl-2"),
        pytest.param(b"\x16\x02", id="another-version"),
        pytest.param(b"\x16\x03\x01\0\0", id="an-empty-record"),
        pytest.param(b"\x16\x03\x01\0\x04\x02\0\0\0", id="another-message"),
        pytest.param(b"\x15\x03\x01\0\x02\x02\x28", id="an-alert"),
        pytest.param(b"\x16\x03\x01\0\x06\x01\0\0\x02\0\0", id="too-short"),
        pytest.param(in_records(b"\x01\x01\0\0" + bytes(70000), 16384), id="too-long"),
    ],
)
def test_what_is_no_hello_is_known_at_once(data: bytes) -> None:
    assert read(data) == ClientHello(False)


def test_many_small_records_cost_no_more_than_their_bytes() -> None:
    reader = HelloReader()
    record = b"\x16\x03\x01\0\x01"
    outcome = reader.feed(record + b"\x01")
    for _ in range(MAX_HELLO_BYTES // 6 + 2):
        if outcome is not None:
            break
        outcome = reader.feed(record + b"\xff")
    assert outcome == ClientHello(False)


@settings(max_examples=500)
@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, len(HELLO)), st.binary())
def test_any_bytes_are_read_without_an_error(
    pieces: list[bytes], place: int, change: bytes
) -> None:
    changed = HELLO[:place] + change + HELLO[place + len(change) :]
    for stream in (pieces, [changed]):
        reader = HelloReader()
        for piece in stream:
            reader.feed(piece)
        assert reader.received == b"".join(stream)
