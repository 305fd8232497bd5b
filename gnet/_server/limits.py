"""Whom a server lets in: how many, how many of one address, how fast, and whom not at all."""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._loop.timers import start_timer
from .._socket.planning import checked_block_list
from .._values import arguments
from .._values.prefix import Prefix
from .._values.token_buckets import Buckets, Rate, SharedRate
from .entrance import Entrant, Stage, Step

if TYPE_CHECKING:
    from .._core.block_list import BlockList

__all__ = ["Blocked", "PerAddress", "Rates", "Room", "host_of"]

WHEN_FULL = ("drop", "wait")

#: The longest that a timer of the loop takes, in seconds.
LONGEST_TIMER = 2.0**31


def host_of(remote: Any) -> str | None:
    """The IP address of a peer's address; a path has none, nor has what is neither."""
    host = remote[0] if isinstance(remote, tuple) else None
    return host if isinstance(host, str) else None


class Room(Stage):
    """So many connections at the most, those that are on their way in included.

    :param most: the number; ``None`` for no limit, ``0`` for none at all.
    :param when_full: what becomes of more: ``"drop"`` closes them, ``"wait"`` leaves them in the
        kernel's queue until there is room.
    """

    __slots__ = ("_most", "waits")

    reason = "max_connections"

    def __init__(self, most: int | None, when_full: str) -> None:
        if not isinstance(when_full, str):
            raise arguments.wrong_kind("when_full", when_full, "a str")
        if when_full not in WHEN_FULL:
            raise arguments.wrong_value("when_full", when_full, "'drop' or 'wait'")
        #: Whether those that are too many wait.
        self.waits = when_full == "wait"
        self.most = most

    @property
    def most(self) -> int | None:
        return self._most

    @most.setter
    def most(self, value: int | None) -> None:
        if value is not None:
            arguments.integer("max_connections", value, 0, 2**62)
        self._most = value

    @property
    def is_open(self) -> bool:
        return self._most is None

    def is_full(self, present: int) -> bool:
        """Whether there is no room for another connection beside those that there are."""
        return self._most is not None and present >= self._most

    def enter(self, entrant: Entrant) -> str | None:
        return self.reason if self.is_full(entrant.entrance.present) else None


class Blocked(Stage):
    """Nobody whom a block list has.

    :param block_list: asked anew for every connection.
    """

    __slots__ = ("block_list",)

    reason = "block_list"

    def __init__(self, block_list: BlockList | None) -> None:
        self.block_list = checked_block_list(block_list)

    @property
    def is_open(self) -> bool:
        return self.block_list is None

    def enter(self, entrant: Entrant) -> str | None:
        host = host_of(entrant.remote)
        if host is None or self.block_list is None:
            return None
        return self.reason if self.block_list.blocks(host) else None


class PerAddress(Stage):
    """So many connections of one address at the most.

    :param most: the number; ``None`` for no limit.
    :param prefix: which addresses count as one.
    """

    __slots__ = ("_counts", "_most", "_prefix")

    reason = "per_address"

    def __init__(self, most: int | None, prefix: Prefix) -> None:
        if most is not None:
            arguments.integer("max_connections_per_address", most, 1, 2**62)
        self._most = most
        self._prefix = prefix
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def is_open(self) -> bool:
        return self._most is None

    def enter(self, entrant: Entrant) -> str | None:
        host = host_of(entrant.remote)
        if host is None or self._most is None:
            return None
        key = self._prefix.key(host)
        count = self._counts.get(key, 0)
        if count >= self._most:
            return self.reason
        self._counts[key] = count + 1
        return None

    def release(self, remote: Any) -> None:
        host = host_of(remote)
        if host is None or self._most is None:
            return
        key = self._prefix.key(host)
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            # Nothing is remembered of addresses that have gone: a peer with many of them must
            # not grow it.
            del self._counts[key]

    def forget(self) -> None:
        self._counts.clear()


class Rates(Stage):
    """So many new connections a second at the most, of all and of one address.

    The last of the limits: a connection that another one refuses takes no token.

    :param rate: the rule for all; ``None`` for no limit.
    :param per_address: the rule for each address; ``None`` for no limit.
    :param prefix: which addresses count as one.
    """

    __slots__ = ("_addresses", "_full", "_loop", "_prefix", "_rate", "_shared", "_timer")

    reason = "rate"

    def __init__(
        self, rate: Rate | None, per_address: Rate | SharedRate | None, prefix: Prefix
    ) -> None:
        self._rate = rate
        # When the bucket of all is full again.
        self._full = 0.0
        self._shared = per_address if isinstance(per_address, SharedRate) else None
        self._addresses = Buckets(per_address) if isinstance(per_address, Rate) else None
        self._prefix = prefix
        # What forgets addresses, and the loop that it is one of.
        self._timer: Any = None
        self._loop: Any = None

    def __len__(self) -> int:
        return 0 if self._addresses is None else len(self._addresses)

    @property
    def is_open(self) -> bool:
        return self._rate is None and self._addresses is None and self._shared is None

    def enter(self, entrant: Entrant) -> str | Step | None:
        host = host_of(entrant.remote)
        if self._shared is None or host is None:
            return self._take(host, entrant)
        if self._less_one() is None:
            return self.reason
        step = Asked(entrant, self)
        allowed = self._shared.ask(self._prefix.key(host), step.answered)
        if allowed is None:
            return step
        return self.take_of_all() if allowed else self.reason

    def take_of_all(self) -> str | None:
        """Take a token of those that are for all addresses; the reason if there is none."""
        full = self._less_one()
        if full is None:
            return self.reason
        self._full = full
        return None

    def _less_one(self) -> float | None:
        """When the bucket of all would be full again, with a token less; ``None``: it has none."""
        return self._full if self._rate is None else self._rate.take(self._full, monotonic())

    def _take(self, host: str | None, entrant: Entrant) -> str | None:
        full = self._less_one()
        if full is None:
            return self.reason
        if self._addresses is not None and host is not None:
            now = monotonic()
            key = self._prefix.key(host)
            full_of_it = self._addresses.take(key, now)
            if full_of_it is None:
                return self.reason
            self._addresses.store(key, full_of_it, now)
            if self._timer is None:
                self._loop = entrant.entrance.loop.loop
                self._forget_after(self._addresses.rate.span)
        # Only now: who is refused for his address takes none of all.
        self._full = full
        return None

    def _forget_after(self, seconds: float) -> None:
        timer = start_timer(self._loop, min(seconds, LONGEST_TIMER), self._forget)
        # To forget is no reason for a program to go on.
        timer.ref = False
        self._timer = timer

    def _forget(self) -> None:
        """In the hub: buckets may have come to be full."""
        self._stop_timer()
        left = None if self._addresses is None else self._addresses.forget(monotonic())
        if left is not None:
            self._forget_after(left)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def stop(self) -> None:
        self._stop_timer()
        self._full = 0.0
        if self._addresses is not None:
            self._addresses.clear()


class Asked(Step):
    """Others that share the rate are asked about an address.

    Whoever asks them has a limit of time, behind which he decides for himself.
    """

    __slots__ = ("_is_over", "_rates")

    def __init__(self, entrant: Entrant, rates: Rates) -> None:
        super().__init__(entrant, rates.reason)
        self._rates = rates
        self._is_over = False

    def stop(self) -> None:
        self._is_over = True

    def answered(self, allowed: bool) -> None:
        """In the hub."""
        if self._is_over:
            return
        if allowed and self._rates.take_of_all() is None:
            self.entrant.go_on()
        else:
            self.entrant.drop(self.reason)
