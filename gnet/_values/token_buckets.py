"""Token buckets, without a clock: how often something may happen, as a whole or for each key."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from . import arguments

__all__ = ["Buckets", "Rate", "SharedRate", "checked_rate"]

# The times are sums of binary fractions, and the last token of a burst must not be lost to that.
SLACK_SECONDS = 1e-6


class Rate(NamedTuple):
    """A bucket's rule: it fills at a rate, and holds one second's tokens, but one at the least.

    What is in a bucket is one number: the time at which it is full again.

    :ivar interval: how long one token takes, in seconds.
    :ivar span: how long an empty bucket takes to be full, in seconds.
    """

    interval: float
    span: float

    def take(self, full: float, now: float) -> float | None:
        """Take a token.

        :param full: when the bucket is full again.
        :param now: the time.
        :returns: when it is full again without that token; ``None``: it has none.
        """
        after = (full if full > now else now) + self.interval
        return after if after - now <= self.span + SLACK_SECONDS else None


def checked_rate(name: str, value: Any) -> Rate | None:
    """The rule for so many a second; ``None`` for no limit.

    :raises TypeError: it is not a number.
    :raises ValueError: it is not above zero.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise arguments.wrong_kind(name, value, "a number of connections a second")
    if not 0 < value < float("inf"):
        right = "above 0 connections a second"
        raise arguments.wrong_value(name, value, right, "ERR_OUT_OF_RANGE")
    return Rate(1 / value, max(1.0, 1 / value))


class SharedRate:
    """A rate for each address that a server shares with others, which somebody else knows of.

    :class:`gnet.shared.RedisRate` is one.
    """

    __slots__ = ()

    def ask(self, key: Hashable, answered: Callable[[bool], object]) -> bool | None:
        """In the hub: take a token for a connection.

        :param key: the same for all addresses that count as one.
        :param answered: called in the hub, once, with whether there was one; not before this
            method has returned, and only if it gives ``None``.
        :returns: whether there was one; ``None``: that is to be found out.
        """
        raise NotImplementedError


class Buckets:
    """A bucket for each key.

    A full one is like one that was never used. So those that nobody has used for as long as they
    take to fill are forgotten, all at once: they are in the older of two generations.

    :param rate: the rule of each.
    """

    __slots__ = ("_former", "_recent", "_since", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._recent: dict[Hashable, float] = {}
        self._former: dict[Hashable, float] = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._recent) + len(self._former)

    def take(self, key: Hashable, now: float) -> float | None:
        """As :meth:`Rate.take`, for one key; what it gives takes effect by :meth:`store`."""
        full = self._recent.get(key)
        if full is None:
            full = self._former.get(key, now)
        return self.rate.take(full, now)

    def store(self, key: Hashable, full: float, now: float) -> None:
        """A bucket is full again at the time ``full``."""
        if not self._recent and not self._former:
            self._since = now
        self._former.pop(key, None)
        self._recent[key] = full

    def forget(self, now: float) -> float | None:
        """Forget those that have been full for some time.

        :returns: after how many seconds to do that again; ``None``: nothing is left.
        """
        left = self._since + self.rate.span - now
        if left <= 0:
            self._former, self._recent = self._recent, {}
            self._since = now
            left = self.rate.span
        return left if len(self) else None

    def clear(self) -> None:
        """Forget all of them."""
        self._former, self._recent = {}, {}
