"""The life of one end of a connection: its wire, its errors, who is blocked on it, its close.

Nothing here reads or writes. Its names have an underscore although others of this room use them:
programs make subclasses of a socket, and give their attributes any other names.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from gevent.event import AsyncResult
from greenlet import GreenletExit, greenlet

from .._loop.timers import IdleTimer
from .._transport.protocol import Transport
from .._values import arguments
from .._values.report import handler_failed, report
from ..errors import SocketClosedError, StreamDestroyedError, system_error
from .held import Held
from .states import (
    CLOSED,
    CONNECTING,
    HANDLER,
    IDLE,
    LEFT,
    LEFT_BY_HANDLER,
    LISTENERS,
    OPEN,
    SHUT,
    UNMADE,
    methods,
    step,
)
from .watchdog import Watchdog

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Host"]


class _Owner(ref):  # type: ignore[type-arg]
    """Which socket an error is the own one of; in another process, none."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


class Host(Held):
    """What every socket has, whichever way its bytes go. What it has in the beginning,
    :mod:`gnet._core.connection` says.
    """

    __slots__ = (
        "_blocked", "_error", "_failed_wire", "_generation", "_heard", "_idle", "_life", "_owner",
        "_reader", "_receiving", "_sending", "_timeout", "_waits", "_watchdog", "_wire", "server",
    )  # fmt: skip

    _wire: Transport | None
    # That of a connection which the network has ended, for pools that ask its descriptor.
    _failed_wire: Transport | None
    # Which of the object's connections it is. What a former one's listener leaves to be done
    # when it returns at last is not done to a later one (connect() may be called again).
    _generation: int
    # A rung of each ladder of gnet._core.states; _step() alone changes them.
    _life: int
    _receiving: int
    _sending: int
    _owner: int
    _error: BaseException | None
    # Whether somebody knows of the error: a listener, a blocked call, or the hub.
    _heard: bool
    # Who is blocked: in recv() or the like; in other calls; in wait().
    _reader: greenlet | None
    _blocked: list[AsyncResult[Any]] | None
    _waits: list[AsyncResult[Any]] | None
    _watchdog: Watchdog | None
    _timeout: float | None
    _idle: IdleTimer | None

    #: The :class:`~gnet.Server` that accepted the connection, or ``None``.
    server: Any

    def _is_over(self) -> bool:
        return self._life >= SHUT

    def _in_use(self) -> bool:
        life = getattr(self, "_life", IDLE)
        if life == IDLE:
            return getattr(self, "_wire", None) is not None
        return bool(life != CLOSED)

    # -- life ---------------------------------------------------------------------------------

    def _step(self, event: str) -> None:
        """Something has happened: go where that leads to, and do what is to be done then."""
        self._life, self._receiving, self._sending, self._owner, actions = step(
            event, self._life, self._receiving, self._sending, self._owner, self._facts()
        )
        for action in actions:
            (methods.get(action) or getattr(type(self), action))(self)

    def _is_blocking(self) -> bool:
        """Whether blocking calls use the connection, or did to the end."""
        return self._owner != LISTENERS and self._owner != LEFT

    def _is_handlers(self) -> bool:
        """Whether the connection is, or was, a handler's: it hears of errors from its calls."""
        return self._owner == HANDLER or self._owner == LEFT_BY_HANDLER

    @property
    def destroyed(self) -> bool:
        """Whether the connection is over, so that no more data can be transferred."""
        return self._life >= SHUT

    @property
    def closed(self) -> bool:
        """Whether ``'close'`` has been emitted."""
        return self._life == CLOSED

    @property
    def connecting(self) -> bool:
        """Whether :meth:`connect` was called and has not finished."""
        return self._life == CONNECTING

    @property
    def pending(self) -> bool:
        """Whether the socket is not connected: not yet, still connecting, or no longer."""
        return self._life != OPEN

    def destroy(self, error: BaseException | None = None) -> Self:
        """Close the connection at once; what is queued or unread is dropped.

        Greenlets that are blocked on the socket raise ``error``, or
        :class:`~gnet.errors.SocketClosedError`. From Node's ``socket.destroy()``.

        :param error: emitted as ``'error'`` ahead of ``'close'``.
        :returns: the socket.
        :raises TypeError: ``error`` is not an exception.
        """
        if error is not None and not isinstance(error, BaseException):
            raise arguments.wrong_kind("error", error, "an exception")
        self._check_thread()
        self._step("destroy")
        self._shut(error)
        self._close_failed()
        return self

    def _fail(self, error: BaseException) -> None:
        """The network has failed the connection: an error that is nobody's bug."""
        raise NotImplementedError

    def _shut(self, error: BaseException | None = None, heard: bool = False) -> None:
        """Close the connection; every way to its end comes through here.

        :param heard: somebody knows of the error, so that nobody need be told if no one listens.
        """
        if self._life >= SHUT:
            return
        self._error = error
        self._heard = heard
        self._step("shut")

    def _shut_later(self) -> None:
        self._loop.defer(self._shut)

    if TYPE_CHECKING:
        # A socket's, which counts them as well. What is here is called by the steps in its place.
        def _publish_failed(self) -> None: ...

    def _close_failed(self) -> None:
        """Close what was kept of a connection that has failed."""
        wire, self._failed_wire = self._failed_wire, None
        if wire is not None:
            wire.close()

    def _closed_error(self) -> BaseException:
        """What a blocking call raises on a socket that is closed or was closed under it."""
        if self._error is not None:
            # Whoever gets it has no need to ask the descriptor.
            self._close_failed()
            return self._error.with_traceback(None)
        return self._own(SocketClosedError())

    def _undone_error(self) -> BaseException:
        """What the callback of a write gets that ``destroy()`` has undone."""
        if self._receiving == UNMADE:
            return SocketClosedError(
                "Socket closed before the connection was established",
                "ERR_SOCKET_CLOSED_BEFORE_CONNECTION",
            )
        return StreamDestroyedError()

    # -- errors (rules 3 and 10) --------------------------------------------------------------

    def _own(self, error: BaseException) -> BaseException:
        """Mark an error as the connection's own: if it leaves a listener, that is no bug."""
        vars(error)["gnet_owner"] = _Owner(self)
        return error

    def _owns(self, error: BaseException) -> bool:
        return error is self._error or self._owns_mark(error)

    def _owns_mark(self, error: BaseException) -> bool:
        owner = getattr(error, "gnet_owner", None)
        return owner is not None and owner() is self

    def _deliver(self, event: str, *args: Any) -> None:
        """Emit in a borrowed greenlet; what a listener raises costs this connection only."""
        if event in self._listeners:
            # Not by _call(): that is an object and a call more for each event.
            generation = self._generation
            try:
                self.emit(event, *args)
            except BaseException as exc:
                self._listener_failed(exc, generation)

    def _report_later(self, event: str, *args: Any) -> None:
        """Emit in the next turn of the loop: whoever listens right after the call hears it."""
        self._loop.defer(partial(self._deliver, event, *args))

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        generation = self._generation
        try:
            function(*args)
        except BaseException as exc:
            self._listener_failed(exc, generation)

    def _listener_failed(self, exc: BaseException, generation: int) -> None:
        """A listener or callback has raised.

        :param generation: of which connection it was; a later one goes on.
        """
        own = self._owns(exc)
        if not own:
            handler_failed(self._loop.hub, self, exc)
        over = self._life >= SHUT or self._generation != generation
        if isinstance(exc, self._loop.hub.SYSTEM_ERROR):
            if not over:
                self._shut(None)
            raise exc
        if isinstance(exc, GreenletExit):
            if not over:
                self._shut(None)
        elif not over:
            self._shut(exc, heard=own)
        elif not own:
            self._report(exc)

    def _tell_error_later(self) -> None:
        self._loop.defer(self._emit_error)

    def _emit_error(self) -> None:
        error = self._error
        if error is None:
            return
        if "error" in self._listeners:
            self._heard = True
            self._deliver("error", error)
        elif self._is_blocking() and self._owns_mark(error):
            # It fell between two blocking calls: the next one, or close(), hears of it.
            return
        else:
            self._report_unheard()

    def _report_unheard(self) -> None:
        error = self._error
        if error is not None and not self._heard:
            self._heard = True
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """Nobody handles the error: the hub prints it with its traceback."""
        report(self._loop.hub, self, error)

    def _tell_close_later(self) -> None:
        self._loop.defer(self._tell_close)

    def _tell_close(self) -> None:
        self._step("tell_close")

    # -- blocked greenlets --------------------------------------------------------------------

    def _block(self) -> None:
        """Block until :meth:`_wake`; the caller looks again at what it waits for."""
        self._touch()
        waiter: AsyncResult[None] = AsyncResult()
        if self._blocked is None:
            self._blocked = []
        self._blocked.append(waiter)
        try:
            waiter.get()
        finally:
            self._loop.calls = 0
            if self._blocked is not None and waiter in self._blocked:
                self._blocked.remove(waiter)

    def _wake(self) -> None:
        """Have the blocked greenlets look again."""
        blocked, self._blocked = self._blocked, None
        for waiter in blocked or ():
            waiter.set(None)

    def _interrupt(self) -> None:
        """Raise in every greenlet that is blocked what the connection has failed with."""
        if self._reader is not None or self._blocked:
            error = self._error
            self._throw(error if error is not None else self._own(SocketClosedError()))
            self._heard = True

    def _throw(self, error: BaseException) -> None:
        """Raise ``error`` in every greenlet that is blocked.

        The greenlets of :meth:`wait` are not among them: they listen to ``'error'`` and
        ``'close'``.
        """
        blocked, self._blocked = self._blocked, None
        for waiter in blocked or ():
            waiter.set_exception(error)
        reader = self._reader
        if reader is not None:
            self._loop.loop.run_callback(self._throw_into, reader, error)

    def _throw_into(self, reader: greenlet, error: BaseException) -> None:
        """In the hub: raise ``error`` in the greenlet that waits for data, if it still does."""
        if self._reader is reader:
            reader.throw(error)

    def _await_connection(self) -> None:
        """Block until the socket is connected; raise what it failed with."""
        while self._life == CONNECTING:
            self._block()
        self._raise_unless_open()

    def _raise_unless_open(self) -> None:
        if self._life == OPEN:
            return
        if self._life == IDLE:
            raise self._own(system_error(errno.ENOTCONN, "socket"))
        self._heard = True
        raise self._closed_error()

    def _touch(self) -> None:
        if self._idle is not None:
            self._idle.touch()

    def _never_waits(self) -> bool:
        """Whether blocking calls raise :class:`BlockingIOError` instead of waiting."""
        # settimeout(0): set_timeout() leaves no zero.
        return self._timeout is not None and not self._timeout

    def _facts(self) -> int:
        """What decides beside the rungs."""
        raise NotImplementedError

    def _must_keep(self) -> bool:
        """Whether the loop refers to the socket although the program may not."""
        raise NotImplementedError

    # -- references (rule 11) -----------------------------------------------------------------

    def _update_kept(self) -> None:
        if self.server is not None:
            # A server refers to its connections in event style itself. One in blocking style is
            # the program's, which may forget it: a server that kept it would do so for ever. A
            # handler's is its own until it returns, which closes it.
            if self._is_blocking() and not self._is_handlers():
                self.server._keep(self, self._must_keep())
        elif self._must_keep():
            self._loop.kept.add(self)
        elif self._life < SHUT:
            self._loop.kept.discard(self)
