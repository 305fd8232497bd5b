"""Lists of IP addresses that are not to be talked to, or the only ones that are.

What a rule says is in ``_values/block_rules.py``, and the table that is asked in
``address_table.py``. Here is what lives: rules come, go, end by the clock and follow a file, while
servers and other threads ask.

From Node's ``net``: *Class: net.BlockList*.
"""

from __future__ import annotations

import heapq
import os
from _thread import RLock
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import Any

from gevent._hub_local import get_hub_if_exists
from greenlet import getcurrent

from .._loop.watched_file import FileWatch, read_file
from .._values import arguments, block_rules, packed
from .._values.block_rules import AnyAddress, Entry, Rule
from ..dns.turns import Turns
from ..errors import code_of, value_error
from .address_table import AddressTable

__all__ = ["BlockList"]

# One lock for those who change a list, of all lists. Whoever asks takes none. It is the
# interpreter's own, which gevent never patches: nothing switches greenlets under it, so it is only
# ever waited for by threads. It is taken again by a signal's handler, or a finaliser, that changes
# a rule while its own thread does.
_lock = RLock()

# A change of so many rules, and of at least one in so many, makes a new table; a smaller one
# changes the one that there is. Among 100,000 rules a new one takes as long as 12,000 changes.
FEW_RULES = 64
NEW_TABLE_SHARE = 8
# Of the deadlines in the heap so many may be those of rules that have another one by now.
STALE_DEADLINES = 64
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

    __slots__ = (
        "__dict__", "__weakref__", "_allows", "_before", "_changes", "_changing", "_deadlines",
        "_due", "_hits", "_notes", "_rules", "_soonest", "_table", "_watch",
    )  # fmt: skip

    def __init__(self, mode: str = "block") -> None:
        self._allows = block_rules.checked_mode(mode) == "allow"
        # By their keys, the newest last.
        self._rules: dict[str, Rule] = {}
        self._table = AddressTable.of(())
        self._notes: dict[str, str] = {}
        # When the rules end that do, by monotonic(); the same as a heap, and its first time.
        self._deadlines: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []
        self._soonest: float | None = None
        # How many checks have found an address behind each edge of the table; and, of the rules
        # that came when there were some already, how many of them were before their time.
        self._hits: defaultdict[bytes, int] = defaultdict(int)
        self._before: dict[str, int] = {}
        # The lock under which a change is being made.
        self._changing: object = None
        self._changes: deque[Callable[[], object]] = deque()
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
        return (key is not None and self._holds(key)) is not self._allows

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
        return self._holds(key)

    def _holds(self, key: bytes) -> bool:
        soonest = self._soonest
        if soonest is not None and soonest <= monotonic():
            self._forget_expired()
        while True:
            table = self._table
            edge = table.edge(key)
            if edge is None:
                return False
            # Behind this line no other thread runs, and no handler of a signal, until the hit is
            # counted: no call is made. So no hit is counted in a table that is there no more.
            if table is self._table:
                self._hits[edge] += 1
                return True

    @property
    def mode(self) -> str:
        """``"block"`` or ``"allow"``."""
        return "allow" if self._allows else "block"

    @property
    def rules(self) -> list[str]:
        """The rules as text, the newest first: ``"Range: IPv4 10.0.0.1-10.0.0.10"``.

        From Node's ``net``: *blockList.rules*.
        """
        with self._current():
            return [rule.text for rule in reversed(list(self._rules.values()))]

    @property
    def notes(self) -> dict[str, str]:
        """The notes, by the rules that have one."""
        with self._current():
            return {self._rules[key].text: note for key, note in self._notes.items()}

    def hits(self, rule: str) -> int:
        """Tell how many checks a rule has met, including those of servers and sockets.

        An address that several rules contain is a hit of each of them.

        :param rule: an entry of :attr:`rules`.
        :raises TypeError: it is not a ``str``.
        :raises KeyError: the list has no such rule.
        """
        arguments.string("rule", rule)
        with self._current():
            found = self._rules.get(rule) or self._rules[_key_of(rule)]
            return self._counted(found) - self._before.get(found.key, 0)

    def __len__(self) -> int:
        """The number of rules. From later Node's ``net``: *blockList.size*."""
        with self._current():
            return len(self._rules)

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
        return self._remove(block_rules.address_rule(address, family))

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
        return self._remove(block_rules.range_rule(start, end, family))

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
        return self._remove(block_rules.subnet_rule(net, prefix, family))

    def remove_cidr(self, cidr: str) -> bool:
        """Remove the rule for a network in CIDR notation, however it was added.

        :param cidr: as for :meth:`add_cidr`.
        :returns: whether there was such a rule.
        :raises TypeError: as for :meth:`add_cidr`.
        :raises ValueError: as for :meth:`add_cidr`.

        From later Node's ``net``: *blockList.removeCIDR(cidr)*.
        """
        return self._remove(block_rules.cidr_rule(cidr))

    def clear(self) -> None:
        """Remove all rules, with their notes and hits.

        From later Node's ``net``: *blockList.clear()*.
        """
        self._change(partial(self._put, {}, only=True))

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
        self._replace([block_rules.given_rule(each) for each in block_rules.texts("rules", rules)])

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
        return block_rules.to_json(self.mode, self._entries())

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
        with self._current():
            if mode is not None and mode != self.mode:
                if self._rules:
                    right = f"{self.mode!r}, as for the rules that the list has"
                    raise arguments.wrong_value("mode", mode, right)
                self._allows = mode == "allow"
            self._change(partial(self._put, _by_key(reversed(entries))))

    # -- copies -------------------------------------------------------------------------------

    def __getstate__(self) -> tuple[str, list[Entry], dict[str, Any]]:
        # What a subclass may have.
        return self.mode, self._entries(), vars(self).copy()

    def __setstate__(self, state: tuple[str, list[Entry], dict[str, Any]]) -> None:
        mode, entries, others = state
        BlockList.__init__(self, mode)
        vars(self).update(others)
        self._put(_by_key(reversed(entries)))

    def _entries(self) -> list[Entry]:
        """The rules with what was said about them, the newest first."""
        with self._current():
            now = monotonic()
            left = {key: deadline - now for key, deadline in self._deadlines.items()}
            return [
                Entry(rule, left.get(key), self._notes.get(key))
                for key, rule in reversed(list(self._rules.items()))
            ]

    # -- changes ------------------------------------------------------------------------------

    def _current(self) -> RLock:
        """The lock, to be held while the list is looked at; nothing in it has come to its end."""
        soonest = self._soonest
        if soonest is not None and soonest <= monotonic():
            self._forget_expired()
        return _lock

    def _add(self, new: list[Rule], ttl: float | None, note: str | None) -> None:
        ttl, note = block_rules.checked_ttl(ttl), block_rules.checked_note(note)
        with self._current():
            self._change(partial(self._put, _by_key(Entry(rule, ttl, note) for rule in new)))

    def _replace(self, new: list[Rule]) -> None:
        self._change(partial(self._put, _by_key(map(Entry, reversed(new))), only=True))

    def _remove(self, rule: Rule) -> bool:
        with self._current():
            if rule.key not in self._rules:
                return False
            self._change(partial(self._drop, [rule.key]))
            return True

    def _forget_expired(self) -> None:
        self._change(self._drop_expired)

    def _change(self, change: Callable[[], object]) -> None:
        """Make a change when no other one is being made.

        That of a signal's handler, or of a finaliser, may come in the middle of another one of the
        same thread's, and is made behind it.
        """
        lock = _lock
        with lock:
            if self._changing is lock:
                self._changes.append(change)
                return
            if self._changing is not None:
                self._mend()
            self._changing = lock
            try:
                change()
            finally:
                self._changing = None
                if self._changes:
                    self._change(self._changes.popleft())

    def _mend(self) -> None:
        """In a forked child: a thread was changing the list, and is not there to go on with it."""
        self._changes.clear()
        self._table = AddressTable.of((rule.begin, rule.end) for rule in self._rules.values())
        self._move_hits(list(self._hits))
        self._look_at_deadlines()

    def _put(self, entries: dict[str, Entry], *, only: bool = False) -> None:
        """Have these rules, the newest last; with ``only`` no others."""
        gone = [key for key in self._rules if key not in entries] if only else []
        new = [key for key in entries if key not in self._rules]
        now = monotonic()
        before = self._table
        self._set_table(gone, [entries[key].rule for key in new])
        self._delete(gone)
        for key, (rule, ttl, note) in entries.items():
            if ttl is not None:
                self._deadlines[key] = now + ttl
                heapq.heappush(self._due, (now + ttl, key))
            else:
                self._deadlines.pop(key, None)
            # The newest stands last.
            self._rules.pop(key, None)
            self._rules[key] = rule
            if note is not None:
                self._notes[key] = note
        if self._hits and before is not self._table:
            for key in new:
                if counted := self._counted(self._rules[key]):
                    self._before[key] = counted
        self._look_at_deadlines()

    def _drop(self, keys: list[str]) -> None:
        gone = [key for key in keys if key in self._rules]
        self._set_table(gone, [])
        self._delete(gone)
        self._look_at_deadlines()

    def _drop_expired(self) -> None:
        now = monotonic()
        gone = []
        while self._due and self._due[0][0] <= now:
            deadline, key = heapq.heappop(self._due)
            if self._deadlines.get(key) == deadline:
                gone.append(key)
        self._drop(gone)

    def _set_table(self, gone: list[str], new: list[Rule]) -> None:
        """The table without some rules of the list, and with others."""
        count = len(gone) + len(new)
        table = self._table
        if count > FEW_RULES and count * NEW_TABLE_SHARE > len(self._rules):
            left = self._rules.copy()
            for key in gone:
                del left[key]
            table = AddressTable.of((rule.begin, rule.end) for rule in (*left.values(), *new))
            moved = list(self._hits)
        else:
            for rule in new:
                table = table.added(rule.begin, rule.end)
            moved = []
            for key in gone:
                rule = self._rules[key]
                table = table.removed(rule.begin, rule.end)
                moved += (rule.begin, rule.end)
        self._table = table
        self._move_hits(moved)

    def _move_hits(self, edges: list[bytes]) -> None:
        """Where there is no such edge any more, its hits go to the one that has its addresses."""
        for edge in edges:
            if edge in self._hits:
                other = self._table.edge(edge)
                if other != edge:
                    count = self._hits.pop(edge)
                    if other is not None:
                        self._hits[other] += count

    def _counted(self, rule: Rule) -> int:
        hits = self._hits
        if not hits:
            return 0
        return sum(hits[edge] for edge in self._table.edges(rule.begin, rule.end) if edge in hits)

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            self._notes.pop(key, None)
            self._deadlines.pop(key, None)
            self._before.pop(key, None)
            del self._rules[key]

    def _look_at_deadlines(self) -> None:
        """The heap has the deadlines that there are, and some that there were."""
        due, deadlines = self._due, self._deadlines
        if len(due) > 2 * len(deadlines) + STALE_DEADLINES:
            due[:] = [(deadline, key) for key, deadline in deadlines.items()]
            heapq.heapify(due)
        while due and deadlines.get(due[0][1]) != due[0][0]:
            heapq.heappop(due)
        self._soonest = due[0][0] if due else None

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
        return partial(self._replace, found)


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


def _key_of(text: str) -> str:
    """The key of a rule by its text; of what is none, the text itself."""
    try:
        return block_rules.read_rule(text).key
    except ValueError:
        return text


def _by_key(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Entries, the newest last; of several for one rule the last one."""
    found: dict[str, Entry] = {}
    for entry in entries:
        found.pop(entry.rule.key, None)
        found[entry.rule.key] = entry
    return found


def _renew_lock() -> None:
    """In a forked child: a thread that had the lock is not there to release it."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
