"""A pool of connections to one place, for any number of greenlets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from gevent.event import AsyncResult, Event
from greenlet import getcurrent

from .._core.dispatcher import Dispatcher, dispatcher
from .._loop.timers import Deadline, wait_patiently
from .._transport import stream_socket
from .._values import arguments
from .._values.suggestions import names, option_error
from ..errors import coded, type_error, value_error, wait_timeout
from .creating import create_connection, rehearse
from .options import PoolOptions
from .socket import Socket

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Pool", "PoolStats"]

# What says where the connections come from, or how long the socket lives: not a pool's.
_NOT_OF_A_POOL = {
    "fd": "a pool makes its connections, and a descriptor is one",
    "handle": "a pool makes its connections, and a descriptor is one",
    "reconnect": "a pool replaces connections that were lost",
}


class PoolStats(NamedTuple):
    """What :meth:`Pool.stats` tells.

    :ivar size: how many connections there may be.
    :ivar in_use: how many are lent, or being made for somebody.
    :ivar idle: how many wait to be lent.
    :ivar waiting: how many greenlets wait for one.
    :ivar opened: how many were made so far.
    :ivar failed: how often one could not be made.
    """

    size: int
    in_use: int
    idle: int
    waiting: int
    opened: int
    failed: int


class _Lent(NamedTuple):
    """A connection that somebody has.

    :ivar since: when it was made.
    :ivar greenlet: who has taken it.
    """

    since: float
    greenlet: Any


class Pool:
    """A limited number of connections to one place, which greenlets share.

    Greenlets are served in the order in which they ask. A connection is made when there is none
    to lend, and lent again when it was handed back with nothing unread and nothing queued. A
    connection whose peer has ended is never lent. A pool belongs to the thread that made it.

    :param target: where to connect, as for :func:`gnet.connect`: a port, a path, a
        ``(host, port)`` tuple, a list of those.
    :param size: how many connections there may be; default 10.
    :param idle_timeout: after how many idle seconds a connection is closed; default 60. ``None``:
        never.
    :param lifetime: a connection that is older, in seconds, is not lent any more. ``None``, the
        default, for no limit.
    :param wait_timeout: how long :meth:`acquire` waits for its turn, in seconds; connecting takes
        its time beside that (``connect_timeout``). ``None``, the default, for no limit.
    :param check: called with a connection that is about to be lent again; when it gives something
        false, or raises an :class:`Exception`, the connection is replaced. It may block.
    :param connect_options: those of :func:`gnet.connect`, ``tls`` for example, but ``fd``,
        ``handle`` and ``reconnect``.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """

    def __init__(
        self,
        target: Any = None,
        size: int = 10,
        *,
        idle_timeout: float | None = 60.0,
        lifetime: float | None = None,
        wait_timeout: float | None = None,
        check: Callable[[Socket], object] | None = None,
        **connect_options: Unpack[PoolOptions],
    ) -> None:
        self._size = arguments.integer("size", size, 1, 2**31 - 1)
        self._idle_timeout = arguments.seconds("idle_timeout", idle_timeout)
        self._lifetime = arguments.seconds("lifetime", lifetime)
        self._wait_timeout = arguments.limit("wait_timeout", wait_timeout)
        self._check = arguments.optional_function("check", check)
        for name in sorted(connect_options.keys() & _NOT_OF_A_POOL.keys()):
            raise type_error(f'The "{name}" argument is not for a pool: {_NOT_OF_A_POOL[name]}')
        known = names(PoolOptions)
        if not connect_options.keys() <= known:
            raise option_error("Pool()", connect_options, known)
        if callable(getattr(target, "listen", None)):
            raise arguments.wrong_kind("target", target, "a place to connect to, and no listener")
        rehearse(target, connect_options)
        self._target = target
        self._options: Any = connect_options
        self._timeout: float | None = connect_options.get("timeout")
        self._loop: Dispatcher = dispatcher()
        # Those that wait, the last one to come back last; with the time it came, and was made.
        self._idle: deque[tuple[Socket, float, float]] = deque()
        self._lent: dict[Socket, _Lent] = {}
        # How many connections may be lent or made now: each waiter is given one of these rights.
        self._free = self._size
        self._waiters: deque[AsyncResult[None]] = deque()
        self._opened = self._failed = 0
        self._closed = False
        # Set when a turn comes back that nobody waits for.
        self._returned = Event()
        self._timer: Deadline | None = None

    def __repr__(self) -> str:
        told = self.stats()
        state = " closed" if self._closed else ""
        return f"<gnet.Pool {told.in_use} of {told.size} in use, {told.idle} idle{state}>"

    # -- lending ------------------------------------------------------------------------------

    @contextmanager
    def connection(self) -> Iterator[Socket]:
        """Lend a connection for a ``with`` block.

        When an exception leaves the block, the connection is destroyed: nobody knows what of a
        conversation is still on its way.
        """
        sock = self.acquire()
        try:
            yield sock
        except BaseException:
            sock.destroy()
            raise
        finally:
            self.release(sock)

    def acquire(self) -> Socket:
        """Lend a connection; :meth:`release` hands it back. Blocks until there is one.

        :raises TimeoutError: ``wait_timeout`` is over.
        :raises OSError: it could not be made.
        :raises RuntimeError: the pool was closed; ``code`` ``"ERR_POOL_CLOSED"``.
        """
        self._check_thread()
        self._check_open()
        self._await_turn()
        try:
            sock, since = self._take() or self._make()
        except BaseException:
            self._give_turn()
            raise
        self._lent[sock] = _Lent(since, getcurrent())
        return sock

    def release(self, sock: Socket) -> None:
        """Hand a connection back.

        It is lent again if its stream is clean: nothing unread, nothing queued, not flowing, and
        neither side ended. One with something queued sends that, and is closed; another one is
        destroyed. Listeners, encoding and timeout that were set on it are taken off.

        :raises ValueError: it is not lent by this pool.
        """
        self._check_thread()
        lent = self._lent.pop(sock, None)
        if lent is None:
            raise value_error(f"{sock!r} is not lent by this pool", "ERR_POOL_NOT_LENT")
        try:
            self._take_back(sock, lent.since)
        finally:
            self._give_turn()

    def _take_back(self, sock: Socket, since: float) -> None:
        if sock.writable_length:
            # It is the program's last word on it. Files that it has forgotten hold up nothing.
            sock._give_up()
            return
        now = monotonic()
        if self._closed or not sock._is_clean() or self._is_old(since, now):
            sock.destroy()
            return
        sock.remove_all_listeners()
        sock.set_encoding(None)
        sock.set_timeout(self._timeout)
        sock.unref()
        for event in ("end", "close", "error"):
            sock.on(event, self._left)
        self._idle.append((sock, now, since))
        self._watch()

    # -- turns --------------------------------------------------------------------------------

    def _await_turn(self) -> None:
        """Block until one of the connections may be had, by the order of the calls."""
        if self._free and not self._waiters:
            self._free -= 1
            return
        waiter: AsyncResult[None] = AsyncResult()
        self._waiters.append(waiter)
        try:
            if not wait_patiently(waiter, self._wait_timeout):
                raise wait_timeout("a connection of the pool", self._wait_timeout)
            waiter.get()
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.successful():
                # It was given one, and does not live to use it.
                self._give_turn()
            raise

    def _give_turn(self) -> None:
        """One more connection may be had."""
        if self._waiters and not self._closed:
            self._waiters.popleft().set(None)
            return
        self._free += 1
        self._returned.set()

    # -- connections --------------------------------------------------------------------------

    def _take(self) -> tuple[Socket, float] | None:
        """One that waits, and is good; ``None`` if there is none."""
        while self._idle:
            # The one that came last: the others may be closed for having nothing to do.
            sock, _, since = self._idle.pop()
            sock.remove_all_listeners()
            sock.ref()
            good = False
            try:
                good = (
                    sock._is_clean()
                    and not self._is_old(since, monotonic())
                    and (self._check is None or self._answers(sock))
                )
            finally:
                if not good:
                    sock.destroy()
            if good:
                return sock, since
        return None

    def _answers(self, sock: Socket) -> bool:
        """Whether the program's own check finds it good."""
        assert self._check is not None
        try:
            return bool(self._check(sock)) and sock._is_clean()
        except Exception:
            return False

    def _make(self) -> tuple[Socket, float]:
        """A new one."""
        sock = create_connection(self._target, **self._options)
        try:
            # As by "with": it waits, and destroys what has failed.
            sock.__enter__()
        except BaseException:
            self._failed += 1
            raise
        self._opened += 1
        if self._closed:
            sock.destroy()
            self._check_open()
        return sock, monotonic()

    def _is_old(self, since: float, now: float) -> bool:
        return self._lifetime is not None and now - since >= self._lifetime

    def _left(self, *_: Any) -> None:
        """One of those that wait has come to an end."""
        for each in list(self._idle):
            if not each[0].readable:
                self._idle.remove(each)
                each[0].destroy()

    # -- what has nothing to do ---------------------------------------------------------------

    def _watch(self) -> None:
        """Have the next one be closed that has waited, or lived, for too long."""
        if self._timer is None and self._idle:
            seconds = min(map(self._seconds_left, self._idle))
            if seconds < float("inf"):
                self._timer = Deadline(self._loop.timers, max(0.0, seconds), self, "_look")

    def _seconds_left(self, idle: tuple[Socket, float, float]) -> float:
        _, came, since = idle
        now = monotonic()
        ends = [float("inf")]
        if self._idle_timeout is not None:
            ends.append(came + self._idle_timeout - now)
        if self._lifetime is not None:
            ends.append(since + self._lifetime - now)
        return min(ends)

    def _look(self) -> None:
        """In the hub: close those whose time is over."""
        self._timer = None
        for each in list(self._idle):
            if self._seconds_left(each) <= 0:
                self._idle.remove(each)
                self._let_go(each[0])
        self._watch()

    def _let_go(self, sock: Socket) -> None:
        """Close one that waited, in good order."""
        sock.remove_all_listeners()
        sock._give_up()

    # -- the end ------------------------------------------------------------------------------

    def close(self, grace: float | None = None) -> None:
        """Lend no more, close what waits, and block until everything lent has been handed back.

        Who waits for a connection gets a :class:`RuntimeError`. What the calling greenlet has lent
        itself is not waited for.

        :param grace: how long to wait, in seconds; then what is still lent is destroyed. ``None``
            for no limit.
        """
        self._check_thread()
        limit = arguments.limit("grace", grace)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._let_go(self._idle.pop()[0])
        while self._waiters:
            self._waiters.popleft().set_exception(_closed_error())
        ends = None if limit is None else monotonic() + limit
        while self._free + self._own_loans() < self._size:
            self._returned.clear()
            left = None if ends is None else max(0.0, ends - monotonic())
            if not wait_patiently(self._returned, left):
                break
        if ends is not None:
            for sock in list(self._lent):
                sock.destroy()

    def _own_loans(self) -> int:
        me = getcurrent()
        return sum(lent.greenlet is me for lent in self._lent.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def stats(self) -> PoolStats:
        """What the pool has, and had."""
        return PoolStats(
            self._size,
            self._size - self._free,
            len(self._idle),
            len(self._waiters),
            self._opened,
            self._failed,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise _closed_error()

    def _check_thread(self) -> None:
        if self._loop.thread != stream_socket.this_thread():
            raise coded(
                RuntimeError(f"{self!r} belongs to another thread, as its connections do"),
                "ERR_WRONG_THREAD",
            )


def _closed_error() -> RuntimeError:
    return coded(RuntimeError("the pool was closed"), "ERR_POOL_CLOSED")
