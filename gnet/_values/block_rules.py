"""The rules of a block list: their texts, and the addresses that each of them holds.

Every rule is an interval of one line of 128-bit numbers, on which an IPv4 address stands where
its IPv4-mapped form ``::ffff:a.b.c.d`` does (RFC 4291, section 2.5.5.2).
"""

from __future__ import annotations

import _socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from . import arguments
from .addresses import (
    SocketAddress,
    canonical,
    checked_family,
    checked_ip,
    family_of,
    split_zone,
)
from .packed import MAPPED, packed

__all__ = [
    "PRIVATE_RANGES",
    "AnyAddress",
    "Entry",
    "Rule",
    "address_rule",
    "any_address_rule",
    "checked_mode",
    "checked_note",
    "checked_ttl",
    "cidr_rule",
    "from_json",
    "given_rule",
    "line_rule",
    "range_rule",
    "read_rule",
    "subnet_rule",
    "text_and_family",
    "texts",
    "to_json",
]

AnyAddress = str | SocketAddress

#: RFC 1918, loopback, link-local, and RFC 4193.
PRIVATE_RANGES = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "::1/128",
    "169.254.0.0/16",
    "fe80::/10",
    "fc00::/7",
)

_RULES = "a list of rules such as 'Address: IPv4 10.0.0.1'"
_FIELDS = {"rule", "ttl", "note"}
_MODES = ("block", "allow")
_BITS = 128
# What stands behind the last address of all.
_END = b"\xff" * 16 + b"\0"


class Rule(NamedTuple):
    """A rule.

    :ivar key: the same for rules that say the same: a subnet is written with its first address.
    :ivar text: as it was given: an entry of ``BlockList.rules``.
    :ivar begin: its first address, packed.
    :ivar end: what stands behind its last one.
    """

    key: str
    text: str
    begin: bytes
    end: bytes


class Entry(NamedTuple):
    """A rule with what was said about it.

    :ivar ttl: for how many seconds it holds; ``None``: for ever.
    """

    rule: Rule
    ttl: float | None = None
    note: str | None = None


def checked_mode(mode: Any) -> str:
    """``"block"`` or ``"allow"``.

    :raises TypeError: it is no ``str``.
    :raises ValueError: it is another one.
    """
    if arguments.string("mode", mode) not in _MODES:
        raise arguments.wrong_value("mode", mode, "'block' or 'allow'")
    return str(mode)


def address_rule(address: AnyAddress, family: str = "ipv4") -> Rule:
    """The rule for one address."""
    place = _place("address", address, family)
    text = f"Address: {place}"
    return Rule(text, text, place.key, _behind(place.key))


def any_address_rule(address: AnyAddress) -> Rule:
    """The rule for one address of either family."""
    family = "ipv6" if isinstance(address, str) and ":" in address else "ipv4"
    return address_rule(address, family)


def range_rule(start: AnyAddress, end: AnyAddress, family: str = "ipv4") -> Rule:
    """The rule for all addresses from one to another, both included."""
    first, last = _place("start", start, family), _place("end", end, family)
    if first.version != last.version or first.key > last.key:
        right = f"an address of the family of {last.text}, and not after it"
        raise arguments.wrong_value("start", first.text, right)
    text = f"Range: {first}-{last.text}"
    return Rule(text, text, first.key, _behind(last.key))


def subnet_rule(net: AnyAddress, prefix: int, family: str = "ipv4") -> Rule:
    """The rule for a network, by any address of it."""
    place = _place("net", net, family)
    bits = arguments.integer("prefix", prefix, 0, place.bits)
    rule = _subnet(place, bits)
    return rule._replace(text=f"Subnet: {place}/{bits}")


def cidr_rule(cidr: str, name: str = "cidr") -> Rule:
    """The rule for a network in CIDR notation; of an address inside it, its network.

    :param name: the argument's name, for the messages.
    """
    address, slash, digits = arguments.string(name, cidr).partition("/")
    bits = _prefix(digits)
    if not slash or bits is None:
        right = "a network in CIDR notation, such as '10.0.0.0/8' or 'fc00::/7'"
        raise arguments.wrong_value(name, cidr, right)
    place = _place(name, address, family_of(address))
    return _subnet(place, arguments.integer("prefix", bits, 0, place.bits))


def line_rule(text: str) -> Rule:
    """The rule of a line of a file: a CIDR, or an address."""
    return cidr_rule(text) if "/" in text else any_address_rule(text)


def given_rule(text: str) -> Rule:
    """The rule for a CIDR, an address, or a text such as ``BlockList.rules`` has."""
    return read_rule(text, "rules") if ": " in arguments.string("rules", text) else line_rule(text)


def read_rule(text: str, name: str = "data") -> Rule:
    """The rule for a text such as ``BlockList.rules`` has.

    :param name: the argument's name, for the messages.
    """
    kind, _, rest = text.partition(": ")
    family, _, body = rest.partition(" ")
    if kind == "Address":
        return address_rule(body, checked_family(family))
    if kind == "Range":
        start, _, end = body.partition("-")
        return range_rule(start, end, family)
    net, _, digits = body.partition("/")
    bits = _prefix(digits)
    if kind == "Subnet" and bits is not None:
        return subnet_rule(net, bits, family)
    raise arguments.wrong_value(name, text, _RULES)


