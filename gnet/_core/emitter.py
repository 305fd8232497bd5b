"""EventEmitter: named events and the functions that listen to them.

From Node's ``events``, *Class: EventEmitter*, as far as ``net`` uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

import gevent
from gevent.event import AsyncResult

from .._loop.timers import wait_patiently
from .._values import arguments
from .._values.arguments import ASYNC_FLAGS
from .._values.event_names import KNOWN, warn_of_unknown
from .._values.report import handler_failed, report
from ..errors import coded, wait_timeout

__all__ = ["EventEmitter"]

Listener = Callable[..., object]
_L = TypeVar("_L", bound=Listener)
_E = TypeVar("_E", bound="EventEmitter")


class _Missing:
    """The listener that was not given."""

    def __repr__(self) -> str:
        return "…"


_MISSING: Any = _Missing()


class _Once:
    """A listener that takes itself off before its first call."""

    __slots__ = ("emitter", "event", "listener")

    def __init__(self, emitter: EventEmitter, event: str, listener: Listener) -> None:
        self.emitter: EventEmitter | None = emitter
        self.event = event
        self.listener = listener

    def __call__(self, *args: Any) -> None:
        emitter, self.emitter = self.emitter, None
        # A nested emit of the same event also holds this object in its tuple.
        if emitter is not None:
            emitter._remove(self.event, self)
            self.listener(*args)


def _is_plain(listener: Any) -> bool:
    """Whether it is a function or a method, as nearly all are, and not an ``async`` one."""
    function = listener.__func__ if type(listener) is MethodType else listener
    kind = type(function)
    return (kind is FunctionType or kind is _COMPILED) and not (
        function.__code__.co_flags & ASYNC_FLAGS
    )


def _unwrap(listener: Listener) -> Listener:
    return listener.listener if isinstance(listener, _Once) else listener


class EventEmitter:
    """Calls the listeners of an event, in the order in which they were added.

    A listener that was added twice is called twice. A listener that is added or removed while
    an event is emitted changes the next emit, not the one under way. An ``'error'`` without a
    listener is raised.

    ``'new_listener'`` (event, listener) is emitted before a listener is added, and
    ``'remove_listener'`` (event, listener) after one was removed.
    """

    # The listeners of one event are a tuple that is replaced, never changed, so that emit() needs
    # no copy; and a single one, as most are, stands for itself. That makes emit() cheap (a dict
    # lookup and the calls), and saves 64 bytes for every event of every connection.
    __slots__ = ("__dict__", "__weakref__", "_listeners")

    _listeners: dict[str, Listener | tuple[Listener, ...]]

    def __init__(self) -> None:
        self._listeners = {}

    @overload
    def on(self: _E, event: str, listener: Listener) -> _E: ...
    @overload
    def on(self, event: str) -> Callable[[_L], _L]: ...
    def on(self, event: str, listener: Any = _MISSING) -> Any:
        """Add a listener behind those that the event has.

        :param event: the name of the event.
        :param listener: called with the event's arguments. Without it, ``on`` is a decorator.
        :returns: the emitter; as a decorator, the listener.
        :raises TypeError: ``listener`` cannot be called, or ``event`` is not a ``str``.
        """
        return self._listen(event, listener, once=False, first=False)

    add_listener = on

    @overload
    def once(self: _E, event: str, listener: Listener) -> _E: ...
    @overload
    def once(self, event: str) -> Callable[[_L], _L]: ...
    def once(self, event: str, listener: Any = _MISSING) -> Any:
        """Add a listener that is removed before it is called for the first time.

        Parameters, result and errors are those of :meth:`on`.
        """
        return self._listen(event, listener, once=True, first=False)

    @overload
    def prepend_listener(self: _E, event: str, listener: Listener) -> _E: ...
    @overload
    def prepend_listener(self, event: str) -> Callable[[_L], _L]: ...
    def prepend_listener(self, event: str, listener: Any = _MISSING) -> Any:
        """Add a listener ahead of those that the event has; otherwise as :meth:`on`."""
        return self._listen(event, listener, once=False, first=True)

    @overload
    def prepend_once_listener(self: _E, event: str, listener: Listener) -> _E: ...
    @overload
    def prepend_once_listener(self, event: str) -> Callable[[_L], _L]: ...
    def prepend_once_listener(self, event: str, listener: Any = _MISSING) -> Any:
        """Add a listener ahead of those that the event has; otherwise as :meth:`once`."""
        return self._listen(event, listener, once=True, first=True)

    def off(self: _E, event: str, listener: Listener) -> _E:
        """Remove a listener. If it was added several times, the latest of these is removed.

        :param event: the name of the event.
        :param listener: the function that was added; an unknown one is ignored.
        :returns: the emitter.
        :raises TypeError: ``listener`` cannot be called.
        """
        arguments.function("listener", listener)
        for candidate in reversed(self._entries(event)):
            if candidate == listener or _unwrap(candidate) == listener:
                self._remove(event, candidate)
                break
        return self

    remove_listener = off

    def remove_all_listeners(self: _E, event: str | None = None) -> _E:
        """Remove the listeners of one event, or of all.

        :param event: the name of the event; ``None`` for every event.
        :returns: the emitter.
        """
        # 'remove_listener' goes last, so that its listeners hear of all the others.
        events = [event] if event is not None else self.event_names()
        for name in sorted(events, key="remove_listener".__eq__):
            for listener in reversed(self._entries(name)):
                self._remove(name, listener)
        return self

    def emit(self, event: str, *args: Any) -> bool:
        """Call the event's listeners, one after another, in the calling greenlet.

        :param event: the name of the event.
        :param args: what the listeners are called with.
        :returns: whether there was a listener.
        :raises BaseException: what a listener raises, after all have been called: the first one
            of several exceptions, while the hub reports the others; and for ``'error'`` without
            a listener, the error itself.
        """
        return self._emit(event, args)

    def _emit(self, event: str, args: tuple[Any, ...]) -> bool:
        listeners = self._listeners.get(event)
        if listeners is None:
            if event == "error":
                raise _unhandled(args)
            return False
        if isinstance(listeners, tuple):
            call_all(listeners, args)
        else:
            listeners(*args)
        return True

    def listeners(self, event: str) -> list[Listener]:
        """A copy of the list of the event's listeners, in the order of their calls."""
        return [_unwrap(each) for each in self._entries(event)]

    def listener_count(self, event: str, listener: Listener | None = None) -> int:
        """How many listeners the event has; with ``listener``, how often it is among them."""
        if listener is None:
            return len(self._entries(event))
        return self.listeners(event).count(listener)

    def event_names(self) -> list[str]:
        """The names of the events that have listeners."""
        return list(self._listeners)

    def wait(self, event: str, timeout: float | None = None) -> tuple[Any, ...]:
        """Block the calling greenlet until the event is emitted.

        :param event: the name of the event.
        :param timeout: how long to wait at the most, in seconds; ``None`` for no limit.
        :returns: the arguments that the event was emitted with.
        :raises TimeoutError: the time is over.
        :raises BaseException: the error, if ``'error'`` comes first.
        """
        limit = arguments.limit("timeout", timeout)
        waiter: AsyncResult[tuple[Any, ...]] = AsyncResult()
        endings = self._endings(event, waiter)
        for name, listener in endings.items():
            self.once(name, listener)
        try:
            return tuple(self._await(waiter, limit, event))
        finally:
            for name, listener in endings.items():
                self.off(name, listener)

    def _endings(self, event: str, waiter: AsyncResult[Any]) -> dict[str, Listener]:
        """What ends a wait for ``event``: listeners, by event, that complete ``waiter``."""
        endings: dict[str, Listener] = {}
        if event != "error":
            endings["error"] = lambda exc=None, *rest: fail(waiter, _unhandled((exc,)))
        endings[event] = lambda *args: succeed(waiter, args)
        return endings

    def _await(self, waiter: AsyncResult[Any], limit: float | None, event: str) -> Any:
        if not wait_patiently(waiter, limit):
            raise wait_timeout(event, limit)
        return waiter.get()

    def _listen(self, event: str, listener: Any, once: bool, first: bool) -> Any:
        if not isinstance(event, str):
            raise arguments.wrong_kind("event", event, "a str")
        if listener is _MISSING:
            return self._decorator(event, once, first)
        if not _is_plain(listener):
            arguments.function("listener", listener)
        if "new_listener" in self._listeners:
            self.emit("new_listener", event, listener)
        entry = _Once(self, event, listener) if once else listener
        present = self._entries(event)
        if present:
            self._store(event, (entry, *present) if first else (*present, entry))
        else:
            self._listeners[event] = entry
            if event not in KNOWN:
                warn_of_unknown(self, event)
            self._listening(event)
        return self

    def _decorator(self, event: str, once: bool, first: bool) -> Callable[[_L], _L]:
        def decorate(function: _L) -> _L:
            self._listen(event, function, once, first)
            return function

        return decorate

    def _entries(self, event: str) -> tuple[Listener, ...]:
        found = self._listeners.get(event, ())
        return found if isinstance(found, tuple) else (found,)

    def _store(self, event: str, entries: tuple[Listener, ...]) -> None:
        self._listeners[event] = entries if len(entries) > 1 else entries[0]

    def _remove(self, event: str, entry: Listener) -> None:
        present = self._entries(event)
        for index in reversed(range(len(present))):
            if present[index] is entry:
                break
        else:
            return
        rest = present[:index] + present[index + 1 :]
        if rest:
            self._store(event, rest)
        else:
            del self._listeners[event]
            self._unlistened(event)
        if "remove_listener" in self._listeners:
            self.emit("remove_listener", event, _unwrap(entry))

    def _listening(self, event: str) -> None:
        """Called when an event has got its first listener."""

    def _unlistened(self, event: str) -> None:
        """Called when an event has lost its last listener."""


