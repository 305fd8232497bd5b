"""Signals that abort: anything of gevent's that can be waited for stands for an AbortSignal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from .._values.arguments import wrong_kind

__all__ = ["Signal", "check_signal"]


class Signal:
    """Calls a method, in the hub, when a waitable becomes ready.

    :param waitable: a :class:`gevent.event.Event`, an ``AsyncResult``, a ``Greenlet``: anything
        with ``rawlink``.
    :param method: a bound method. Its object is not kept alive by the waitable.
    :raises TypeError: ``waitable`` has no ``rawlink``.
    """

    __slots__ = ("_linked", "_method", "_waitable")

    def __init__(self, waitable: Any, method: Callable[[], object]) -> None:
        check_signal(waitable)
        self._waitable: Any = waitable
        self._method = WeakMethod(method)
        self._linked = False
        self.link()

    def _ready(self, waitable: Any) -> None:
        method = self._method()
        if self._linked and method is not None:
            method()

    def link(self) -> None:
        """Call from now on; soon, if the waitable is ready already."""
        if not self._linked:
            self._linked = True
            self._waitable.rawlink(self._ready)

    def is_ready(self) -> bool:
        """Whether the waitable is ready already: its call is still to come."""
        return self._linked and bool(self._waitable.ready())

    def unlink(self) -> None:
        """Do not call any more, unless it is linked again."""
        if self._linked:
            self._linked = False
            self._waitable.unlink(self._ready)


def check_signal(waitable: Any) -> None:
    """Refuse what cannot stand for an AbortSignal.

    :raises TypeError: ``waitable`` has no ``rawlink``.
    """
    if isinstance(waitable, type) or not callable(getattr(waitable, "rawlink", None)):
        raise wrong_kind("signal", waitable, "an Event, AsyncResult or Greenlet of gevent's")
