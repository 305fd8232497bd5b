"""Lists of IP addresses that are not to be talked to, or the only ones that are.

What a rule says is in ``_values/block_rules.py``, what becomes of it in ``rule_store.py``, and the
table that is asked in ``address_table.py``.

From Node's ``net``: *Class: net.BlockList*.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from gevent._hub_local import get_hub_if_exists
from greenlet import getcurrent

from .._loop.watched_file import FileWatch, read_file
from .._values import arguments, block_rules, packed
from .._values.block_rules import AnyAddress, Entry, Rule
from ..dns.turns import Turns
from ..errors import code_of, value_error
from .rule_store import RuleStore

__all__ = ["BlockList"]

# An entry's text in an error: the beginning shows which one it is.
SHOWN_LETTERS = 80

# As sockets have them as well: other ways to write them take three times as long.
_IS_IPV6 = {"ipv4": False, "IPv4": False, "ipv6": True, "IPv6": True}


class BlockList:
    """Rules for IP addresses, of both families.

    In the mode ``"block"`` an address is refused if any rule contains it, in the mode ``"allow"``
    if none does. Pass the list as ``block_list`` to a server or to ``connect``, which ask it about
    every peer, or use it alone::

        block_list = BlockList()
        block_list.add_address("123.123.123.123")
        block_list.add_range("10.0.0.1", "10.0.0.10")
        block_list.add_subnet("8592:757c:efae:4e45::", 64, "ipv6")
        block_list.add_cidrs(BlockList.PRIVATE_RANGES, note="private")
        block_list.add_address("192.0.2.7", ttl=600)  # for ten minutes
        block_list.check("10.0.0.3")  # True
        block_list.check("::ffff:7b7b:7b7b", "ipv6")  # True: 123.123.123.123

    An IPv4 address and its IPv4-mapped IPv6 form are one address, in rules and in checks; an
    IPv6 rule that contains all mapped addresses, as the subnet ``::/0`` does, contains all of
    IPv4. Other ways to wrap IPv4 into IPv6, such as NAT64 and 6to4, are addresses of their own. A
    zone id (``fe80::1%eth0``) is ignored: a rule holds in every zone. Octal and short IPv4 forms
    (``0177.1``) are not addresses.

    A check costs a binary search, whatever the number of rules, and so does a change. Any thread
    may change the rules at any time, also while servers use the list and other threads ask. A
    check that begins after the call has returned knows the change, and each call is one step. A
    rule that is added again is the same rule, and the newest one.

    A list can be copied and pickled, with its rules, notes, and what is left of each ``ttl``; hits
    are counted anew.

    :param mode: ``"block"`` or ``"allow"``.
    :raises TypeError: ``mode`` is not a ``str``.
    :raises ValueError: ``mode`` is neither of the two.

    From Node's ``net``: *Class: net.BlockList*.
    """

    #: The networks that are not of the Internet, for :meth:`add_cidrs`: RFC 1918's and RFC 4193's,
    #: loopback and link-local ones. From later Node's ``net``: *BlockList.PRIVATE_RANGES*.
    PRIVATE_RANGES = block_rules.PRIVATE_RANGES

    __slots__ = ("__dict__", "__weakref__", "_allows", "_store", "_watch")

    def __init__(self, mode: str = "block") -> None:
        self._allows = block_rules.checked_mode(mode) == "allow"
        self._store = RuleStore()
        self._watch: FileWatch | None = None

    # -- asking -------------------------------------------------------------------------------

    def check(self, address: AnyAddress, family: str = "ipv4") -> bool:
        """Tell whether an address is refused.

        As in Node, no rule contains text that is not an address *of this family*. If an address
        may be of either family, say which one it is, as in ``check(sock.remote_address,
        sock.remote_family)``, or use :meth:`blocks`.

        :param address: an IP address.
        :param family: as for :meth:`add_address`.
        :returns: ``True`` if any rule contains the address; in the mode ``"allow"``, if none does.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: ``family`` is neither of the two (``ERR_INVALID_ARG_VALUE``).

        From Node's ``net``: *blockList.check(address[, type])*.
        """
        is_ipv6 = _IS_IPV6.get(family) if type(family) is str else None
        if is_ipv6 is None or type(address) is not str:
            text, family = block_rules.text_and_family("address", address, family)
            address, is_ipv6 = str(text), _IS_IPV6[family]
        key = packed.packed(address) if (":" in address) is is_ipv6 else None
        return (key is not None and self._store.holds(key)) is not self._allows

    def blocks(self, address: str) -> bool:
        """Tell whether an address of either family is refused.

        Servers and sockets ask this about their peers. Unlike :meth:`check` it raises for text
        that is not an address, so that nothing slips through because it is not understood.

        :param address: as the system gives it, in mapped form or with a zone id, too.
        :returns: as for :meth:`check`.
        :raises ValueError: it is not an IP address (``ERR_INVALID_ADDRESS``).
        """
        return self.holds(address) is not self._allows

    def holds(self, address: str) -> bool:
        """Tell whether any rule contains an address of either family, in either mode.

        :param address: as for :meth:`blocks`.
        :raises ValueError: it is not an IP address (``ERR_INVALID_ADDRESS``).
        """
        # What is compiled takes no subclass of str.
        text = address if type(address) is str else str(arguments.string("address", address))
        key = packed.packed(text)
        if key is None:
            raise arguments.wrong_value("address", address, "an IP address", "ERR_INVALID_ADDRESS")
        return self._store.holds(key)

    @property
    def mode(self) -> str:
        """``"block"`` or ``"allow"``."""
        return "allow" if self._allows else "block"

    @property
    def rules(self) -> list[str]:
        """The rules as text, the newest first: ``"Range: IPv4 10.0.0.1-10.0.0.10"``.

        From Node's ``net``: *blockList.rules*.
        """
        with self._store.current():
            return [rule.text for rule in reversed(list(self._store.rules.values()))]

    @property
    def notes(self) -> dict[str, str]:
        """The notes, by the rules that have one."""
        with self._store.current():
            return {self._store.rules[key].text: note for key, note in self._store.notes.items()}

    def hits(self, rule: str) -> int:
        """Tell how many checks a rule has met, including those of servers and sockets.

        An address that several rules contain is a hit of each of them.

        :param rule: an entry of :attr:`rules`.
        :raises TypeError: it is not a ``str``.
        :raises KeyError: the list has no such rule.
        """
        arguments.string("rule", rule)
        return self._store.hits(rule)

    def __len__(self) -> int:
        """The number of rules. From later Node's ``net``: *blockList.size*."""
        with self._store.current():
            return len(self._store.rules)

    @staticmethod
    def is_block_list(value: object) -> bool:
        """Tell whether something is a :class:`BlockList`.

        From Node's ``net``: *BlockList.isBlockList(value)*.
        """
        return isinstance(value, BlockList)

    def __repr__(self) -> str:
        mode = "allow, " if self._allows else ""
        return f"<BlockList, {mode}{len(self)} rules>"

    # -- adding -------------------------------------------------------------------------------

    def add_address(
        self,
        address: AnyAddress,
        family: str = "ipv4",
        *,
        ttl: float | None = None,
        note: str | None = None,
    ) -> None:
        """Add a rule for one address.

        :param address: an IP address.
        :param family: its family, ``"ipv4"`` or ``"ipv6"``, in any case; that of a
            :class:`SocketAddress` is its own.
        :param ttl: for how many seconds the rule holds; ``None``: until it is removed. For a rule
            that is there already, this is what counts from now on.
        :param note: kept in :attr:`notes`; ``None`` leaves the note that is there.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: ``address`` is not an address of ``family`` (``ERR_INVALID_ADDRESS``),
            ``family`` is neither of the two (``ERR_INVALID_ARG_VALUE``), or ``ttl`` is not above
            zero (``ERR_OUT_OF_RANGE``).

        From Node's ``net``: *blockList.addAddress(address[, type])*.
        """
        self._add([block_rules.address_rule(address, family)], ttl, note)

    def add_addresses(
        self,
        addresses: Iterable[AnyAddress],
        family: str | None = None,
        *,
        ttl: float | None = None,
        note: str | None = None,
    ) -> None:
        """Add a rule for each of some addresses; all of them, or none if one is wrong.

        :param addresses: IP addresses; the last one is the newest rule.
        :param family: what all of them are; ``None``: each is of its own.
        :param ttl: as for :meth:`add_address`.
        :param note: as for :meth:`add_address`.
        :raises TypeError: as for :meth:`add_address`; a ``str`` is not an iterable of addresses.
        :raises ValueError: as for :meth:`add_address`.

        From later Node's ``net``: *blockList.addAddresses(addresses[, type])*.
        """
        found = block_rules.texts("addresses", addresses)
        if family is None:
            new = [block_rules.any_address_rule(each) for each in found]
        else:
            new = [block_rules.address_rule(each, family) for each in found]
        self._add(new, ttl, note)

    def add_range(
        self,
        start: AnyAddress,
        end: AnyAddress,
        family: str = "ipv4",
        *,
        ttl: float | None = None,
        note: str | None = None,
    ) -> None:
        """Add a rule for all addresses from one to another, both included.

        :param start: the first address.
        :param end: the last address, of the same family, not below ``start``.
        :param family: as for :meth:`add_address`.
        :param ttl: as for :meth:`add_address`.
        :param note: as for :meth:`add_address`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: as for :meth:`add_address`, or ``start`` comes after ``end``
            (``ERR_INVALID_ARG_VALUE``).

        From Node's ``net``: *blockList.addRange(start, end[, type])*.
        """
        self._add([block_rules.range_rule(start, end, family)], ttl, note)

    def add_subnet(
        self,
        net: AnyAddress,
        prefix: int,
        family: str = "ipv4",
        *,
        ttl: float | None = None,
        note: str | None = None,
    ) -> None:
        """Add a rule for a network.

        :param net: an address of the network; its bits behind the prefix do not matter.
        :param prefix: the number of bits that the network's addresses have in common: from 0
            to 32, for IPv6 to 128.
        :param family: as for :meth:`add_address`.
        :param ttl: as for :meth:`add_address`.
        :param note: as for :meth:`add_address`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: as for :meth:`add_address`, or ``prefix`` is out of its range
            (``ERR_OUT_OF_RANGE``).

        From Node's ``net``: *blockList.addSubnet(net, prefix[, type])*.
        """
        self._add([block_rules.subnet_rule(net, prefix, family)], ttl, note)

    def add_cidr(self, cidr: str, *, ttl: float | None = None, note: str | None = None) -> None:
        """Add a rule for a network in CIDR notation, of either family.

        :param cidr: for example ``"10.0.0.0/8"`` or ``"fc00::/7"``; of an address inside a network
            (``"10.1.2.3/8"``) its network.
        :param ttl: as for :meth:`add_address`.
        :param note: as for :meth:`add_address`.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: ``cidr`` has no prefix (``ERR_INVALID_ARG_VALUE``), no address ahead
            of it (``ERR_INVALID_ADDRESS``), or one out of its range (``ERR_OUT_OF_RANGE``).

        From later Node's ``net``: *blockList.addCIDR(cidr)*.
        """
        self._add([block_rules.cidr_rule(cidr)], ttl, note)

    def add_cidrs(
        self, cidrs: Iterable[str], *, ttl: float | None = None, note: str | None = None
    ) -> None:
        """Add a rule for each of some networks; all of them, or none if one is wrong.

        :param cidrs: as for :meth:`add_cidr`; the last one is the newest rule.
        :param ttl: as for :meth:`add_address`.
        :param note: as for :meth:`add_address`.
        :raises TypeError: as for :meth:`add_cidr`; a ``str`` is no iterable of networks.
        :raises ValueError: as for :meth:`add_cidr`.

        From later Node's ``net``: *blockList.addCIDRs(cidrs)*.
        """
        found = block_rules.texts("cidrs", cidrs)
        self._add([block_rules.cidr_rule(each, "cidrs") for each in found], ttl, note)

    # -- removing -----------------------------------------------------------------------------

    def remove_address(self, address: AnyAddress, family: str = "ipv4") -> bool:
        """Remove the rule for one address. Other rules may hold it still.

        :param address: as for :meth:`add_address`.
        :param family: as for :meth:`add_address`.
        :returns: whether there was such a rule.
        :raises TypeError: as for :meth:`add_address`.
        :raises ValueError: as for :meth:`add_address`.

        From later Node's ``net``: *blockList.removeAddress(address[, type])*.
        """
        return self._store.remove(block_rules.address_rule(address, family))

    def remove_range(self, start: AnyAddress, end: AnyAddress, family: str = "ipv4") -> bool:
        """Remove the rule for the addresses from one to another.

        :param start: as for :meth:`add_range`.
        :param end: as for :meth:`add_range`.
        :param family: as for :meth:`add_range`.
        :returns: whether there was such a rule.
        :raises TypeError: as for :meth:`add_range`.
        :raises ValueError: as for :meth:`add_range`.

        From later Node's ``net``: *blockList.removeRange(start, end[, type])*.
        """
        return self._store.remove(block_rules.range_rule(start, end, family))

    def remove_subnet(self, net: AnyAddress, prefix: int, family: str = "ipv4") -> bool:
        """Remove the rule for a network, however it was added.

        :param net: as for :meth:`add_subnet`.
        :param prefix: as for :meth:`add_subnet`.
        :param family: as for :meth:`add_subnet`.
        :returns: whether there was such a rule.
        :raises TypeError: as for :meth:`add_subnet`.
        :raises ValueError: as for :meth:`add_subnet`.

        From later Node's ``net``: *blockList.removeSubnet(net, prefix[, type])*.
        """
        return self._store.remove(block_rules.subnet_rule(net, prefix, family))

    def remove_cidr(self, cidr: str) -> bool:
        """Remove the rule for a network in CIDR notation, however it was added.

        :param cidr: as for :meth:`add_cidr`.
        :returns: whether there was such a rule.
        :raises TypeError: as for :meth:`add_cidr`.
        :raises ValueError: as for :meth:`add_cidr`.

        From later Node's ``net``: *blockList.removeCIDR(cidr)*.
        """
        return self._store.remove(block_rules.cidr_rule(cidr))

    def clear(self) -> None:
        """Remove all rules, with their notes and hits.

        From later Node's ``net``: *blockList.clear()*.
        """
        self._store.replace([])

    # -- replacing ----------------------------------------------------------------------------

    def replace(self, rules: Iterable[str]) -> None:
        """Have other rules, in one step: no check sees a part of the old ones, or of the new ones.

        Rules that were there before keep their notes and hits. They hold until they are removed:
        no ``ttl`` is left.

        :param rules: CIDRs, addresses, and texts as in :attr:`rules`, in their order: the newest
            first.
        :raises TypeError: it is no iterable of ``str``.
        :raises ValueError: one of them cannot be read; nothing is changed.
        """
        given = block_rules.texts("rules", rules)
        self._store.replace([block_rules.given_rule(each) for each in given])

    def load(self, path: str | os.PathLike[str]) -> None:
        """Have the rules of a file, and no others, in one step.

        A file has a CIDR or an address in each line; what stands behind a ``#`` is a comment, and
        empty lines do not matter. A long file is read in turns with other greenlets.

        :param path: the file; UTF-8, as far as it is no ASCII.
        :raises TypeError: ``path`` is none.
        :raises OSError: the file cannot be read.
        :raises ValueError: a line cannot be read; the message names the file, the line and its
            text. The old rules stay.
        """
        path = arguments.path("path", path)
        data, _ = read_file(path)
        self._read(data, path)()

    def watch(self, path: str | os.PathLike[str], interval: float = 10) -> FileWatch:
        """Load a file at once, and again whenever it has changed.

        The file is looked at by a timer in the loop of the calling thread. What cannot be read, or
        is not there any more, leaves the rules as they are: the hub's error handler tells it once,
        and the watch's ``error`` has the exception until the file is right again. A list follows
        one file: another one takes the place of the first.

        A file is best replaced by moving a whole one to its place. One that is written in place is
        read when it has stayed the same for 0.2 seconds.

        :param path: as for :meth:`load`.
        :param interval: how often the file is looked at, in seconds.
        :returns: the watch: its ``stop()`` ends it; ``path`` and ``error`` are its attributes. It
            keeps no program running, and ends with the list.
        :raises TypeError: an argument is of the wrong kind.
        :raises ValueError: as for :meth:`load`, or ``interval`` is not above zero
            (``ERR_OUT_OF_RANGE``).
        :raises OSError: as for :meth:`load`.
        """
        path = arguments.path("path", path)
        seconds = arguments.positive_seconds("interval", interval)
        # The program may go to another folder.
        watch = FileWatch(os.path.abspath(path), seconds, self, "_read")
        watch.start()
        former, self._watch = self._watch, watch
        if former is not None:
            former.stop()
        return watch

    def to_json(self) -> list[str | dict[str, Any]]:
        """What :func:`json.dumps` can write, and :meth:`from_json` reads.

        As in Node that is :attr:`rules`. A rule that has a note, or ends by a ttl, is an object
        with ``rule``, ``note``, and as ``ttl`` the seconds that are left of it. The mode
        ``"allow"`` is an object in front.

        From later Node's ``net``: *blockList.toJSON()*.
        """
        return block_rules.to_json(self.mode, self._store.entries())

    def from_json(self, data: str | list[Any] | tuple[Any, ...]) -> None:
        """Add the rules that :meth:`to_json` gave, and have its mode.

        They become the newest ones, in the order that they have in ``data``. Node skips what it
        cannot read; here a list with such a rule in it is refused and adds nothing, since a
        rule left out lets somebody in.

        :param data: a list as :meth:`to_json` gives it, or as :attr:`rules` has it; or such a list
            in JSON.
        :raises TypeError: it is something else.
        :raises ValueError: it is no JSON, or a rule cannot be read (``ERR_INVALID_ARG_VALUE``,
            or as for the method that adds such a rule); or its mode is another one than
            that of the rules that the list has.

        From later Node's ``net``: *blockList.fromJSON(value)*.
        """
        mode, entries = block_rules.from_json(data)
        with self._store.current():
            if mode is not None and mode != self.mode:
                if self._store.rules:
                    right = f"{self.mode!r}, as for the rules that the list has"
                    raise arguments.wrong_value("mode", mode, right)
                self._allows = mode == "allow"
            self._store.add(reversed(entries))

    # -- copies -------------------------------------------------------------------------------

    def __getstate__(self) -> tuple[str, list[Entry], dict[str, Any]]:
        # What a subclass may have.
        return self.mode, self._store.entries(), vars(self).copy()

    def __setstate__(self, state: tuple[str, list[Entry], dict[str, Any]]) -> None:
        mode, entries, others = state
        BlockList.__init__(self, mode)
        vars(self).update(others)
        self._store.add(reversed(entries))

    # -- what several of them do --------------------------------------------------------------

    def _add(self, new: list[Rule], ttl: float | None, note: str | None) -> None:
        ttl, note = block_rules.checked_ttl(ttl), block_rules.checked_note(note)
        self._store.add([Entry(rule, ttl, note) for rule in new])

    def _read(self, data: bytes, path: str) -> Callable[[], object]:
        """The change that a file makes; gives way to other greenlets while it is read."""
        turns = _turns()
        found = []
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            text = line.partition(b"#")[0].decode("utf-8", "backslashreplace").strip()
            if text:
                found.append(_line_rule(text, number, path))
            if turns is not None and not number % 16:
                turns.pause()
        return partial(self._store.replace, found)


def _line_rule(text: str, number: int, path: str) -> Rule:
    try:
        return block_rules.line_rule(text)
    except ValueError as error:
        shown = text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."
        message = f"{path}, line {number}: {shown!r} is neither an IP address nor a CIDR"
        raise value_error(message, code_of(error)) from error


def _turns() -> Turns | None:
    """The turns of the calling greenlet, if there are others."""
    hub: Any = get_hub_if_exists()
    return None if hub is None or getcurrent() is hub else Turns()
