"""BlockList: its rules in each form, what they block, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gnet import BlockList, SocketAddress

IPV6 = "8592:757c:efae:4e45:fb5d:d62a:d00:8e17"


def as_text(address: str, family: str) -> tuple[Any, ...]:
    return (address, family)


def as_socket_address(address: str, family: str) -> tuple[Any, ...]:
    return (SocketAddress(address, family=family),)


@pytest.mark.parametrize("form", [as_text, as_socket_address])
def test_addresses_are_blocked_in_their_own_family(form: Any) -> None:
    blocked = BlockList()
    blocked.add_address(*form("1.1.1.1", "ipv4"))
    blocked.add_address(*form(IPV6, "ipv6"))

    assert blocked.check("1.1.1.1")
    assert blocked.check(*form("1.1.1.1", "ipv4"))
    assert not blocked.check("1.1.1.1", "ipv6")
    assert blocked.check(*form(IPV6, "ipv6"))
    assert not blocked.check(IPV6)
    assert not blocked.check("1.2.3.4")
    assert not blocked.check("::1", "ipv6")


def test_mapped_addresses_meet_the_rules_of_both_families() -> None:
    blocked = BlockList()
    blocked.add_address("1.1.1.1")
    blocked.add_address("::ffff:1.1.1.2", "ipv6")

    assert blocked.check("::ffff:1.1.1.1", "ipv6")
    assert blocked.check("::ffff:1.1.1.1", "IPV6")
    assert blocked.check("1.1.1.2")


@pytest.mark.parametrize("form", [as_text, as_socket_address])
def test_a_range_is_blocked_from_its_first_to_its_last_address(form: Any) -> None:
    blocked = BlockList()
    blocked.add_range(form("1.1.1.1", "ipv4")[0], *form("1.1.1.10", "ipv4"))
    blocked.add_range(form("::1", "ipv6")[0], *form("::f", "ipv6"))

    assert [n for n in range(13) if blocked.check(f"1.1.1.{n}")] == list(range(1, 11))
    assert [n for n in range(18) if blocked.check(f"::{n:x}", "ipv6")] == list(range(1, 16))


@pytest.mark.parametrize("form", [as_text, as_socket_address])
def test_a_subnet_is_blocked_by_its_prefix(form: Any) -> None:
    blocked = BlockList()
    blocked.add_subnet(form("1.1.1.0", "ipv4")[0], 16)
    blocked.add_subnet("8592:757c:efae:4e45::", 64, "ipv6")

    assert blocked.check("1.1.0.1")
    assert blocked.check("1.1.1.1")
    assert not blocked.check("1.2.0.1")
    assert blocked.check("::ffff:1.1.0.1", "ipv6")
    assert blocked.check("8592:757c:efae:4e45:f::", "ipv6")
    assert blocked.check("8592:757c:efae:4e45::f", "ipv6")
    assert not blocked.check("8592:757c:efae:4f45::f", "ipv6")


def test_a_prefix_need_not_end_at_a_byte() -> None:
    blocked = BlockList()
    blocked.add_subnet("10.0.0.0", 27)
    blocked.add_subnet("8592:757c:efaf::", 51, "ipv6")

    assert all(blocked.check(f"10.0.0.{n}") for n in range(32))
    assert not blocked.check("10.0.0.32")
    assert blocked.check("8592:757c:efaf::", "ipv6")
    assert blocked.check("8592:757c:efaf:1fff:ffff:ffff:ffff:ffff", "ipv6")
    assert not blocked.check("8592:757c:efaf:2fff:ffff:ffff:ffff:ffff", "ipv6")


def test_a_prefix_of_all_bits_is_one_address() -> None:
    blocked = BlockList()
    blocked.add_subnet("1.1.1.1", 32)

    assert blocked.check("1.1.1.1")
    assert not blocked.check("1.1.1.2")


def test_an_ipv4_range_blocks_mapped_addresses_by_value_not_by_byte_order() -> None:
    blocked = BlockList()
    blocked.add_range("10.0.0.2", "10.0.0.10")

    assert blocked.check("::ffff:0a00:0002", "ipv6")
    assert blocked.check("::ffff:0a00:000a", "ipv6")
    for outside in ("192.168.0.3", "2.2.2.2", "255.255.255.255"):
        assert not blocked.check(outside)
        assert not blocked.check(f"::ffff:{outside}", "ipv6")


def test_rules_are_told_the_newest_first() -> None:
    blocked = BlockList()
    blocked.add_address("1.1.1.1")
    blocked.add_range("10.0.0.1", "10.0.0.10")
    blocked.add_subnet("8592:757c:efae:4e45::", 64, "IpV6")

    assert blocked.rules == [
        "Subnet: IPv6 8592:757c:efae:4e45::/64",
        "Range: IPv4 10.0.0.1-10.0.0.10",
        "Address: IPv4 1.1.1.1",
    ]


@pytest.mark.parametrize(
    ("call", "arguments", "kind", "code"),
    [
        ("add_address", (1,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_address", ([],), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_address", ("", 1), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_address", ("", ""), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("add_range", (1, "1.1.1.1"), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_range", ("1.1.1.1", 1), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_range", ("", "1.1.1.1", 1), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_range", ("1.1.1.2", "1.1.1.1"), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("add_subnet", (1, 1), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_subnet", ("1.1.1.1", ""), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_subnet", ("1.1.1.1", -1), ValueError, "ERR_OUT_OF_RANGE"),
        ("add_subnet", ("1.1.1.1", 33), ValueError, "ERR_OUT_OF_RANGE"),
        ("add_subnet", ("::", -1, "ipv6"), ValueError, "ERR_OUT_OF_RANGE"),
        ("add_subnet", ("::", 129, "ipv6"), ValueError, "ERR_OUT_OF_RANGE"),
        ("check", (1,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("check", ("", 1), TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_bad_arguments_are_refused(
    call: str, arguments: tuple[Any, ...], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as caught:
        getattr(BlockList(), call)(*arguments)
    assert caught.value.code == code


def test_a_block_list_is_known_as_one() -> None:
    assert BlockList.is_block_list(BlockList())
    assert not BlockList.is_block_list({})
    assert "BlockList" in repr(BlockList())


RULES = [
    "Address: IPv4 10.0.0.5",
    "Address: IPv6 ::",
    "Subnet: IPv4 192.168.1.0/24",
    "Subnet: IPv6 8592:757c:efae:4e45::/64",
]


def original() -> BlockList:
    blocked = BlockList()
    blocked.add_address("10.0.0.5")
    blocked.add_address("::", "ipv6")
    blocked.add_subnet("192.168.1.0", 24)
    blocked.add_subnet("8592:757c:efae:4e45::", 64, "ipv6")
    return blocked


@pytest.mark.parametrize(
    "data",
    [original().to_json(), json.dumps(original().to_json()), RULES],
    ids=["to_json", "text", "list"],
)
def test_rules_come_back_from_json(data: Any) -> None:
    blocked = BlockList()
    blocked.from_json(data)

    assert sorted(blocked.rules) == RULES
    for address, family, answer in [
        ("10.0.0.5", "ipv4", True),
        ("10.0.0.6", "ipv4", False),
        ("::", "ipv6", True),
        ("::1", "ipv6", False),
        ("192.168.1.0", "ipv4", True),
        ("193.168.1.0", "ipv4", False),
        ("8592:757c:efae:4e45::", "ipv6", True),
        ("1111:1111:1111:1111::", "ipv6", False),
    ]:
        assert blocked.check(address, family) is answer


@pytest.mark.parametrize("data", [1, None, [1, 2, 3], "123", [object()], {}])
def test_what_is_no_list_of_rules_is_refused(data: Any) -> None:
    with pytest.raises(TypeError) as caught:
        BlockList().from_json(data)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
