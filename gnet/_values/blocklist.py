"""Lists of IP addresses that are not to be talked to.

Every rule is an interval of one line of 128-bit numbers, on which an IPv4 address stands where
its IPv4-mapped form ``::ffff:a.b.c.d`` does (RFC 4291, section 2.5.5.2). So both forms of an
address get the same answer, whichever of them a rule, a program or the kernel uses: a socket
that listens on ``::`` reports its IPv4 peers as mapped ones.

From Node's ``net``: *Class: net.BlockList*.
"""

from __future__ import annotations

import os
from _thread import RLock
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from . import arguments
from .addresses import (
    IPAddress,
    SocketAddress,
    canonical,
    checked_family,
    checked_ip,
    family_of,
    split_zone,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BlockList"]

AnyAddress = str | SocketAddress

_MAPPED = 0xFFFF << 32
_RULES = "a list of rules such as 'Address: IPv4 10.0.0.1'"
# Among 100,000 intervals an insertion takes 21 µs, most of it moving what stands behind it, and
# sorting everything 75 ms: as much as 3,500 insertions. Few new rules are therefore inserted,
# many are sorted in.
#
# One lock for those who change a list, of all lists. Whoever asks takes none, unless there is a
# new rule. It is the interpreter's own, which gevent never patches: nothing switches greenlets
# under it, so it is only ever waited for by threads. It is taken again by a signal's handler, or
# a finaliser, that adds a rule while its own thread does.
_lock = RLock()
_INSERTED_SHARE = 1 / 32


class BlockList:
    """Rules for IP addresses of both families; an address is blocked if any rule contains it.

    Pass it as ``block_list`` to a server or to ``connect``, which ask it about every peer, or use
    it alone::

        block_list = BlockList()
        block_list.add_address("123.123.123.123")
        block_list.add_range("10.0.0.1", "10.0.0.10")
        block_list.add_subnet("8592:757c:efae:4e45::", 64, "ipv6")
        block_list.check("10.0.0.3")  # True
        block_list.check("::ffff:7b7b:7b7b", "ipv6")  # True: 123.123.123.123

    An IPv4 address and its IPv4-mapped IPv6 form are one address, in rules and in checks; an
    IPv6 rule that contains all mapped addresses, as the subnet ``::/0`` does, blocks all of IPv4.
    Other ways to wrap IPv4 into IPv6, such as NAT64 and 6to4, are addresses of their own. A zone
    id (``fe80::1%eth0``) is ignored: a rule holds in every zone. Octal and short IPv4 forms
    (``0177.1``) are not addresses.

    A check costs a binary search, whatever the number of rules. Any thread may add rules at any
    time, also while servers use the list and other threads ask. A check that begins after
    ``add_address()`` and the like have returned knows the rule.

    From Node's ``net``: *Class: net.BlockList*.
    """

    def __init__(self) -> None:
        self._rules: list[str] = []
        # The union of all rules: begin, end, begin, end … in rising order, ends excluded. An
        # address is in it if an odd number of these edges stands at or below it. The list is
        # replaced and never changed, so that others may search it meanwhile.
        #
        # And behind them the intervals that they do not have yet.
        self._known: tuple[list[int], list[tuple[int, int]]] = [], []

    def add_address(self, address: AnyAddress, family: str = "ipv4") -> None:
        """Block one address.

        :param address: an IP address.
        :param family: its family, ``"ipv4"`` or ``"ipv6"``, in any case; that of a
            :class:`SocketAddress` is its own.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: ``address`` is not an address of ``family``
            (``ERR_INVALID_ADDRESS``), or ``family`` is neither of the two
            (``ERR_INVALID_ARG_VALUE``).

        From Node's ``net``: *blockList.addAddress(address[, type])*.
        """
        self._add(_address_rule(address, family))

    def add_range(self, start: AnyAddress, end: AnyAddress, family: str = "ipv4") -> None:
        """Block all addresses from one to another, both included.

        :param start: the first address.
        :param end: the last address, of the same family, not below ``start``.
        :param family: as for :meth:`add_address`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: as for :meth:`add_address`, or ``start`` comes after ``end``
            (``ERR_INVALID_ARG_VALUE``).

        From Node's ``net``: *blockList.addRange(start, end[, type])*.
        """
        self._add(_range_rule(start, end, family))

    def add_subnet(self, net: AnyAddress, prefix: int, family: str = "ipv4") -> None:
        """Block a network.

        :param net: an address of the network; its bits behind the prefix do not matter.
        :param prefix: the number of bits that the network's addresses have in common: from 0
            to 32, for IPv6 to 128.
        :param family: as for :meth:`add_address`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: as for :meth:`add_address`, or ``prefix`` is out of its range
            (``ERR_OUT_OF_RANGE``).

        From Node's ``net``: *blockList.addSubnet(net, prefix[, type])*.
        """
        self._add(_subnet_rule(net, prefix, family))

    def check(self, address: AnyAddress, family: str = "ipv4") -> bool:
        """Tell whether an address is blocked.

        As in Node, the answer is ``False`` for text that is not an address *of this family*. If
        an address may be of either family, say which one it is, as in
        ``check(sock.remote_address, sock.remote_family)``, or use :meth:`blocks`.

        :param address: an IP address.
        :param family: as for :meth:`add_address`.
        :returns: ``True`` if any rule contains the address.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: ``family`` is neither of the two (``ERR_INVALID_ARG_VALUE``).

        From Node's ``net``: *blockList.check(address[, type])*.
        """
        text, family = _text_and_family("address", address, family)
        if family_of(text).lower() != family:
            return False
        number = _number(text)
        return number is not None and self._holds(number)

    def blocks(self, address: str) -> bool:
        """Tell whether an address of either family is blocked.

        Servers and sockets ask this about their peers. Unlike :meth:`check` it raises for text
        that is not an address, so that nothing slips through because it is not understood.

        :param address: as the system gives it, in mapped form or with a zone id, too.
        :raises ValueError: ``address`` is not an IP address (``ERR_INVALID_ADDRESS``).
        """
        number = _number(address)
        if number is None:
            raise arguments.wrong_value("address", address, "an IP address", "ERR_INVALID_ADDRESS")
        return self._holds(number)

    @property
    def rules(self) -> list[str]:
        """The rules as text, the newest first: ``"Range: IPv4 10.0.0.1-10.0.0.10"``.

        From Node's ``net``: *blockList.rules*.
        """
        return self._rules[::-1]

    def to_json(self) -> list[str]:
        """What :func:`json.dumps` can write, and :meth:`from_json` reads: :attr:`rules`.

        From later Node's ``net``: *blockList.toJSON()*.
        """
        return self.rules

    def from_json(self, data: str | list[str] | tuple[str, ...]) -> None:
        """Add the rules that :meth:`to_json` gave.

        They become the newest ones, in the order that they have in ``data``. Node skips a rule
        that it cannot read. gnet refuses a list with such a rule, and adds nothing, since a
        missing rule lets somebody in.

        :param data: a list of rules as in :attr:`rules`, or such a list in JSON.
        :raises TypeError: ``data`` is something else.
        :raises ValueError: ``data`` is not JSON, or a rule cannot be read
            (``ERR_INVALID_ARG_VALUE``, or as for the method that adds such a rule).

        From later Node's ``net``: *blockList.fromJSON(value)*.
        """
        self._add(*[_read_rule(text) for text in reversed(_rule_texts(data))])

    @staticmethod
    def is_block_list(value: object) -> bool:
        """Tell whether something is a :class:`BlockList`.

        From Node's ``net``: *BlockList.isBlockList(value)*.
        """
        return isinstance(value, BlockList)

    def __repr__(self) -> str:
        return f"<BlockList, {len(self._rules)} rules>"

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        with _lock:
            vars(copied).update(vars(self))
            # The edges are never changed, and may belong to both.
            edges, pending = self._known
            copied._known, copied._rules = (edges, pending.copy()), self._rules.copy()
        return copied

    def _add(self, *rules: _Rule) -> None:
        with _lock:
            # First, so that no rule is ever listed that blocks nothing.
            self._known[1].extend((rule.begin, rule.end) for rule in rules)
            self._rules += [rule.text for rule in rules]

    def _holds(self, number: int) -> bool:
        edges, pending = self._known
        if pending:
            edges = self._settled()
        return bool(bisect_right(edges, number) & 1)

    def _settled(self) -> list[int]:
        """The edges, with what is pending among them."""
        with _lock:
            while (known := self._known)[1]:
                edges, pending = known
                count = len(pending)
                if count < len(edges) // 2 * _INSERTED_SHARE:
                    edges = edges.copy()
                    for begin, end in pending[:count]:
                        _insert(edges, begin, end)
                else:
                    intervals = zip(edges[::2], edges[1::2], strict=True)
                    edges = _union([*intervals, *pending[:count]])
                settled = edges, pending[count:]
                # A signal's handler may have come in between and done the same.
                if self._known is known:
                    self._known = settled
            return known[0]


def _renew_lock() -> None:
    """In a forked child: a thread that had the lock is not there to release it."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class _Rule(NamedTuple):
    text: str
    begin: int
    #: The number behind the last one.
    end: int


def _address_rule(address: AnyAddress, family: str) -> _Rule:
    ip = _ip("address", address, family)
    number = _number_of(ip)
    return _Rule(f"Address: {_written(ip)}", number, number + 1)


def _range_rule(start: AnyAddress, end: AnyAddress, family: str) -> _Rule:
    first, last = _ip("start", start, family), _ip("end", end, family)
    begin, stop = _number_of(first), _number_of(last)
    if first.version != last.version or begin > stop:
        right = f"an address of the family of {canonical(last)}, and not after it"
        raise arguments.wrong_value("start", canonical(first), right)
    return _Rule(f"Range: {_written(first)}-{_bare(last)}", begin, stop + 1)


def _subnet_rule(net: AnyAddress, prefix: int, family: str) -> _Rule:
    ip = _ip("net", net, family)
    bits = arguments.integer("prefix", prefix, 0, ip.max_prefixlen)
    size = 1 << ip.max_prefixlen - bits
    # IPv4's part of the line begins at a multiple of its size: no prefix crosses its border.
    begin = _number_of(ip) // size * size
    return _Rule(f"Subnet: {_written(ip)}/{bits}", begin, begin + size)


def _read_rule(text: str) -> _Rule:
    kind, _, rest = text.partition(": ")
    family, _, body = rest.partition(" ")
    if kind == "Address":
        return _address_rule(body, family)
    if kind == "Range":
        start, _, end = body.partition("-")
        return _range_rule(start, end, family)
    net, _, prefix = body.partition("/")
    if kind == "Subnet" and prefix.isascii() and prefix.isdigit() and len(prefix) <= 3:
        return _subnet_rule(net, int(prefix), family)
    raise arguments.wrong_value("data", text, _RULES)


def _rule_texts(data: Any) -> list[str]:
    rules = data
    if isinstance(data, str):
        try:
            import json  # for this alone: it would be a tenth of gnet's import

            rules = json.loads(data)
        except (ValueError, RecursionError) as error:
            # Its beginning tells which text it was; the whole may be megabytes.
            raise arguments.wrong_value("data", data[:80], f"{_RULES}, in JSON") from error
    if not isinstance(rules, (list, tuple)):
        raise arguments.wrong_kind("data", rules, _RULES)
    for rule in rules:
        if not isinstance(rule, str):
            raise arguments.wrong_kind("data", rule, _RULES)
    return list(rules)


def _text_and_family(name: str, address: AnyAddress, family: str) -> tuple[str, str]:
    if isinstance(address, SocketAddress):
        return address.address, address.family
    text = arguments.string(name, address)
    return text, checked_family(arguments.string("family", family))


def _ip(name: str, address: AnyAddress, family: str) -> IPAddress:
    return checked_ip(name, *_text_and_family(name, address, family))


def _bare(ip: IPAddress) -> str:
    return split_zone(canonical(ip))[0]


def _written(ip: IPAddress) -> str:
    return f"IPv{ip.version} {_bare(ip)}"


def _number_of(ip: IPAddress) -> int:
    return int(ip) if ip.version == 6 else _MAPPED | int(ip)


def _number(text: str) -> int | None:
    """Where an address stands on the line, or ``None``; any zone id is left out unread."""
    try:
        if ":" not in text:
            return _MAPPED | int(IPv4Address(text))
        bare, _ = split_zone(text)
        # How a socket that listens on "::" names its IPv4 peers, in half of IPv6Address's time.
        head, _, tail = bare.rpartition(":")
        if head == "::ffff" and "." in tail:
            return _MAPPED | int(IPv4Address(tail))
        return int(IPv6Address(bare))
    except ValueError:
        return None


def _insert(edges: list[int], begin: int, end: int) -> None:
    # What the new interval overlaps or touches lies between low and high. An odd index means
    # that the edge there closes an interval, which then goes on across the new one's border.
    low, high = bisect_left(edges, begin), bisect_right(edges, end)
    edges[low:high] = [begin][low & 1 :] + [end][high & 1 :]


def _union(intervals: Iterable[tuple[int, int]]) -> list[int]:
    edges: list[int] = []
    for begin, end in sorted(intervals):
        if not edges or begin > edges[-1]:
            edges += (begin, end)
        elif end > edges[-1]:
            edges[-1] = end
    return edges
