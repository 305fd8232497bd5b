"""BlockList: rules that come and go, count, have notes and end; against a slow model."""

from __future__ import annotations

import copy
import ipaddress
import json
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gnet._core import rule_store as module
from gnet._core.address_table import MOST_EDGES
from gnet._core.block_list import BlockList
from gnet._values.addresses import SocketAddress

IP = IPv4Address | IPv6Address
MAPPED = 0xFFFF << 32
PLAIN = "Address: IPv4 192.0.2.1"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def block_list() -> BlockList:
    return BlockList()


def code_of(call: Callable[[], object], kind: type[Exception]) -> Any:
    with pytest.raises(kind) as caught:
        call()
    return getattr(caught.value, "code", None)


# -- against the ipaddress module -----------------------------------------------------------------


class Known:
    """What the model knows of a rule."""

    def __init__(self, first: IP, last: IP, deadline: float | None) -> None:
        self.first, self.last = line(first), line(last)
        self.deadline = deadline
        self.note: str | None = None
        self.hits = 0


def line(ip: IP) -> int:
    return int(ip) if ip.version == 6 else MAPPED | int(ip)


def near(kind: type, first: int, count: int) -> st.SearchStrategy[Any]:
    return st.integers(first, first + count - 1).map(kind)


ips = st.one_of(
    near(IPv4Address, int(IPv4Address("10.0.0.0")), 40),
    near(IPv4Address, 2**32 - 4, 4),
    near(IPv6Address, MAPPED | int(IPv4Address("10.0.0.0")), 40),
    near(IPv6Address, int(IPv6Address("2001:db8::")), 20),
    near(IPv6Address, 2**128 - 4, 4),
    st.just(IPv6Address("::")),
)


@st.composite
def any_rules(draw: st.DrawFn) -> tuple[str, str, str, str, Any, IP, IP]:
    """The method's name, its arguments as text, the rule's text, and what it holds."""
    kind = draw(st.sampled_from(["address", "range", "subnet", "cidr"]))
    ip = draw(ips)
    family = f"ipv{ip.version}"
    label = f"IPv{ip.version}"
    if kind == "address":
        return kind, family, text(ip), f"Address: {label} {text(ip)}", (text(ip), family), ip, ip
    if kind == "range":
        other = draw(ips.filter(lambda it: it.version == ip.version))
        first, last = sorted([ip, other])
        shown = f"Range: {label} {text(first)}-{text(last)}"
        return kind, family, shown, shown, (text(first), text(last), family), first, last
    prefix = draw(st.integers(0, ip.max_prefixlen))
    network = ipaddress.ip_network((ip, prefix), strict=False)
    first, last = network[0], network[-1]
    if kind == "cidr":
        cidr = f"{text(ip)}/{prefix}"
        return kind, family, cidr, f"Subnet: {label} {text(first)}/{prefix}", (cidr,), first, last
    shown = f"Subnet: {label} {text(ip)}/{prefix}"
    return kind, family, shown, shown, (text(ip), prefix, family), first, last


def text(ip: Any) -> str:
    if ip.version == 6 and ip.ipv4_mapped is not None:
        return f"::ffff:{ip.ipv4_mapped}"
    return str(ip)


def key(rule: str) -> str:
    """Subnets are the same whatever stands behind their prefix."""
    kind, _, rest = rule.partition(": ")
    if kind != "Subnet":
        return rule
    family, _, cidr = rest.partition(" ")
    network = ipaddress.ip_network(cidr, strict=False)
    return f"Subnet: {family} {text(network[0])}/{network.prefixlen}"


