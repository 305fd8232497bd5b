"""Which address of a name is tried first: RFC 6724."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent
import pytest

from gnet._values.addresses import is_ip
from gnet.dns import destinations
from gnet.dns.destinations import in_order

#: The source of each destination; ``None`` where there is no way.
Sources = dict[str, str | None]
Order = Callable[[Iterable[str], Sources], list[str]]

GLOBAL4, PRIVATE4, LINK4 = "198.51.100.117", "10.1.2.4", "169.254.13.78"


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Order:
    """The order of addresses on a machine that has these sources for them."""
    monkeypatch.setattr(destinations, "_OWN_ADDRESSES", str(tmp_path / "none"))

    def order(addresses: Iterable[str], sources: Sources) -> list[str]:
        monkeypatch.setattr(destinations, "_source", lambda address: sources[address[0]])
        return [address for address, _ in in_order([(each, is_ip(each)) for each in addresses])]

    return order


# Each row: the destinations in their right order, with the source that each one has.
SECTION_10_2 = [
    # Prefer matching scope.
    [("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", LINK4)],
    [("198.51.100.121", GLOBAL4), ("2001:db8:1::1", "fe80::1")],
    # Prefer higher precedence.
    [("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", PRIVATE4)],
    # Prefer smaller scope.
    [("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")],
    # Prefer matching label.
    [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "2002:c633:6401::2")],
    [("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")],
]

FURTHER = [
    # 1: what cannot be reached comes last, one of a family or all of it.
    [("192.0.2.1", GLOBAL4), ("2001:db8:1::1", None)],
    [("2001:db8:2::1", "2001:db8::2"), ("192.0.2.1", GLOBAL4), ("2001:db8:1::1", None)],
    [("2001:db8::1", None), ("192.0.2.1", None)],
    # 2: private addresses of IPv4 are as global as others; loopback and link-local ones are not.
    [("2001:db8::1", "2001:db8::2"), ("10.0.0.1", PRIVATE4)],
    [("127.0.0.1", "127.0.0.1"), ("2001:db8::1", "fe80::2")],
    [("192.0.2.1", GLOBAL4), ("fec0::1", "2001:db8::2")],
    # 5 and 6: tunnels and local networks behind what is everywhere.
    [("192.0.2.1", GLOBAL4), ("fd00:1::1", "fd00:1::2")],
    [("192.0.2.1", GLOBAL4), ("fd00:1::1", "2001:db8::2")],
    [("192.0.2.1", GLOBAL4), ("2002:c633:6401::1", "2002:c633:6401::2")],
    [("192.0.2.1", GLOBAL4), ("2001::1", "2001::2")],
    [("2001:db8::1", "2001:db8::2"), ("fd00:1::1", "fd00:1::2")],
    [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001::1", "2001::2")],
    [("fd00:1::1", "fd00:1::2"), ("2001:db8::1", "fd00:1::2")],
    [("2001::1", "2001::2"), ("3ffe::1", "3ffe::2")],
    [("192.0.2.1", GLOBAL4), ("::192.0.2.1", "::192.0.2.2")],
    [("::1", "::1"), ("127.0.0.1", "127.0.0.1")],
    [("192.0.2.1", GLOBAL4), ("2001:db8::1", "fd00::2")],
    # 8: nearer first, by the scopes of RFC 4291.
    [("ff02::1", "fe80::2"), ("ff0e::1", "2001:db8::2")],
    # 9: what has more of its source's prefix.
    [("2001:db8:1::1", "2001:db8:1::2"), ("2001:db8:3ffe::1", "2001:db8:3f44::2")],
    [("2001:db8:3f00::1", "2001:db8:3f44::2"), ("2001:db8:1::1", "2001:db8:3f44::2")],
    [("fe80::1%1", "fe80::2"), ("2001:db8::1", "2001:db8::2")],
]


@pytest.mark.parametrize("rows", SECTION_10_2 + FURTHER)
def test_the_rules_of_rfc_6724_order_destinations(order: Order, rows: Any) -> None:
    right = [address for address, _ in rows]
    sources = dict(rows)
    assert order(right, sources) == right
    assert order(reversed(right), sources) == right


@pytest.mark.parametrize(
    ("addresses", "source"),
    [
        # Round robin, which rule 9 would undo.
        (["54.83.193.112", "10.2.3.20", "184.72.238.214", "23.23.172.185"], "10.2.3.19"),
        # Beyond the prefix of a network nothing counts.
        (["2001:db8::1", "2001:db8::ffff", "2001:db8::2"], "2001:db8::3"),
        (["2001:db8:0:1::1", "2001:db8:0:1::2"], None),
    ],
)
def test_what_the_rules_do_not_part_keeps_its_order(
    order: Order, addresses: list[str], source: str | None
) -> None:
    sources = dict.fromkeys(addresses, source)
    assert order(addresses, sources) == addresses
    addresses.reverse()
    assert order(addresses, sources) == addresses


def test_a_deprecated_source_is_avoided_and_a_mobile_nodes_home_preferred(
    order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "if_inet6"
    monkeypatch.setattr(destinations, "_OWN_ADDRESSES", str(own))
    sources: Sources = {"2001:db8:1::1": "2001:db8:1::2", "2001:db8:2::1": "2001:db8:2::2"}
    own.write_text(
        "20010db8000100000000000000000002 02 40 00 20     eth0\n"
        "20010db8000200000000000000000002 03 40 00 80     eth1\n"
    )
    assert order(sources, sources) == ["2001:db8:2::1", "2001:db8:1::1"]
    own.write_text("20010db8000200000000000000000002 03 40 00 10     eth1\n")
    assert order(sources, sources) == ["2001:db8:2::1", "2001:db8:1::1"]
    own.write_text("nonsense\n")
    assert order(sources, sources) == ["2001:db8:1::1", "2001:db8:2::1"]


def test_a_route_without_a_known_source_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "_source", lambda address: None)
    monkeypatch.setattr(destinations, "_has_route", lambda address: address[0] != "2001:db8::1")
    found = [("2001:db8::1", 6), ("fd00::1", 6), ("192.0.2.1", 4), ("2001:db8::2", 6)]
    right = ["2001:db8::2", "192.0.2.1", "fd00::1", "2001:db8::1"]
    assert [address for address, _ in in_order(found)] == right


def test_the_system_names_the_source_of_a_way() -> None:
    assert destinations._source(("127.0.0.1", 4)) == "127.0.0.1"
    assert destinations._source(("127.0.0.1%nonsense", 4)) is None
    assert destinations._source(("fe80::1%no-such-zone", 6)) is None


def test_very_many_addresses_neither_cost_a_call_each_nor_hold_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(destinations, "_source", lambda address: asked.append(address))
    monkeypatch.setattr("gnet.dns.turns._LONGEST_TURN", 0)
    found = [(f"10.1.{number // 250}.{number % 250}", 4) for number in range(4000)]
    others = gevent.spawn(lambda: [gevent.sleep(0) for _ in range(50)])
    assert sorted(in_order(found)) == sorted(found)
    assert len(asked) <= 2 * 256
    assert others.ready()
    others.get()
