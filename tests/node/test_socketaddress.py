"""SocketAddress: its defaults, its fields, and what it refuses."""

from __future__ import annotations

import pytest

import gnet


def test_the_defaults() -> None:
    address = gnet.SocketAddress()
    assert (address.address, address.family, address.port, address.flowlabel) == (
        "127.0.0.1",
        "ipv4",
        0,
        0,
    )
    assert gnet.SocketAddress(family="ipv6").address == "::"


def test_the_fields() -> None:
    address = gnet.SocketAddress("::1", family="ipv6", port=1234, flowlabel=7)
    assert (address.address, address.port, address.flowlabel) == ("::1", 1234, 7)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"address": 1}, TypeError),
        ({"address": "no address"}, ValueError),
        ({"family": "test"}, ValueError),
        ({"port": -1}, ValueError),
        ({"port": True}, TypeError),
        ({"family": "ipv6", "flowlabel": -1}, ValueError),
    ],
)
def test_bad_fields(options: dict[str, object], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        gnet.SocketAddress(**options)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [("1.2.3.4", "1.2.3.4", 0), ("1.2.3.4:80", "1.2.3.4", 80), ("[1::1]:8080", "1::1", 8080)],
)
def test_parse(text: str, address: str, port: int) -> None:
    parsed = gnet.SocketAddress.parse(text)
    assert parsed is not None
    assert (parsed.address, parsed.port) == (address, port)


@pytest.mark.parametrize("text", ["", "invalid", "1.2.3.4:65536", "[1::1]80", "0x7f.1"])
def test_parse_of_what_is_none(text: str) -> None:
    assert gnet.SocketAddress.parse(text) is None
