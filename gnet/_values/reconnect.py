"""When a socket dials again: the policy, and the series of tries. No sockets, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import IPBlockedError, WriteLimitError
from . import arguments

__all__ = ["Reconnect", "Tries"]

# What fails here, and not in the network: another try would fail as well.
_FINAL = (IPBlockedError, WriteLimitError)


class Reconnect:
    """How a socket connects again after the network has ended its connection, or a dial.

    For the option ``reconnect=`` of :func:`gnet.connect`. It does not change once it is made, and
    any number of sockets may share one.

    :param initial: the delay ahead of the first try, in seconds; default 0.1.
    :param maximum: no delay is longer, in seconds; default 30.
    :param factor: how many times as long each delay is as the one before; default 2.
    :param jitter: whether a delay is drawn by chance, from zero up to that; default ``True``, so
        that the clients of a server that comes back do not all come at once.
    :param attempts: how many dials in a row may fail, the first one included; then the socket
        closes with the last error. ``None``, the default, for no limit.
    :param lost: called with the bytes that were queued when a connection was lost, if there were
        any; it gives those that are sent first on the next one, or ``None``. Nothing is sent
        again without it. It may block, and the next dial waits for it.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """

    __slots__ = ("_attempts", "_factor", "_initial", "_jitter", "_lost", "_maximum")

    def __init__(
        self,
        initial: float = 0.1,
        maximum: float = 30.0,
        factor: float = 2.0,
        jitter: bool = True,
        attempts: int | None = None,
        lost: Callable[[bytes], Any] | None = None,
    ) -> None:
        self._initial = arguments.positive_seconds("initial", initial)
        self._maximum = arguments.positive_seconds("maximum", maximum)
        if self._maximum < self._initial:
            right = f"at least the initial delay of {self._initial:g} seconds"
            raise arguments.wrong_value("maximum", maximum, right, "ERR_OUT_OF_RANGE")
        if isinstance(factor, bool) or not isinstance(factor, (int, float)):
            raise arguments.wrong_kind("factor", factor, "a number")
        if not 1 <= factor < float("inf"):
            raise arguments.wrong_value("factor", factor, "1 or more", "ERR_OUT_OF_RANGE")
        self._factor = float(factor)
        self._jitter = arguments.flag("jitter", jitter)
        if attempts is not None:
            arguments.integer("attempts", attempts, 1, 2**31 - 1)
        self._attempts = attempts
        self._lost = arguments.optional_function("lost", lost)

    @property
    def initial(self) -> float:
        """The delay ahead of the first try, in seconds."""
        return self._initial

    @property
    def maximum(self) -> float:
        """The longest delay, in seconds."""
        return self._maximum

    @property
    def factor(self) -> float:
        """How many times as long each delay is as the one before."""
        return self._factor

    @property
    def jitter(self) -> bool:
        """Whether a delay is drawn by chance."""
        return self._jitter

    @property
    def attempts(self) -> int | None:
        """So many dials may fail; ``None`` for no limit."""
        return self._attempts

    @property
    def lost(self) -> Callable[[bytes], Any] | None:
        """What is asked about bytes that were queued, or ``None``."""
        return self._lost

    def __repr__(self) -> str:
        lost = getattr(self._lost, "__name__", repr(self._lost))
        return (
            f"gnet.Reconnect(initial={self._initial:g}, maximum={self._maximum:g}, "
            f"factor={self._factor:g}, jitter={self._jitter}, attempts={self._attempts}, "
            f"lost={lost})"
        )


class Tries:
    """The tries of one socket since a connection of its was good.

    :param policy: the policy.
    :ivar attempt: the number of the latest try.
    """

    __slots__ = ("_delay", "_failed", "attempt", "policy")

    def __init__(self, policy: Reconnect) -> None:
        self.policy = policy
        self.begin_anew()

    def begin_anew(self) -> None:
        """A connection was good."""
        self.attempt = 0
        self._failed = 0
        self._delay = self.policy.initial

    def follows(self, error: BaseException | None) -> bool:
        """Whether another try makes sense.

        :param error: what has ended the connection, or the dial; ``None`` for the peer's end.
        """
        return error is None or (isinstance(error, OSError) and not isinstance(error, _FINAL))

    def next(self, dialled: bool, draw: Callable[[], float]) -> float | None:
        """The delay ahead of the next try, in seconds; ``None``: enough have failed.

        :param dialled: whether it was a dial that has failed, and not a connection.
        :param draw: gives a number by chance, from zero up to, but without, one.
        """
        policy = self.policy
        self._failed += dialled
        if policy.attempts is not None and self._failed >= policy.attempts:
            return None
        self.attempt += 1
        delay = self._delay
        self._delay = min(delay * policy.factor, policy.maximum)
        return delay * (1 - draw()) if policy.jitter else delay