class AgainstASlowModel(RuleBasedStateMachine):
    """All that can be done to a list, and a dict that is gone through from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "monotonic", self.clock)
        self.list = BlockList()
        # By the rules' keys: the texts, and what is known.
        self.known: dict[str, tuple[str, Known]] = {}

    def teardown(self) -> None:
        self.patch.undo()

    def expire(self) -> None:
        self.known = {
            name: (shown, known)
            for name, (shown, known) in self.known.items()
            if known.deadline is None or known.deadline > self.clock.now
        }

    def put(self, shown: str, first: IP, last: IP, ttl: float | None, note: str | None) -> None:
        former = self.known.pop(key(shown), None)
        known = Known(first, last, None if ttl is None else self.clock.now + ttl)
        if former is not None:
            known.note, known.hits = former[1].note, former[1].hits
        known.note = note if note is not None else known.note
        self.known[key(shown)] = shown, known

    @rule(
        made=any_rules(),
        ttl=st.sampled_from([None, None, 5, 10]),
        note=st.sampled_from([None, None, "a", ""]),
    )
    def add(self, made: Any, ttl: float | None, note: str | None) -> None:
        kind, _, _, shown, arguments, first, last = made
        getattr(self.list, f"add_{kind}")(*arguments, ttl=ttl, note=note)
        self.put(shown, first, last, ttl, note)

    @rule(made=any_rules())
    def remove_any(self, made: Any) -> None:
        kind, _, _, shown, arguments, _, _ = made
        removed = getattr(self.list, f"remove_{kind}")(*arguments)
        assert removed is (self.known.pop(key(shown), None) is not None)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove_known(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.known)))
        kind, _, rest = self.known.pop(name)[0].partition(": ")
        family, _, body = rest.partition(" ")
        if kind == "Address":
            assert self.list.remove_address(body, family)
        elif kind == "Range":
            assert self.list.remove_range(*body.split("-"), family)
        else:
            assert self.list.remove_cidr(body)

    @rule(made=st.lists(any_rules(), max_size=6), kept=st.integers(0, 4))
    def replace(self, made: list[Any], kept: int) -> None:
        former = list(self.known.values())
        new = [(shown, first, last) for _, _, _, shown, _, first, last in made]
        for shown, known in former[:kept]:
            new.append((shown, at(known.first, shown), at(known.last, shown)))
        self.list.replace([shown for shown, _, _ in new])
        names = {key(shown) for shown, _, _ in new}
        self.known = {name: it for name, it in self.known.items() if name in names}
        for shown, first, last in reversed(new):
            self.put(shown, first, last, None, None)

    @rule()
    def clear(self) -> None:
        self.list.clear()
        self.known.clear()

    @rule(seconds=st.sampled_from([1, 5]))
    def pass_time(self, seconds: int) -> None:
        self.clock.now += seconds
        self.expire()

    @rule(form=st.sampled_from([copy.copy, copy.deepcopy, pickle, json]))
    def go_on_with_a_copy(self, form: Any) -> None:
        if form is json:
            written = json.dumps(self.list.to_json())
            self.list = BlockList()
            self.list.from_json(written)
        elif form is pickle:
            self.list = pickle.loads(pickle.dumps(self.list))
        else:
            self.list = form(self.list)
        for _, known in self.known.values():
            known.hits = 0

    @rule(ip=ips)
    def check(self, ip: Any) -> None:
        met = [known for _, known in self.known.values() if known.first <= line(ip) <= known.last]
        assert self.list.check(text(ip), f"ipv{ip.version}") is bool(met)
        assert self.list.blocks(text(ip)) is bool(met)
        for known in met:
            known.hits += 2

    @invariant()
    def it_has_the_same_rules(self) -> None:
        shown = [shown for shown, _ in self.known.values()]
        assert self.list.rules == shown[::-1]
        assert len(self.list) == len(shown)
        assert self.list.notes == {
            shown: known.note for shown, known in self.known.values() if known.note is not None
        }
        for shown, known in self.known.values():
            assert self.list.hits(shown) == known.hits


def at(number: int, shown: str) -> IP:
    return IPv4Address(number & 0xFFFFFFFF) if " IPv4 " in shown else IPv6Address(number)


AgainstASlowModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAgainstASlowModel = AgainstASlowModel.TestCase


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_a_table_of_many_parts_answers_as_one_that_is_made_at_once(order: str) -> None:
    count = 3 * MOST_EDGES
    cidrs = [f"10.{n >> 8}.{n & 255}.0/25" for n in range(count)]
    wide = [f"10.0.0.0/{prefix}" for prefix in range(8, 25)]
    one_by_one, at_once = BlockList(), BlockList()
    for cidr in cidrs if order == "forwards" else reversed(cidrs):
        one_by_one.add_cidr(cidr)
    for cidr in wide:
        one_by_one.add_cidr(cidr)
    for cidr in [*wide, *cidrs[::2]]:
        assert one_by_one.remove_cidr(cidr)
    at_once.add_cidrs(cidrs[1::2])
    for n in range(count):
        for host in (0, 127, 128, 255):
            address = f"10.{n >> 8}.{n & 255}.{host}"
            refused = n % 2 == 1 and host < 128
            assert one_by_one.blocks(address) is at_once.blocks(address) is refused
    for cidr in cidrs[1::2]:
        assert one_by_one.remove_cidr(cidr)
    assert not any(one_by_one.blocks(f"10.{n >> 8}.{n & 255}.1") for n in range(count))


# -- what there is to add and remove --------------------------------------------------------------


def test_cidrs_of_both_families_are_added_and_removed(block_list: BlockList) -> None:
    block_list.add_cidr("10.0.0.0/8")
    block_list.add_cidr("2001:db8::/32")
    assert block_list.rules == ["Subnet: IPv6 2001:db8::/32", "Subnet: IPv4 10.0.0.0/8"]
    assert block_list.check("10.1.2.3")
    assert block_list.check("::ffff:10.0.0.1", "ipv6")
    assert block_list.remove_cidr("10.0.0.0/8")
    assert not block_list.remove_cidr("10.0.0.0/8")
    assert block_list.rules == ["Subnet: IPv6 2001:db8::/32"]
    assert not block_list.check("::ffff:10.0.0.1", "ipv6")


def test_a_cidr_with_host_bits_is_its_network(block_list: BlockList) -> None:
    block_list.add_cidr("10.1.2.3/8")
    assert block_list.rules == ["Subnet: IPv4 10.0.0.0/8"]
    assert block_list.remove_cidr("10.9.9.9/8")


def test_a_subnet_is_removed_by_whatever_address_it_was_added(block_list: BlockList) -> None:
    block_list.add_subnet("10.1.2.3", 24)
    assert block_list.rules == ["Subnet: IPv4 10.1.2.3/24"]
    assert block_list.hits("Subnet: IPv4 10.1.2.0/24") == 0
    block_list.add_subnet("10.1.2.9", 24)
    assert block_list.rules == ["Subnet: IPv4 10.1.2.9/24"]
    assert block_list.remove_subnet("10.1.2.0", 24)
    assert block_list.rules == []


def test_several_come_together(block_list: BlockList) -> None:
    block_list.add_addresses(iter(["1.1.1.1", SocketAddress("::1", "ipv6"), "::2"]))
    block_list.add_addresses(["::3"], "ipv6")
    block_list.add_cidrs(("10.0.0.0/8", "fc00::/7"), note="ours")
    assert block_list.rules == [
        "Subnet: IPv6 fc00::/7",
        "Subnet: IPv4 10.0.0.0/8",
        "Address: IPv6 ::3",
        "Address: IPv6 ::2",
        "Address: IPv6 ::1",
        "Address: IPv4 1.1.1.1",
    ]
    assert block_list.notes == dict.fromkeys(block_list.rules[:2], "ours")


def test_a_rule_that_is_added_again_is_one_rule_and_the_newest(block_list: BlockList) -> None:
    for address in ("1.1.1.1", "2.2.2.2", "1.1.1.1"):
        block_list.add_address(address)
    assert block_list.rules == ["Address: IPv4 1.1.1.1", "Address: IPv4 2.2.2.2"]
    assert len(block_list) == 2
    assert block_list.remove_address("1.1.1.1")
    assert not block_list.check("1.1.1.1")


def test_what_another_rule_holds_stays_refused(block_list: BlockList) -> None:
    block_list.add_address("10.0.0.1")
    block_list.add_address("::ffff:10.0.0.1", "ipv6")
    block_list.add_range("10.0.0.0", "10.0.0.9")
    assert block_list.remove_address("10.0.0.1")
    assert block_list.check("10.0.0.1")
    assert block_list.remove_range("10.0.0.0", "10.0.0.9")
    assert block_list.check("10.0.0.1")
    assert block_list.remove_address("::ffff:10.0.0.1", "ipv6")
    assert not block_list.check("10.0.0.1")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("remove_address", ("9.9.9.9",)),
        ("remove_address", ("::ffff:1.1.1.1", "ipv6")),
        ("remove_range", ("1.1.1.1", "1.1.1.1")),
        ("remove_subnet", ("1.1.1.1", 32)),
        ("remove_cidr", ("1.1.1.1/32",)),
    ],
)
def test_removing_what_is_not_there_changes_nothing(
    block_list: BlockList, call: str, arguments: tuple[Any, ...]
) -> None:
    block_list.add_address("1.1.1.1")
    assert getattr(block_list, call)(*arguments) is False
    assert block_list.rules == ["Address: IPv4 1.1.1.1"]
    assert block_list.check("1.1.1.1")


def test_clear_leaves_nothing(block_list: BlockList) -> None:
    block_list.add_address("1.1.1.1", ttl=60, note="x")
    assert block_list.check("1.1.1.1")
    block_list.clear()
    assert (len(block_list), block_list.rules, block_list.notes) == (0, [], {})
    assert not block_list.check("1.1.1.1")
    block_list.add_address("1.1.1.1")
    assert block_list.hits("Address: IPv4 1.1.1.1") == 0


@pytest.mark.parametrize(
    "address",
    [
        "10.9.9.9",
        "172.31.0.1",
        "192.168.0.1",
        "127.9.9.9",
        "::1",
        "169.254.1.1",
        "fe80::1",
        "fdff::1",
    ],
)
def test_private_ranges_are_of_no_use_on_the_internet(block_list: BlockList, address: str) -> None:
    block_list.add_cidrs(BlockList.PRIVATE_RANGES)
    assert block_list.blocks(address)
    for public in ("8.8.8.8", "172.32.0.1", "11.0.0.0", "2001:db8::1", "::2", "fec0::1"):
        assert not block_list.blocks(public)


# -- mode -----------------------------------------------------------------------------------------


def test_everything_but_the_rules_is_refused_in_the_mode_allow() -> None:
    allowed = BlockList(mode="allow")
    assert allowed.mode == "allow"
    assert BlockList().mode == BlockList("block").mode == "block"
    assert allowed.check("1.1.1.1")
    allowed.add_cidr("10.0.0.0/8")
    assert not allowed.check("10.1.2.3")
    assert not allowed.check("::ffff:10.1.2.3", "ipv6")
    assert not allowed.blocks("10.1.2.3")
    assert allowed.holds("10.1.2.3")
    assert allowed.check("11.0.0.0")
    assert allowed.blocks("::1")
    assert allowed.hits("Subnet: IPv4 10.0.0.0/8") == 4
    assert repr(allowed) == "<BlockList, allow, 1 rules>"


@pytest.mark.parametrize("address", ["", "x", "10.0.0.01", "10.1.2.3:80", "::1"])
def test_text_that_is_no_address_is_not_allowed(address: str) -> None:
    allowed = BlockList("allow")
    allowed.add_cidrs(["0.0.0.0/0", "::/0"])
    assert allowed.check(address)
    assert allowed.check("10.1.2.3", "ipv6")


# -- hits, notes ----------------------------------------------------------------------------------


def test_every_rule_that_holds_an_address_is_hit(block_list: BlockList) -> None:
    block_list.add_cidr("10.0.0.0/8")
    block_list.check("10.0.0.5")
    block_list.add_range("10.0.0.0", "10.0.0.9")
    block_list.check("10.0.0.5")
    block_list.check("10.0.0.10")
    block_list.check("11.0.0.0")
    hits = [block_list.hits(rule) for rule in block_list.rules]
    assert hits == [1, 3]
    block_list.remove_range("10.0.0.0", "10.0.0.9")
    assert block_list.hits("Subnet: IPv4 10.0.0.0/8") == 3
    block_list.add_range("10.0.0.0", "10.0.0.9")
    assert block_list.hits("Range: IPv4 10.0.0.0-10.0.0.9") == 0


@pytest.mark.parametrize("rule", ["", "x", "10.0.0.0/8", "Address: IPv4 1.1.1.2", "Range: IPv4 1"])
def test_what_is_no_rule_has_no_hits(block_list: BlockList, rule: str) -> None:
    block_list.add_address("1.1.1.1")
    block_list.add_cidr("10.0.0.0/8")
    with pytest.raises(KeyError):
        block_list.hits(rule)


def test_notes_go_with_their_rules_and_are_the_callers_own(block_list: BlockList) -> None:
    block_list.add_subnet("10.1.2.3", 8, note="ours")
    block_list.add_address("1.1.1.1", note="theirs")
    block_list.add_address("1.1.1.1")
    assert block_list.notes == {
        "Subnet: IPv4 10.1.2.3/8": "ours",
        "Address: IPv4 1.1.1.1": "theirs",
    }
    block_list.notes.clear()
    block_list.remove_address("1.1.1.1")
    assert block_list.notes == {"Subnet: IPv4 10.1.2.3/8": "ours"}


# -- ttl ------------------------------------------------------------------------------------------


def test_a_rule_ends_with_its_time_however_long_nobody_looked(
    block_list: BlockList, clock: Clock
) -> None:
    block_list.add_address("1.1.1.1", ttl=10)
    block_list.add_address("1.1.1.1", "ipv4", note="soon gone")
    block_list.add_address("2.2.2.2", ttl=10, note="soon gone")
    clock.now += 9.9
    assert block_list.check("2.2.2.2")
    clock.now += 0.2
    assert block_list.check("1.1.1.1")
    assert not block_list.check("2.2.2.2")
    assert block_list.rules == ["Address: IPv4 1.1.1.1"]
    assert len(block_list) == 1
    assert block_list.notes == {"Address: IPv4 1.1.1.1": "soon gone"}
    with pytest.raises(KeyError):
        block_list.hits("Address: IPv4 2.2.2.2")
    assert not block_list.remove_address("2.2.2.2")


@pytest.mark.parametrize(
    "look",
    [
        lambda it: it.rules == [],
        lambda it: len(it) == 0,
        lambda it: it.notes == {},
        lambda it: it.to_json() == [],
        lambda it: not it.check("1.1.1.1"),
        lambda it: not it.blocks("1.1.1.1"),
        lambda it: not it.remove_address("1.1.1.1"),
        lambda it: copy.copy(it).rules == [],
        lambda it: repr(it) == "<BlockList, 0 rules>",
    ],
)
def test_no_look_finds_a_rule_whose_time_is_over(
    block_list: BlockList, clock: Clock, look: Callable[[BlockList], bool]
) -> None:
    block_list.add_address("1.1.1.1", ttl=1, note="x")
    clock.now += 1
    assert look(block_list)


def test_the_later_ttl_holds(block_list: BlockList, clock: Clock) -> None:
    for first, second, ends in [(5, 50, 50), (50, 5, 5), (5, None, None), (None, 5, 5)]:
        block_list.add_address("1.1.1.1", ttl=first)
        block_list.add_address("1.1.1.1", ttl=second)
        if ends is not None:
            clock.now += ends - 1
        assert block_list.check("1.1.1.1")
        clock.now += 1
        assert block_list.check("1.1.1.1") is (ends is None)
        clock.now += 100
        block_list.clear()


def test_a_rule_that_was_added_twice_in_one_tick_ends_once(
    block_list: BlockList, clock: Clock
) -> None:
    for _ in range(2):
        block_list.add_address("1.1.1.1", ttl=5)
        block_list.add_cidr("::/0", ttl=5)
    block_list.add_address("2.2.2.2")
    clock.now += 5
    assert block_list.rules == ["Address: IPv4 2.2.2.2"]
    assert [block_list.check(each) for each in ("1.1.1.1", "2.2.2.2")] == [False, True]
    assert not block_list.check("::1", "ipv6")


def test_hits_begin_anew_with_a_rule_that_had_ended(block_list: BlockList, clock: Clock) -> None:
    block_list.add_address("1.1.1.1", ttl=1)
    assert block_list.check("1.1.1.1")
    clock.now += 1
    block_list.add_address("1.1.1.1", ttl=1)
    assert block_list.hits("Address: IPv4 1.1.1.1") == 0


def test_a_rule_that_is_renewed_a_thousand_times_leaves_nothing_behind(
    block_list: BlockList, clock: Clock
) -> None:
    for _ in range(1000):
        block_list.add_address("1.1.1.1", ttl=10)
        clock.now += 1
    assert block_list.check("1.1.1.1")
    clock.now += 10
    assert not block_list.check("1.1.1.1")
    block_list.add_addresses([f"10.0.{n >> 8}.{n & 255}" for n in range(1000)], ttl=1)
    block_list.add_address("1.1.1.1")
    clock.now += 1
    assert block_list.rules == ["Address: IPv4 1.1.1.1"]


# -- replacing ------------------------------------------------------------------------------------


def test_replace_keeps_what_is_known_of_rules_that_stay(
    block_list: BlockList, clock: Clock
) -> None:
    block_list.add_address("1.1.1.1", ttl=5, note="stays")
    block_list.add_address("2.2.2.2", note="goes")
    block_list.check("1.1.1.1")
    block_list.check("2.2.2.2")
    block_list.replace(["10.1.0.0/8", "3.3.3.3", "Address: IPv4 1.1.1.1", "::1"])
    assert block_list.rules == [
        "Subnet: IPv4 10.0.0.0/8",
        "Address: IPv4 3.3.3.3",
        "Address: IPv4 1.1.1.1",
        "Address: IPv6 ::1",
    ]
    assert block_list.notes == {"Address: IPv4 1.1.1.1": "stays"}
    assert block_list.hits("Address: IPv4 1.1.1.1") == 1
    assert not block_list.check("2.2.2.2")
    clock.now += 5
    assert block_list.check("1.1.1.1")
    block_list.replace(block_list.rules)
    assert len(block_list) == 4


# -- JSON -----------------------------------------------------------------------------------------


def test_json_keeps_mode_notes_and_what_is_left_of_a_ttl(clock: Clock) -> None:
    allowed = BlockList("allow")
    allowed.add_address("1.1.1.1", ttl=10)
    allowed.add_address("2.2.2.2", note="two")
    allowed.add_cidr("10.0.0.0/8", ttl=3, note="ten")
    allowed.add_address("3.3.3.3")
    clock.now += 2
    written = allowed.to_json()
    assert written == [
        {"mode": "allow"},
        "Address: IPv4 3.3.3.3",
        {"rule": "Subnet: IPv4 10.0.0.0/8", "ttl": 1, "note": "ten"},
        {"rule": "Address: IPv4 2.2.2.2", "note": "two"},
        {"rule": "Address: IPv4 1.1.1.1", "ttl": 8},
    ]
    clock.now += 1000
    for form in (written, tuple(written), json.dumps(written)):
        other = BlockList()
        other.from_json(form)
        assert other.mode == "allow"
        assert other.to_json() == written
    clock.now += 1
    assert other.check("10.0.0.1")
    assert not other.check("1.1.1.1")


def test_a_mode_is_not_read_into_rules_of_the_other_one(block_list: BlockList) -> None:
    block_list.add_address("1.1.1.1")
    data = [{"mode": "allow"}, "Address: IPv4 2.2.2.2"]
    code = code_of(partial(block_list.from_json, data), ValueError)
    assert code == "ERR_INVALID_ARG_VALUE"
    assert (block_list.mode, block_list.rules) == ("block", ["Address: IPv4 1.1.1.1"])


@pytest.mark.parametrize(
    ("entry", "kind", "code"),
    [
        ({}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"mode": "block"}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"rule": PLAIN, "tll": 1}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"rule": 1}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"rule": PLAIN, "ttl": 0}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"rule": PLAIN, "ttl": "1"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"rule": PLAIN, "note": 1}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"rule": "Address: IPv4 x"}, ValueError, "ERR_INVALID_ADDRESS"),
    ],
)
def test_json_with_a_wrong_entry_adds_nothing(
    block_list: BlockList, entry: Any, kind: type[Exception], code: str
) -> None:
    assert code_of(lambda: block_list.from_json([PLAIN, entry]), kind) == code
    assert block_list.rules == []


@pytest.mark.parametrize(
    ("mode", "kind"), [("deny", ValueError), (1, TypeError), (None, TypeError)]
)
def test_json_with_a_wrong_mode_adds_nothing(
    block_list: BlockList, mode: Any, kind: type[Exception]
) -> None:
    code_of(lambda: block_list.from_json([{"mode": mode}, PLAIN]), kind)
    assert (block_list.mode, block_list.rules) == ("block", [])


# -- copies ---------------------------------------------------------------------------------------


class Owned(BlockList):
    """A program's own."""

    def __init__(self, owner: str) -> None:
        super().__init__("allow")
        self.owner = owner


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_copy_has_all_but_the_hits(copied: Callable[[Any], Any], clock: Clock) -> None:
    original = Owned("me")
    original.add_address("1.1.1.1", ttl=10, note="x")
    original.check("1.1.1.1")
    clock.now += 4
    other = copied(original)
    assert (type(other), other.owner, other.mode) == (Owned, "me", "allow")
    assert other.to_json() == original.to_json()
    assert other.hits("Address: IPv4 1.1.1.1") == 0
    original.clear()
    clock.now += 5
    assert not other.check("1.1.1.1")
    clock.now += 1
    assert other.check("1.1.1.1")


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "kind", "code"),
    [
        ("", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("Allow", ValueError, "ERR_INVALID_ARG_VALUE"),
        (None, TypeError, "ERR_INVALID_ARG_TYPE"),
        (True, TypeError, "ERR_INVALID_ARG_TYPE"),
        (["allow"], TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_a_mode_is_block_or_allow(mode: Any, kind: type[Exception], code: str) -> None:
    assert code_of(lambda: BlockList(mode), kind) == code


ADDERS: list[tuple[str, tuple[Any, ...]]] = [
    ("add_address", ("1.1.1.1",)),
    ("add_addresses", (["1.1.1.1"],)),
    ("add_range", ("1.1.1.1", "1.1.1.2")),
    ("add_subnet", ("1.1.1.1", 8)),
    ("add_cidr", ("1.1.1.1/8",)),
    ("add_cidrs", (["1.1.1.1/8"],)),
]


@pytest.mark.parametrize(("call", "arguments"), ADDERS)
@pytest.mark.parametrize(
    ("option", "kind", "code"),
    [
        ({"ttl": 0}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"ttl": -1}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"ttl": float("nan")}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"ttl": float("inf")}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"ttl": True}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"ttl": "60"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"note": 1}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"note": b"x"}, TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_a_wrong_ttl_or_note_adds_nothing(
    block_list: BlockList, call: str, arguments: Any, option: Any, kind: type[Exception], code: str
) -> None:
    assert code_of(lambda: getattr(block_list, call)(*arguments, **option), kind) == code
    assert block_list.rules == []