def call_all(listeners: tuple[Listener, ...], args: tuple[Any, ...]) -> None:
    """Call each of the listeners, whatever the others raise; then raise the first exception."""
    first: BaseException | None = None
    for listener in listeners:
        try:
            listener(*args)
        except BaseException as exc:
            if first is None:
                first = exc
            else:
                handler_failed(gevent.get_hub(), None, exc)
                report(gevent.get_hub(), listener, exc)
    if first is not None:
        try:
            raise first
        finally:
            # Its traceback has this frame.
            del first


# What a function of this module is: one of Cython's where it is compiled.
_COMPILED = type(call_all)


# 'error' and 'close' come in one batch, before the waiting greenlet runs: the first one counts.


def succeed(waiter: AsyncResult[Any], value: Any) -> None:
    """End a wait, unless it has ended."""
    if not waiter.ready():
        waiter.set(value)


def fail(waiter: AsyncResult[Any], error: BaseException) -> None:
    """End a wait with an error, unless it has ended."""
    if not waiter.ready():
        waiter.set_exception(error)


def _unhandled(args: tuple[Any, ...]) -> BaseException:
    """The exception of an ``'error'`` event: its argument, or one that names it."""
    error = args[0] if args else None
    if isinstance(error, BaseException):
        return error
    return coded(RuntimeError(f"Unhandled error. ({error!r})"), "ERR_UNHANDLED_ERROR")
