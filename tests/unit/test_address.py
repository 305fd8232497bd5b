"""What is an IP address, how it is written, and SocketAddress."""

from __future__ import annotations

import copy
import pickle
import random
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet._values.addresses import (
    AddressInfo,
    SocketAddress,
    canonical,
    family_of,
    is_ip,
    is_ipv4,
    is_ipv6,
    parse_ip,
    split_zone,
)

IPV4 = ["0.0.0.0", "127.0.0.1", "255.255.255.255", "1.2.3.4"]
IPV6 = [
    "::",
    "::1",
    "1::",
    "FE80::1",
    "0:0:0:0:0:0:0:0",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "::1.2.3.4",
    "::ffff:1.2.3.4",
    "::ffff:7b7b:7b7b",
    "fe80::1%eth0",
    "fe80::1%3",
    "fe80::1%eth0.100",
    "fe80::1%br-0_a:1",
]
NO_ADDRESSES = [
    "",
    " ",
    "localhost",
    "127.0.0.1/24",
    "127.0.0.1:80",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\n",
    "127.0.0.1\0",
    "127.0.0.256",
    "127.0.0",
    "127.0.0.1.1",
    "127.0..1",
    "1.2.3.-4",
    "1.2.3.+4",
    "1.2.3.4%eth0",
    "١.٢.٣.٤",
    "[::1]",
    "::1 ",
    "::1\n",
    "1::2::3",
    "::00001",
    "::g",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::ffff:1.2.3",
    "::ffff:01.2.3.4",
    "::1.2.3.4:5",
    "fe80::1%",
    "fe80::1%%",
    "fe80::1%a%b",
    "fe80::1%a b",
    "fe80::1%a\n",
    "fe80::1%a/64",
    "fe80::1%a]",
]
# What inet_aton() reads as 127.0.0.1, and with it browsers, curl and getaddrinfo().
LOOPBACK_IN_DISGUISE = [
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "127.0.0.01",
    "127.000.000.001",
    "0x7f.1",
]

ports = st.integers(0, 65535)
ipv4s = st.ip_addresses(v=4)
# Small numbers and mapped ones too: they are the ones with a notation of their own.
ipv6s = st.one_of(
    st.ip_addresses(v=6),
    st.integers(0, 2**33).map(IPv6Address),
    st.integers(0, 2**32 - 1).map(lambda number: IPv6Address(0xFFFF << 32 | number)),
)
zones = st.from_regex(r"[0-9A-Za-z._:~-]{1,15}", fullmatch=True)