@pytest.mark.parametrize("call", ["add_addresses", "add_cidrs", "replace"])
@pytest.mark.parametrize("value", ["1.1.1.1", b"x", 1, None, True, BlockList])
def test_several_are_no_single_one(block_list: BlockList, call: str, value: Any) -> None:
    code = code_of(lambda: getattr(block_list, call)(value), TypeError)
    assert code == "ERR_INVALID_ARG_TYPE"


@pytest.mark.parametrize(
    ("call", "value", "kind", "code"),
    [
        ("add_addresses", 1, TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_addresses", "10.0.0.0/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("add_cidrs", 1, TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_cidrs", "bad", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("add_cidrs", "10.0.0.0", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("replace", None, TypeError, "ERR_INVALID_ARG_TYPE"),
        ("replace", "bad", ValueError, "ERR_INVALID_ADDRESS"),
        ("replace", "bad/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("replace", "Subnet: IPv4 1.1.1.1", ValueError, "ERR_INVALID_ARG_VALUE"),
    ],
)
def test_a_wrong_one_among_many_changes_nothing(
    block_list: BlockList, call: str, value: Any, kind: type[Exception], code: str
) -> None:
    block_list.add_address("9.9.9.9", note="old")
    good = "1.1.1.0/24" if call == "add_cidrs" else "1.1.1.1"
    assert code_of(lambda: getattr(block_list, call)([good, value, good]), kind) == code
    assert block_list.to_json() == [{"rule": "Address: IPv4 9.9.9.9", "note": "old"}]
    assert not block_list.check("1.1.1.1")


@pytest.mark.parametrize("call", ["add_cidr", "remove_cidr"])
@pytest.mark.parametrize(
    ("cidr", "kind", "code"),
    [
        (1, TypeError, "ERR_INVALID_ARG_TYPE"),
        (None, TypeError, "ERR_INVALID_ARG_TYPE"),
        (ipaddress.ip_network("10.0.0.0/8"), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/abc", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/-1", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/+8", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/٨", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/8/8", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/255.0.0.0", ValueError, "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.0/" + "9" * 10_000, ValueError, "ERR_INVALID_ARG_VALUE"),
        ("/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("10.0.0/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("010.0.0.0/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("::1::/8", ValueError, "ERR_INVALID_ADDRESS"),
        (" 10.0.0.0/8", ValueError, "ERR_INVALID_ADDRESS"),
        ("10.0.0.0/33", ValueError, "ERR_OUT_OF_RANGE"),
        ("::/129", ValueError, "ERR_OUT_OF_RANGE"),
    ],
)
def test_what_is_no_cidr_is_refused(
    block_list: BlockList, call: str, cidr: Any, kind: type[Exception], code: str
) -> None:
    assert code_of(lambda: getattr(block_list, call)(cidr), kind) == code
    assert block_list.rules == []


@pytest.mark.parametrize(
    ("call", "arguments", "kind", "code"),
    [
        ("remove_address", (1,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("remove_address", ("1.1.1.1", None), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("remove_address", ("x",), ValueError, "ERR_INVALID_ADDRESS"),
        ("remove_address", ("1.1.1.1", "ipv5"), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("remove_range", ("1.1.1.2", "1.1.1.1"), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("remove_subnet", ("1.1.1.1", "8"), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("remove_subnet", ("1.1.1.1", 33), ValueError, "ERR_OUT_OF_RANGE"),
        ("hits", (1,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("add_addresses", (["::1"], "ipv4"), ValueError, "ERR_INVALID_ADDRESS"),
        ("add_addresses", (["1.1.1.1"], "ipv5"), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("load", (1,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("load", ("",), ValueError, "ERR_INVALID_ARG_VALUE"),
        ("watch", (None,), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("watch", ("x", 0), ValueError, "ERR_OUT_OF_RANGE"),
        ("watch", ("x", -1), ValueError, "ERR_OUT_OF_RANGE"),
        ("watch", ("x", "1"), TypeError, "ERR_INVALID_ARG_TYPE"),
        ("watch", ("x", True), TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_wrong_arguments_are_refused(
    block_list: BlockList, call: str, arguments: Any, kind: type[Exception], code: str
) -> None:
    assert code_of(lambda: getattr(block_list, call)(*arguments), kind) == code


# -- a change in the middle of another one --------------------------------------------------------


def test_a_change_inside_a_change_is_made_behind_it(block_list: BlockList) -> None:
    """As a finaliser makes it, of what the garbage collector finds there."""

    class Nested:
        def __init__(self, change: Callable[[], object]) -> None:
            self.change = change

        def __del__(self) -> None:
            self.change()

    def interrupted() -> Iterator[Any]:
        nested = [Nested(lambda: block_list.add_address("2.2.2.2"))]
        yield "1.1.1.1"
        nested.clear()

    store = block_list._store

    def change() -> None:
        Nested(lambda: block_list.add_address("3.3.3.3"))
        store._put({}, only=True)

    block_list.add_addresses(interrupted())
    assert sorted(block_list.rules) == ["Address: IPv4 1.1.1.1", "Address: IPv4 2.2.2.2"]
    store._change(change)
    assert block_list.rules == ["Address: IPv4 3.3.3.3"]
    assert block_list.check("3.3.3.3")
    assert not block_list.check("1.1.1.1")
