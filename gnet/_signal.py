"""Signals that abort: anything of gevent's that can be waited for stands for an AbortSignal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from ._validate import wrong_kind

__all__ = ["Signal", "check_signal"]


class Signal:
    """Calls a method, in the hub, when a waitable becomes ready.

    :param waitable: a :class:`gevent.event.Event`, an ``AsyncResult``, a ``Greenlet``: anything
        with ``rawlink``.
    :param method: a bound method. Its object is not kept alive by the waitable.
    :raises TypeError: ``waitable`` has no ``rawlink``.
    """

    __slots__ = ("_method", "_waitable")

    def __init__(self, waitable: Any, method: Callable[[], object]) -> None:
        check_signal(waitable)
        self._waitable: Any = waitable
        self._method = WeakMethod(method)
        waitable.rawlink(self._ready)

    def _ready(self, waitable: Any) -> None:
        method = self._method()
        if self._waitable is not None and method is not None:
            method()

    def is_ready(self) -> bool:
        """Whether the waitable is ready already: its call is still to come."""
        return self._waitable is not None and bool(self._waitable.ready())

    def unlink(self) -> None:
        """Do not call any more."""
        waitable, self._waitable = self._waitable, None
        if waitable is not None:
            waitable.unlink(self._ready)


def check_signal(waitable: Any) -> None:
    """Refuse what cannot stand for an AbortSignal.

    :raises TypeError: ``waitable`` has no ``rawlink``.
    """
    if isinstance(waitable, type) or not callable(getattr(waitable, "rawlink", None)):
        raise wrong_kind("signal", waitable, "an Event, AsyncResult or Greenlet of gevent's")