@pytest.mark.parametrize("text", IPV4)
def test_four_decimal_numbers_are_an_ipv4_address(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (4, True, False)


@pytest.mark.parametrize("text", IPV6)
def test_groups_of_hexadecimal_digits_are_an_ipv6_address(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (6, False, True)


@pytest.mark.parametrize("text", NO_ADDRESSES + LOOPBACK_IN_DISGUISE)
def test_what_is_not_exactly_an_address_is_none(text: str) -> None:
    assert (is_ip(text), is_ipv4(text), is_ipv6(text)) == (0, False, False)


@pytest.mark.parametrize("value", [None, 0, 4, 1.5, True, b"127.0.0.1", [], {}, object(), str])
def test_what_does_not_read_as_an_address_is_none(value: object) -> None:
    assert (is_ip(value), is_ipv4(value), is_ipv6(value)) == (0, False, False)


@pytest.mark.parametrize("version, value", [(4, IPv4Address("1.2.3.4")), (6, IPv6Address("::1"))])
def test_an_object_is_judged_by_its_text(version: int, value: object) -> None:
    assert is_ip(value) == version


def system_takes(family: int, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def scrambled(count: int) -> list[str]:
    """Addresses with some characters changed, put in or left out; repeatable."""
    dice = random.Random(20)
    seeds = [*IPV4, *IPV6, *NO_ADDRESSES, *LOOPBACK_IN_DISGUISE, "[::1]:80", "1.2.3.4:5"]
    alphabet = "0123456789abcdefx.:.:.:%[]/-@ \t\n\0é\ud800"
    texts = []
    for _ in range(count):
        text = list(dice.choice(seeds))
        for _ in range(dice.randrange(5)):
            start = dice.randrange(len(text) + 1)
            text[start : start + dice.randrange(3)] = dice.choices(alphabet, k=dice.randrange(3))
        texts.append("".join(text))
    return texts


@pytest.mark.skipif(not hasattr(socket, "inet_pton"), reason="there is no inet_pton() here")
def test_the_system_agrees_on_what_is_an_address_without_a_zone() -> None:
    texts = [text for text in scrambled(10_000) if "%" not in text]
    assert {is_ip(text) for text in texts} == {0, 4, 6}
    for text in texts:
        assert is_ipv4(text) == system_takes(socket.AF_INET, text), text
        assert is_ipv6(text) == system_takes(socket.AF_INET6, text), text


def test_ten_thousand_scrambled_texts_are_an_address_or_none() -> None:
    read = 0
    for text in scrambled(10_000):
        assert is_ip(text) in (0, 4, 6)
        found = SocketAddress.parse(text)
        if found is None:
            assert is_ip(text) == 0
        else:
            read += 1
            assert SocketAddress.parse(str(found)) == found
    assert read > 1000


@given(st.text(max_size=50))
def test_any_text_is_an_address_or_none(text: str) -> None:
    ip = parse_ip(text)
    assert is_ip(text) == (0 if ip is None else ip.version)
    assert ip is None or SocketAddress.parse(text) is not None


@given(st.one_of(ipv4s, ipv6s))
def test_the_canonical_form_is_read_back_as_the_same_address(ip: Any) -> None:
    assert parse_ip(canonical(ip)) == ip


@pytest.mark.parametrize(
    "text, written",
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
        ("::ffff:102:304", "::ffff:1.2.3.4"),
        ("::FFFF:1.2.3.4%Eth0", "::ffff:1.2.3.4%Eth0"),
        ("FE80:0::1%Eth0", "fe80::1%Eth0"),
    ],
)
def test_the_canonical_form_is_rfc_5952s_with_the_zone_kept(text: str, written: str) -> None:
    ip = parse_ip(text)
    assert ip is not None
    assert canonical(ip) == written


def test_a_zone_is_parted_from_its_address() -> None:
    assert split_zone("fe80::1%eth0") == ("fe80::1", "eth0")
    assert split_zone("fe80::1") == ("fe80::1", None)
    assert split_zone("1.2.3.4") == ("1.2.3.4", None)


def test_the_family_of_an_address_is_told_in_nodes_words() -> None:
    assert [family_of(text) for text in IPV4] == ["IPv4"] * len(IPV4)
    assert [family_of(text) for text in IPV6] == ["IPv6"] * len(IPV6)


def test_address_info_is_a_tuple_with_names() -> None:
    info = AddressInfo("::1", "IPv6", 80)
    assert info == ("::1", "IPv6", 80)
    assert (info.address, info.family, info.port) == ("::1", "IPv6", 80)


@pytest.mark.parametrize(
    "sockaddr, info",
    [
        (("127.0.0.1", 80), ("127.0.0.1", "IPv4", 80)),
        (("::1", 80, 0, 0), ("::1", "IPv6", 80)),
        (("fe80::1%eth0", 80, 0, 2), ("fe80::1%eth0", "IPv6", 80)),
    ],
)
def test_address_info_is_made_of_what_the_system_gives(sockaddr: Any, info: Any) -> None:
    assert AddressInfo.from_sockaddr(sockaddr) == info


def fields(address: SocketAddress) -> tuple[str, str, int, int]:
    return address.address, address.family, address.port, address.flowlabel


def test_a_socket_address_is_the_ipv4_loopback_unless_told_otherwise() -> None:
    assert fields(SocketAddress()) == ("127.0.0.1", "ipv4", 0, 0)


def test_an_ipv6_socket_address_without_an_address_is_the_unspecified_one() -> None:
    assert fields(SocketAddress(family="ipv6")) == ("::", "ipv6", 0, 0)


def test_a_socket_address_keeps_what_it_is_given() -> None:
    address = SocketAddress("2001:DB8:0::1", "ipv6", port=8080, flowlabel=0xFFFFF)
    assert fields(address) == ("2001:db8::1", "ipv6", 8080, 0xFFFFF)


@pytest.mark.parametrize("family", ["ipv6", "IPv6", "IPV6", "IpV6"])
def test_the_family_of_a_socket_address_is_told_in_any_case(family: str) -> None:
    assert SocketAddress("::1", family).family == "ipv6"


def test_a_flow_label_belongs_to_ipv6_only() -> None:
    assert SocketAddress(flowlabel=5).flowlabel == 0


def test_a_socket_address_keeps_its_zone() -> None:
    assert SocketAddress("fe80::1%eth0", "ipv6").address == "fe80::1%eth0"


@pytest.mark.parametrize(
    "arguments, kind, code",
    [
        ({"family": "ipv5"}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"family": ""}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"family": 4}, TypeError, "ERR_INVALID_ARG_VALUE"),
        ({"family": None}, TypeError, "ERR_INVALID_ARG_VALUE"),
        ({"address": 1}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"address": b"1.1.1.1"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"address": IPv4Address("1.1.1.1")}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"address": ""}, ValueError, "ERR_INVALID_ADDRESS"),
        ({"address": "localhost"}, ValueError, "ERR_INVALID_ADDRESS"),
        ({"address": "127.1"}, ValueError, "ERR_INVALID_ADDRESS"),
        ({"address": "::1"}, ValueError, "ERR_INVALID_ADDRESS"),
        ({"address": "1.1.1.1", "family": "ipv6"}, ValueError, "ERR_INVALID_ADDRESS"),
        ({"port": -1}, ValueError, "ERR_SOCKET_BAD_PORT"),
        ({"port": 65536}, ValueError, "ERR_SOCKET_BAD_PORT"),
        ({"port": False}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"flowlabel": -1}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"flowlabel": 0x100000}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"flowlabel": "1"}, TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_a_bad_argument_of_a_socket_address_is_refused(
    arguments: dict[str, Any], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as caught:
        SocketAddress(**arguments)
    assert getattr(caught.value, "code", None) == code
    (name, value), *_ = arguments.items()
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", ["address", "family", "port", "flowlabel", "other"])
def test_a_socket_address_cannot_be_changed(name: str) -> None:
    address = SocketAddress()
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(address, name, 1)
    assert address == SocketAddress()


def test_socket_addresses_are_equal_and_hash_by_all_that_they_name() -> None:
    address = SocketAddress("::1", "ipv6", 80, 1)
    same = SocketAddress("0::1", "IPv6", "80", 1)
    assert address == same and hash(address) == hash(same)
    others = [
        SocketAddress("::2", "ipv6", 80, 1),
        SocketAddress("::1", "ipv6", 81, 1),
        SocketAddress("::1", "ipv6", 80, 2),
        SocketAddress(),
    ]
    assert len({address, same, *others}) == 5


def test_a_socket_address_shows_its_fields_and_reads_as_text() -> None:
    address = SocketAddress("::1", "ipv6", 80)
    assert repr(address) == "SocketAddress(address='::1', family='ipv6', port=80, flowlabel=0)"
    assert str(address) == "[::1]:80"
    assert str(SocketAddress(port=80)) == "127.0.0.1:80"


def test_a_socket_address_can_be_copied_and_sent_to_another_process() -> None:
    address = SocketAddress("::1", "ipv6", 80, 1)
    assert copy.deepcopy(address) == address
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize(
    "text, expected",
    [
        ("123.1.2.3:1234", ("123.1.2.3", "ipv4", 1234)),
        ("[1::1]:1234", ("1::1", "ipv6", 1234)),
        ("1.2.3.4", ("1.2.3.4", "ipv4", 0)),
        ("[1:0::]", ("1::", "ipv6", 0)),
        ("1:0::8", ("1::8", "ipv6", 0)),
        ("127.0.0.1:80", ("127.0.0.1", "ipv4", 80)),
        ("[::1]:80", ("::1", "ipv6", 80)),
        ("[::1]:443", ("::1", "ipv6", 443)),
        ("1.2.3.4:0", ("1.2.3.4", "ipv4", 0)),
        ("1.2.3.4:65535", ("1.2.3.4", "ipv4", 65535)),
        ("1.2.3.4:00080", ("1.2.3.4", "ipv4", 80)),
        ("[::ffff:102:304]:5", ("::ffff:1.2.3.4", "ipv6", 5)),
        ("[fe80::1%eth0]:5", ("fe80::1%eth0", "ipv6", 5)),
        ("fe80::1%eth0", ("fe80::1%eth0", "ipv6", 0)),
    ],
)
def test_parse_reads_an_address_with_a_port_or_without(text: str, expected: Any) -> None:
    found = SocketAddress.parse(text)
    assert found is not None
    assert fields(found) == (*expected, 0)


@pytest.mark.parametrize(
    "text",
    [
        *(text for text in NO_ADDRESSES if text not in ("127.0.0.1:80", "[::1]")),
        "[::1",
        "::1]",
        "[]",
        "[]:80",
        "[::1]80",
        "[::1]:",
        "[::1]:x",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "1.2.3.4:",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:65536",
        "1.2.3.4:000080",
        "1.2.3.4:0x50",
        "1.2.3.4:8 0",
        "1.2.3.4:80\n",
        "1.2.3.4:٨٠",
        "12:12:12",
        "259.1.1.1",
        "localhost:80",
        "user:80@1.2.3.4:80",
        "http://1.2.3.4",
    ],
)
def test_parse_gives_none_for_what_is_no_address(text: str) -> None:
    assert SocketAddress.parse(text) is None


@pytest.mark.parametrize("port", ["", ":80"])
@pytest.mark.parametrize("text", LOOPBACK_IN_DISGUISE)
def test_parse_takes_no_octal_hexadecimal_or_short_ipv4(text: str, port: str) -> None:
    assert SocketAddress.parse(text + port) is None


@pytest.mark.parametrize("value", [None, 1, b"1.2.3.4", IPv4Address("1.2.3.4")])
def test_parse_refuses_what_is_no_text(value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        SocketAddress.parse(value)
    assert getattr(caught.value, "code", None) == "ERR_INVALID_ARG_TYPE"


@given(ipv4s, ports)
def test_parse_reads_back_every_ipv4_address_with_its_port(ip: IPv4Address, port: int) -> None:
    assert SocketAddress.parse(f"{ip}:{port}") == SocketAddress(str(ip), "ipv4", port)


@given(ipv6s, st.none() | zones, ports)
def test_parse_reads_back_every_ipv6_address_with_its_port(
    ip: IPv6Address, zone: str | None, port: int
) -> None:
    text = str(ip) if zone is None else f"{ip}%{zone}"
    address = SocketAddress(text, "ipv6", port)
    assert SocketAddress.parse(f"[{ip.exploded}{text[len(str(ip)) :]}]:{port}") == address
    assert SocketAddress.parse(str(address)) == address
