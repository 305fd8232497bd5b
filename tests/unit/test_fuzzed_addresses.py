"""Addresses and targets that somebody has scrambled: a value or an error, whatever they are.

Each test says what it has met (``pytest -s``).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import pytest

from gnet import BlockList, SocketAddress, is_ip, is_ipv4, is_ipv6
from gnet._transport.stream_socket import sockaddr
from gnet._values import targets
from gnet._values.addresses import AddressInfo
from gnet.cli.place import Place

ADDRESSES = 10_000
TARGETS = 10_000
# Of the forms below, for each address.
CALLS = 5
# For all of them together, in seconds, on a slow machine.
FUZZING_LIMIT = 60.0

ADDRESS_SEEDS = (
    "127.0.0.1", "255.255.255.255", "0177.0.0.1", "0x7f.1", "127.1", "2130706433", "::", "::1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2001:db8:0:0:0:0:0:1",
    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "fe80::1%lo", "fe80::1%1",
    "fe80::1%4294967297", "10.0.0.0/8", "[::1]:80", "1.2.3.4:65535", "localhost", "",
)  # fmt: skip
TARGET_SEEDS = (
    "8124", "0", ":8124", "localhost:8124", "127.0.0.1:65535", "[::1]:8124", "[fe80::1%lo]:80",
    "::1:8124", "[::1]", "host:65536", "host:-1", "host:0x50", "http://host:80",
    "unix:/run/s.sock", "unix:@name", "unix:", "unix:./@name", r"\\.\pipe\name",
    "exämple.test:80", "",
)  # fmt: skip
PIECES = (
    "", ".", ":", "::", "%", "/", "[", "]", "@", "\\", "0", "00", "255", "256", "0x", "ffff", "-1",
    "+", " ", "\t", "\n", "\0", "\x7f", "é", "٣", "²", "\ud800", "\U0001f600", "unix:", "%lo",
    "9" * 20, "9" * 5000, "a" * 300, ":" * 50,
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 4, 6, 1 << 70, 1.5, float("nan"), b"::1", (), [], object(),
)  # fmt: skip


def scrambled(chance: random.Random, seeds: tuple[str, ...]) -> str:
    text = chance.choice(seeds)
    for _ in range(chance.randrange(4)):
        begin = chance.randrange(len(text) + 1)
        end = begin + chance.randrange(4)
        text = text[:begin] + chance.choice(PIECES) + text[end:]
    return text


def outcome(call: Callable[..., Any], *args: Any) -> str:
    """The name of what a call comes to; any other exception than gnet's own is raised."""
    try:
        call(*args)
    except (TypeError, ValueError) as error:
        # Those of gnet have a code, and a message that is not endless.
        assert getattr(error, "code", None), f"{call} {args} raised {error!r}"
        return type(error).__name__
    return "value"


def say(number: int, what: str, seconds: float, outcomes: Counter[str]) -> None:
    print(f"{number:,} fuzzed {what} in {seconds:.1f} seconds, {dict(outcomes)}")
    assert seconds < FUZZING_LIMIT
    # The fuzzer is worth something: it has met each outcome often.
    assert min(outcomes.values()) > number / 100


def forms(chance: random.Random, text: str, blocked: BlockList) -> Iterator[tuple[Any, ...]]:
    """All the calls that an address may get into, with what else they take."""
    family: Any = chance.choice(["ipv4", "ipv6", "IPv6", "IPV4", "ipv5", *ODD])
    odd: Any = chance.choice([0, 8, 32, 128, 80, 65535, 65536, *ODD])
    other = scrambled(chance, ADDRESS_SEEDS)
    yield is_ip, text
    yield SocketAddress.parse, text
    yield SocketAddress, text, family, odd, chance.choice([0, odd])
    yield SocketAddress, text, "ipv6" if ":" in text else "ipv4"
    yield blocked.check, text, family
    yield blocked.blocks, text
    yield blocked.add_address, text, family
    yield blocked.add_range, text, other, family
    yield blocked.add_range, text, text, "ipv6" if ":" in text else "ipv4"
    yield blocked.add_subnet, text, odd, family
    yield blocked.from_json, [f"Subnet: IPv4 {text}/8", f"Address: IPv6 {other}"]
    yield blocked.from_json, [f"Range: IPv6 {text}-{other}"]
    yield targets.parse, (text, odd)
    yield targets.parse, (text, 80, odd, chance.choice(ODD))
    yield targets.parse, 80, text


def check_sockaddr(text: str) -> None:
    """What is an address has a form for the system, or the error of its zone."""
    try:
        address = sockaddr(text, 80)
    except OSError as error:
        assert error.errno
        assert "%" in text
        return
    assert AddressInfo.from_sockaddr(address).port == 80
    if len(address) == 4:
        assert 0 <= address[3] < 1 << 32


def test_10_000_fuzzed_addresses_are_a_value_or_an_error() -> None:
    chance = random.Random(10)
    outcomes: Counter[str] = Counter()
    blocked = BlockList()
    started = monotonic()
    for number in range(ADDRESSES):
        if number % 500 == 0:
            blocked = BlockList()
        text = scrambled(chance, ADDRESS_SEEDS)
        for call, *args in chance.sample([*forms(chance, text, blocked)], CALLS):
            outcomes[outcome(call, *args)] += 1
        version = is_ip(text)
        assert (is_ipv4(text), is_ipv6(text)) == (version == 4, version == 6)
        if version:
            check_sockaddr(text)
            made = SocketAddress(text, f"ipv{version}", 80)
            assert SocketAddress.parse(str(made)) == made
            # Whatever else it is, to be blocked it must be found in the form it was added.
            blocked.add_address(text, f"ipv{version}")
            assert blocked.blocks(text)
            assert blocked.blocks(made.address)
    say(ADDRESSES, "addresses", monotonic() - started, outcomes)


def read_target(text: str) -> Place:
    """As the command does it, and then gnet itself."""
    try:
        place = Place.parse(text)
    except ValueError as error:
        assert str(error).startswith(repr(text))
        raise
    assert Place.parse(str(place)) == place
    assert targets.parse(None, place.host, port=place.port, path=place.path) == (*place, None)
    return place


def test_10_000_fuzzed_targets_of_the_command_are_a_place_or_an_error() -> None:
    chance = random.Random(11)
    outcomes: Counter[str] = Counter()
    started = monotonic()
    for _ in range(TARGETS):
        try:
            read_target(scrambled(chance, TARGET_SEEDS))
        except ValueError:
            outcomes["ValueError"] += 1
        else:
            outcomes["value"] += 1
    say(TARGETS, "targets of the command", monotonic() - started, outcomes)


@pytest.mark.parametrize("zone", ["nosuch", "-1", "4294967296", "9" * 20, "9" * 5000, "a" * 300])
def test_a_zone_that_cannot_be_is_an_error_and_no_other_zone(zone: str) -> None:
    with pytest.raises(OSError) as caught:
        sockaddr(f"fe80::1%{zone}", 80)
    assert caught.value.errno