def texts(name: str, values: Any) -> list[Any]:
    """What an iterable has; text, which is one of its letters, is refused.

    :param name: the argument's name, for the message.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise arguments.wrong_kind(name, values, "an iterable of str")
    return list(values)


def text_and_family(name: str, address: AnyAddress, family: str) -> tuple[str, str]:
    """The text of an address and its family, ``"ipv4"`` or ``"ipv6"``.

    :param name: the address' name as an argument, for the messages.
    :param family: as it was given.
    """
    if isinstance(address, SocketAddress):
        return address.address, address.family
    text = arguments.string(name, address)
    return text, checked_family(arguments.string("family", family))


# -- as JSON --------------------------------------------------------------------------------------


def to_json(mode: str, entries: list[Entry]) -> list[str | dict[str, Any]]:
    """Rules as :func:`json.dumps` can write them.

    As in Node a list of texts; where there is more to say than a text, an object.
    """
    written: list[str | dict[str, Any]] = [] if mode == "block" else [{"mode": mode}]
    for rule, ttl, note in entries:
        more = {"ttl": ttl, "note": note}
        fields = {name: value for name, value in more.items() if value is not None}
        written.append({"rule": rule.text, **fields} if fields else rule.text)
    return written


def from_json(data: Any) -> tuple[str | None, list[Entry]]:
    """The mode, if there is one, and the rules that :func:`to_json` gave, or the JSON of them."""
    found = data
    if isinstance(data, str):
        try:
            import json  # for this alone: it would be a tenth of gnet's import

            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            # Its beginning tells which text it was; the whole may be megabytes.
            raise arguments.wrong_value("data", data[:80], f"{_RULES}, in JSON") from error
    if not isinstance(found, (list, tuple)):
        raise arguments.wrong_kind("data", found, _RULES)
    for each in found:
        if not isinstance(each, (str, dict)):
            raise arguments.wrong_kind("data", each, _RULES)
    mode = None
    if found and isinstance(found[0], dict) and found[0].keys() == {"mode"}:
        mode, found = checked_mode(found[0]["mode"]), found[1:]
    return mode, [_read_entry(each) for each in found]


def _read_entry(data: str | dict[str, Any]) -> Entry:
    if isinstance(data, str):
        return Entry(read_rule(data))
    if "rule" not in data or not data.keys() <= _FIELDS:
        right = "a rule, or an object with 'rule', and maybe 'ttl' and 'note'"
        raise arguments.wrong_value("data", data, right)
    return Entry(
        read_rule(arguments.string("rule", data["rule"])),
        checked_ttl(data.get("ttl")),
        checked_note(data.get("note")),
    )


def checked_ttl(ttl: Any) -> float | None:
    """A time to live in seconds, above zero, or ``None``."""
    return None if ttl is None else arguments.positive_seconds("ttl", ttl)


def checked_note(note: Any) -> str | None:
    """A note, or ``None``."""
    return None if note is None else arguments.string("note", note)


# -- places on the line ---------------------------------------------------------------------------


class _Place(NamedTuple):
    """An address: packed, and as text without a zone."""

    key: bytes
    text: str
    version: int

    @property
    def bits(self) -> int:
        return 32 if self.version == 4 else _BITS

    def __str__(self) -> str:
        return f"IPv{self.version} {self.text}"


# RFC 5952 leaves a single group of zeros alone; not every system's function does.
_NTOP_IS_CANONICAL = _socket.inet_ntop(
    _socket.AF_INET6, bytes.fromhex("00010000000200030004000500060007")
).startswith("1:0:2:")


def _place(name: str, address: AnyAddress, family: str) -> _Place:
    text, family = text_and_family(name, address, family)
    is_ipv6 = ":" in text
    # A tenth of what ipaddress takes, for nearly all addresses: 0.8 µs.
    if is_ipv6 is (family == "ipv6") and "%" not in text:
        key = packed(text)
        if key is not None:
            return _Place(key, _ipv6_text(key), 6) if is_ipv6 else _Place(key, text, 4)
    ip = checked_ip(name, text, family)
    key = ip.packed if ip.version == 6 else MAPPED + ip.packed
    return _Place(key, split_zone(canonical(ip))[0], ip.version)


def _ipv6_text(key: bytes) -> str:
    if _NTOP_IS_CANONICAL:
        text = _socket.inet_ntop(_socket.AF_INET6, key)
        # Some write other addresses than mapped ones with dots, too.
        if "." not in text or text.startswith("::ffff:"):
            return text
    return canonical(IPv6Address(key))


def _subnet(place: _Place, bits: int) -> Rule:
    size = 1 << place.bits - bits
    number = int.from_bytes(place.key, "big")
    # IPv4's part of the line begins at a multiple of its size: no prefix crosses its border.
    begin = number // size * size
    if begin == number:
        network = place.text
    else:
        key = begin.to_bytes(16, "big")
        network = _ipv6_text(key) if place.version == 6 else str(IPv4Address(key[-4:]))
    text = f"Subnet: IPv{place.version} {network}/{bits}"
    return Rule(text, text, begin.to_bytes(16, "big"), _packed_number(begin + size))


def _behind(key: bytes) -> bytes:
    return _packed_number(int.from_bytes(key, "big") + 1)


def _packed_number(number: int) -> bytes:
    return number.to_bytes(16, "big") if number >> _BITS == 0 else _END


def _prefix(digits: str) -> int | None:
    """The number of bits behind a slash; int() also takes signs and other alphabets' digits."""
    if digits.isascii() and digits.isdigit() and len(digits) <= len(str(_BITS)):
        return int(digits)
    return None
