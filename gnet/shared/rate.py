"""A rate of connections that many processes share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from .._values import arguments
from .._values.token_buckets import Buckets, Rate, SharedRate
from .connections import Outage, Place

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RedisRate"]

# So many are asked for at once at the most: Redis does nothing else meanwhile.
MOST_AT_ONCE = 500
MICROSECONDS = 1_000_000
# How gevent's Timeout is told to raise nothing behind its block.
SILENT: Any = False

# A bucket is one number, as in _values/token_buckets.py: when it is full again, by the clock of
# Redis in microseconds. An answer is how long that takes, or below zero, that there was no token.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for i, key in ipairs(KEYS) do
    local full = math.max(tonumber(redis.call('GET', key) or now), now)
    local left = full + interval - now
    if left <= span + 1 then
        local written = string.format('%.0f', full + interval)
        redis.call('SET', key, written, 'PX', math.ceil(left / 1000))
        answers[i] = left
    else
        answers[i] = -math.max(full - now, 1)
    end
end
return answers
"""

Asking = tuple[Hashable, Callable[[bool], object]]


class RedisRate(SharedRate):
    """A rate of new connections for each IP address, which many servers share through Redis.

    Pass it as ``max_connection_rate_per_address`` to servers of any number of processes. The
    buckets are in Redis, and a server asks there about each connection that nothing else refuses,
    about many at once where many come. Nothing waits for that but the connection itself, and it no
    longer than twice the ``timeout``. With Redis away, which is told once in the log
    ``gnet.shared``, each process decides by what it knew of the buckets and what it has let in
    since: together ``n`` processes then let in ``n`` times the rate at the most.

    Addresses that have spent their share are refused by the process itself, and cost Redis
    nothing. All processes should have the same rate and ``per_address_prefix``. Servers that have
    it belong to the thread that has made it. It keeps no program running. Also a context manager.

    :param url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
    :param key: what the keys of the buckets begin with.
    :param rate: so many connections in ``per`` seconds; as many may come at once, and always one.
    :param per: the seconds.
    :param timeout: how long an answer of Redis may take before it counts as away, in seconds.
    :raises ImportError: redis-py is not installed.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """

    def __init__(
        self, url: str, key: str, rate: float, per: float = 1.0, *, timeout: float = 0.1
    ) -> None:
        self._key = arguments.string("key", key)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise arguments.wrong_kind("rate", rate, "a number of connections")
        if not 0 < rate < float("inf"):
            raise arguments.wrong_value("rate", rate, "above 0 connections", "ERR_OUT_OF_RANGE")
        interval = arguments.positive_seconds("per", per) / rate
        self._own = Buckets(Rate(interval, interval * max(1.0, rate)))
        self._place = Place(url, timeout)
        self._outage = Outage(self._place, f"the rate {key!r} is each process' own meanwhile")
        self._asking: list[Asking] = []
        self._asked = Event()
        self._hub = gevent.get_hub()
        self._greenlet: Any = gevent.spawn(self._work)

    def ask(self, key: Hashable, answered: Callable[[bool], object]) -> bool | None:
        """See :class:`gnet.Server`, which calls it."""
        if gevent.get_hub() is not self._hub:
            raise RuntimeError("a RedisRate belongs to the thread that has made it")
        now = monotonic()
        if self._own.take(key, now) is None:
            return False
        if self._outage.since is not None or self._greenlet is None:
            return self._take_own(key)
        self._asking.append((key, answered))
        self._asked.set()
        return None

    def close(self) -> None:
        """Ask Redis no more; servers that still have it go on as if that were away."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)
            self._answer_by_own(self._asking)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def _work(self) -> None:
        while True:
            try:
                with self._place.opened() as connection:
                    self._outage.ends()
                    while True:
                        self._await_some()
                        self._ask_there(connection)
            except self._place.failures as exc:
                self._outage.begins(exc)
            self._answer_by_own(self._asking)
            self._outage.pause()

    def _await_some(self) -> None:
        while not self._asking:
            self._asked.clear()
            # Addresses whose buckets are full again are forgotten, also when nobody comes.
            with gevent.Timeout(self._own.forget(monotonic()), SILENT, ref=False):
                self._asked.wait()

    def _ask_there(self, connection: Any) -> None:
        some = self._asking[:MOST_AT_ONCE]
        rule = self._own.rate
        keys = [f"{self._key}:{key}" for key, _ in some]
        times = [seconds * MICROSECONDS for seconds in rule]
        answers = self._place.ask(connection, "EVAL", _TAKE, len(keys), *keys, *times)
        now = monotonic()
        for (key, answered), left in zip(some, answers):
            self._own.store(key, now + abs(left) / MICROSECONDS, now)
            self._answer(answered, left >= 0)
        del self._asking[: len(some)]

    def _answer_by_own(self, asking: list[Asking]) -> None:
        for key, answered in asking:
            self._answer(answered, self._take_own(key))
        asking.clear()

    def _take_own(self, key: Hashable) -> bool:
        now = monotonic()
        full = self._own.take(key, now)
        if full is not None:
            self._own.store(key, full, now)
        return full is not None

    def _answer(self, answered: Callable[[bool], object], allowed: bool) -> None:
        self._hub.loop.run_callback(answered, allowed)
