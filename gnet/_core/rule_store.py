"""The rules that a block list has at the moment, as what changes them and asks them finds them.

Rules come, go, and end by the clock, while servers and other threads ask.
"""

from __future__ import annotations

import heapq
import os
from _thread import RLock
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic

from .._values import block_rules
from .._values.block_rules import Entry, Rule
from .address_table import AddressTable

__all__ = ["RuleStore"]

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


class RuleStore:
    """Rules with their notes, hits and ends.

    :ivar rules: by their keys, the newest last; to be looked at under :meth:`current`.
    :ivar notes: by the keys of their rules; likewise.
    """

    __slots__ = (
        "_before", "_changes", "_changing", "_deadlines", "_due", "_hits", "_soonest", "_table",
        "notes", "rules",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._table = AddressTable.of(())
        self.notes: dict[str, str] = {}
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

    def holds(self, key: bytes) -> bool:
        """Whether any rule has an address; that is a hit of each that has it."""
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

    def hits(self, rule: str) -> int:
        """How many checks have met a rule, by its text.

        :raises KeyError: there is no such rule.
        """
        with self.current():
            found = self.rules.get(rule) or self.rules[_key_of(rule)]
            return self._counted(found) - self._before.get(found.key, 0)

    def entries(self) -> list[Entry]:
        """The rules with what was said about them, the newest first."""
        with self.current():
            now = monotonic()
            left = {key: deadline - now for key, deadline in self._deadlines.items()}
            return [
                Entry(rule, left.get(key), self.notes.get(key))
                for key, rule in reversed(list(self.rules.items()))
            ]

    def current(self) -> RLock:
        """The lock, to be held while the list is looked at; nothing in it has come to its end."""
        soonest = self._soonest
        if soonest is not None and soonest <= monotonic():
            self._forget_expired()
        return _lock

    def add(self, entries: Iterable[Entry]) -> None:
        """Add rules, all in one step, the newest last."""
        new = _by_key(entries)
        with self.current():
            self._change(partial(self._put, new))

    def replace(self, rules: Sequence[Rule]) -> None:
        """Have these rules and no others, in one step, the newest first."""
        self._change(partial(self._put, _by_key(map(Entry, reversed(rules))), only=True))

    def remove(self, rule: Rule) -> bool:
        """Remove a rule; whether it was there."""
        with self.current():
            if rule.key not in self.rules:
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
        self._table = AddressTable.of((rule.begin, rule.end) for rule in self.rules.values())
        self._move_hits(list(self._hits))
        self._look_at_deadlines()

    def _put(self, entries: dict[str, Entry], *, only: bool = False) -> None:
        """Have these rules, the newest last; with ``only`` no others."""
        gone = [key for key in self.rules if key not in entries] if only else []
        new = [key for key in entries if key not in self.rules]
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
            self.rules.pop(key, None)
            self.rules[key] = rule
            if note is not None:
                self.notes[key] = note
        if self._hits and before is not self._table:
            for key in new:
                if counted := self._counted(self.rules[key]):
                    self._before[key] = counted
        self._look_at_deadlines()

    def _drop(self, keys: list[str]) -> None:
        gone = [key for key in keys if key in self.rules]
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
        # Once each: a rule that was added again in the same tick of the clock is due twice.
        self._drop([*dict.fromkeys(gone)])

    def _set_table(self, gone: list[str], new: list[Rule]) -> None:
        """The table without some rules of the list, and with others."""
        count = len(gone) + len(new)
        table = self._table
        if count > FEW_RULES and count * NEW_TABLE_SHARE > len(self.rules):
            left = self.rules.copy()
            for key in gone:
                del left[key]
            table = AddressTable.of((rule.begin, rule.end) for rule in (*left.values(), *new))
            moved = list(self._hits)
        else:
            for rule in new:
                table = table.added(rule.begin, rule.end)
            moved = []
            for key in gone:
                rule = self.rules[key]
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
            self.notes.pop(key, None)
            self._deadlines.pop(key, None)
            self._before.pop(key, None)
            del self.rules[key]

    def _look_at_deadlines(self) -> None:
        """The heap has the deadlines that there are, and some that there were."""
        due, deadlines = self._due, self._deadlines
        if len(due) > 2 * len(deadlines) + STALE_DEADLINES:
            due[:] = [(deadline, key) for key, deadline in deadlines.items()]
            heapq.heapify(due)
        while due and deadlines.get(due[0][1]) != due[0][0]:
            heapq.heappop(due)
        self._soonest = due[0][0] if due else None


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
