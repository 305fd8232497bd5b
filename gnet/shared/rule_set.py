"""The rules of a block list in Redis: how they are written and read, and the copy of them.

A set has the rules, each as a CIDR, an address, or a text as ``BlockList.rules`` has it. Beside it
``KEY:ends`` is a sorted set of those that end, by the time in milliseconds, and ``KEY:notes`` a
hash of the notes. Whoever changes them publishes that in the channel ``KEY``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from .._core.rule_store import RuleStore
from .._values import block_rules
from .._values.block_rules import Entry, Rule
from .connections import Place

__all__ = ["SharedRules"]

_log = logging.getLogger("gnet.shared")

_READ = """
local now = redis.call('TIME')
return {
    redis.call('SMEMBERS', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
    redis.call('HGETALL', KEYS[3]), {now[1], now[2]}
}
"""

# In one step, and by the clock of Redis. Rules whose time is over go first: one that is removed
# was not there then, and one that is added has no note of its former life.
_CHANGE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local change = cjson.decode(ARGV[1])

local function drop(member)
    redis.call('ZREM', KEYS[2], member)
    redis.call('HDEL', KEYS[3], member)
    return redis.call('SREM', KEYS[1], member)
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do drop(member) end
if change.only then
    local kept = {}
    for _, entry in ipairs(change.add) do kept[entry.member] = true end
    for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
        if not kept[member] then drop(member) end
    end
end
local gone = 0
for _, member in ipairs(change.remove) do gone = gone + drop(member) end
for _, entry in ipairs(change.add) do
    redis.call('SADD', KEYS[1], entry.member)
    if entry.ttl then
        redis.call('ZADD', KEYS[2], now + math.ceil(entry.ttl * 1000), entry.member)
    else
        redis.call('ZREM', KEYS[2], entry.member)
    end
    if entry.note then redis.call('HSET', KEYS[3], entry.member, entry.note) end
end
redis.call('PUBLISH', KEYS[1], 'changed')
return gone
"""


class SharedRules(RuleStore):
    """The copy of the rules, which changes when those in Redis have changed.

    :param place: the Redis.
    :param key: that of the set.
    """

    def __init__(self, place: Place, key: str) -> None:
        super().__init__()
        self._place = place
        self._keys = (key, f"{key}:ends", f"{key}:notes")
        # What the members say that the set had when it was last read, and what is none.
        self._known: dict[str, Rule] = {}
        self._unreadable: set[str] = set()
        # What was read last; None: the copy has changed since.
        self._taken: object = None
        self._changes_made = 0

    # -- changing -----------------------------------------------------------------------------

    def add(self, entries: Iterable[Entry]) -> None:
        new = list(entries)
        self._change_there(add=new)
        super().add(new)

    def replace(self, rules: Sequence[Rule]) -> None:
        self._change_there(add=[Entry(rule) for rule in rules], only=True)
        super().replace(rules)

    def remove(self, rule: Rule) -> bool:
        # Others may have written it in another way.
        members = {member for member, known in self._known.items() if known.key == rule.key}
        gone = self._change_there(remove=sorted(members | {_member(rule)}))
        super().remove(rule)
        return gone > 0

    def _change_there(
        self, *, add: Sequence[Entry] = (), remove: Sequence[str] = (), only: bool = False
    ) -> int:
        """Change the rules in Redis; gives how many were removed.

        :raises ConnectionError: Redis is not there, or does not do it.
        :raises TimeoutError: it does not answer; nobody knows whether it has done it.
        """
        entries = [_fields(entry) for entry in add]
        change = json.dumps({"add": entries, "remove": list(remove), "only": only})
        try:
            with self._place.opened() as connection:
                gone = self._place.ask(connection, "EVAL", _CHANGE, 3, *self._keys, change)
        except self._place.failures as exc:
            is_late = "timeout" in type(exc).__name__.lower()
            kind = TimeoutError if is_late else ConnectionError
            raise kind(f"the block list {self._keys[0]!r} at {self._place}: {exc}") from exc
        finally:
            self._changes_made += 1
            self._taken = None
        return int(gone)

    # -- following ----------------------------------------------------------------------------

    def follow(self, connection: Any) -> None:
        """Have the rules that are in Redis now."""
        while True:
            before = self._changes_made
            found = self._place.ask(connection, "EVAL", _READ, 3, *self._keys)
            # What was changed from here meanwhile may not be in it.
            if before == self._changes_made:
                break
        members, ends, notes, now = found
        members.sort()
        if (members, ends, notes) != self._taken:
            self._take(members, ends, notes, int(now[0]) + int(now[1]) / 1e6)
            self._taken = members, ends, notes

    def _take(self, members: list[str], ends: list[str], notes: list[str], now: float) -> None:
        ttl = {member: float(end) / 1000 - now for member, end in _pairs(ends)}
        noted = dict(_pairs(notes))
        known = {member: self._rule(member) for member in members if ttl.get(member, 1) > 0}
        self._unreadable &= known.keys()
        self._known = {member: rule for member, rule in known.items() if rule is not None}
        super().replace(list(self._known.values()))
        said = [
            Entry(rule, ttl.get(member), noted.get(member))
            for member, rule in self._known.items()
            if member in ttl or member in noted
        ]
        super().add(said)

    def _rule(self, member: str) -> Rule | None:
        if member in self._known or member in self._unreadable:
            return self._known.get(member)
        try:
            return block_rules.given_rule(member)
        except ValueError as error:
            self._unreadable.add(member)
            _log.error("a member of %r at %s is no rule: %s", self._keys[0], self._place, error)
            return None


def _member(rule: Rule) -> str:
    """How a rule stands in the set."""
    kind, _, rest = rule.key.partition(": ")
    return rule.key if kind == "Range" else rest.partition(" ")[2]


def _fields(entry: Entry) -> dict[str, Any]:
    fields = {"member": _member(entry.rule), "ttl": entry.ttl, "note": entry.note}
    return {name: value for name, value in fields.items() if value is not None}


def _pairs(flat: list[str]) -> Iterable[tuple[str, str]]:
    return zip(flat[::2], flat[1::2])
