"""Callables that are expected to be called, and ones that are expected not to be.

A listener that is never called makes no assertion fail. With :class:`Calls` its silence does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.event import Event

__all__ = ["Call", "Calls"]


class Call:
    """A callable that counts.

    :ivar count: how often it was called.
    :ivar args: the positional arguments of the latest call.
    :ivar options: its keyword arguments.
    """

    def __init__(self, function: Callable[..., Any] | None, times: int, name: str) -> None:
        self._function = function
        self._times = times
        self._name = name
        self._complete = Event()
        self.count = 0
        self.args: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        self.args, self.options = args, options
        if self.count == self._times:
            self._complete.set()
        if self.count > self._times:
            raise AssertionError(self.complaint())
        return self._function(*args, **options) if self._function is not None else None

    def __repr__(self) -> str:
        return f"<{self._name}: {self.count} of {self._times} calls>"

    def wait(self) -> tuple[Any, ...]:
        """Block until the last of the expected calls; gives its arguments."""
        self._complete.wait()
        return self.args

    def complaint(self) -> str | None:
        """What is wrong with the number of calls, if anything is."""
        if self.count == self._times:
            return None
        return f"{self._name} was called {self.count} times instead of {self._times}: {self.args}"


class Calls:
    """The expected calls of one test; calling it makes another one."""

    def __init__(self) -> None:
        self._expected: list[Call] = []

    def __call__(self, function: Callable[..., Any] | None = None, times: int = 1) -> Call:
        """A callable that calls ``function``, and has to be called ``times`` times."""
        name = getattr(function, "__qualname__", None) or f"expected call {len(self._expected)}"
        call = Call(function, times, name)
        self._expected.append(call)
        return call

    def never(self, name: str = "a call that must not come") -> Call:
        """A callable that has not to be called."""
        call = Call(None, 0, name)
        self._expected.append(call)
        return call

    def wait(self) -> None:
        """Block until every expected call has come."""
        for call in self._expected:
            if call.complaint() is not None:
                call.wait()

    def verify(self) -> None:
        """Fail unless every call has come exactly as often as expected."""
        complaints = [complaint for call in self._expected if (complaint := call.complaint())]
        assert not complaints, "; ".join(complaints)
