"""A connection that is lost to the network, and that the socket makes again.

What was lost is taken apart as by any other end, and the next connection has new parts. Between
the two the socket is connecting: first it waits, which costs a timer and no greenlet, then it
dials. Its listeners and pipes stay, and so do its decoder, limits and timeouts.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._loop.timers import Deadline
from .._values import encodings
from ..errors import coded, late_import
from .connection import Connection
from .outbox import Outbox
from .pipe import follow
from .rare import Rare
from .states import CONNECTING, LEFT, OPEN, UNTOLD, WRITABLE

if TYPE_CHECKING:
    from .._values.reconnect import Tries
    from .pipe import Pipe

__all__ = ["Losing", "Redial"]


class Redial:
    """How a socket dials again.

    :param tries: the tries since a connection was good, and when there is another.
    :param begin: begins a dial.
    :ivar begun: when the latest connection was made.
    :ivar loss: what has ended it; ``None`` for the peer's end.
    """

    __slots__ = ("_timer", "begin", "begun", "loss", "tries")

    def __init__(self, tries: Tries, begin: Callable[[], object]) -> None:
        self.tries = tries
        self.begin = begin
        self.begun = 0.0
        self.loss: BaseException | None = None
        self._timer: Deadline | None = None

    def wait(self, socket: Losing, seconds: float) -> None:
        """Begin a dial so many seconds from now."""
        self._timer = Deadline(socket._loop.timers, seconds, socket, "_dial_again")

    def cancel(self) -> None:
        """Dial no more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class Losing(Connection):
    """A connection whose loss is not the end of its socket, if that was told to dial again."""

    __slots__ = ()

    def _survives(self, error: BaseException | None) -> bool:
        """Whether the socket may dial again after this; ``None`` is the peer's end."""
        rare = self._rare
        return (
            rare is not None
            and rare.redial is not None
            and self._sending == WRITABLE
            and self._owner < LEFT
            # close() was called, and waits for a file; or this end reads no more.
            and not rare.close_when_unused
            and not (self._peer is not None and self._peer.hidden)
            and rare.redial.tries.follows(error)
        )

    def _fail(self, error: BaseException) -> None:
        rare = self._rare
        redials = rare is not None and rare.redial is not None and self._survives(error)
        if redials and self._lose(self._own(error)):
            return
        # A handler that is not blocked on the socket hears of it from its next call, or does
        # not care any more.
        self._shut(self._own(error), heard=self._is_handlers())

    def _meet_end(self, event: str, told: bool) -> None:
        if not (self._survives(None) and self._lose(None, told)):
            Connection._meet_end(self, event, told)

    def _lose(self, error: BaseException | None, told: bool = False) -> bool:
        """The network has ended the connection, or a dial: dial again, in a while.

        :param told: a call is about to tell its caller.
        :returns: ``False``: enough has been tried.
        """
        redial: Redial = self._rare.redial  # type: ignore[union-attr]
        was_open = self._life == OPEN
        tries = redial.tries
        lasted = monotonic() - redial.begun
        if was_open and (self.bytes_read or lasted >= tries.policy.initial):
            tries.begin_anew()
        with late_import():
            from random import random

        delay = tries.next(not was_open, random)
        if delay is None:
            return False
        data = self._part(redial, error, told) if was_open else self._stop_dialling(error)
        if self._signal is not None:
            self._signal.link()
        if self._timeout:
            self._start_idle_timer(self._timeout)
        job = partial(self._prepare, self._generation, data, tries.attempt, delay, error)
        self._loop.defer(job)
        return True

    def _stop_dialling(self, error: BaseException | None) -> bytes:
        """A dial has failed; what waits to be sent, and who waits for it, goes on waiting."""
        rare = self._need_rare()
        self._error = error
        self._publish_failed()
        self._error = None
        connector, rare.connector = rare.connector, None
        if connector is not None:
            connector.abort()
        self._stop_timers()
        return b""

    def _part(self, redial: Redial, error: BaseException | None, told: bool) -> bytes:
        """Take the connection apart that was lost; gives what was still to be sent."""
        former = self._need_rare()
        self._error = redial.loss = error
        self._publish_closed()
        if self._reader is not None or self._blocked:
            self._throw(self._loss_error(redial))
            told = True
        told = told or bool(self._flow)
        out = self._outbox
        data = b"" if out is None else out.unsent()
        # None of these ends with it.
        former.redial = None
        pipes, self._pipes = self._pipes, None
        self._stop_timers()
        self._release()
        self._close_failed()
        blocking = self._is_blocking()
        self._generation += 1
        ledger = self._loop.ledger
        ledger.settle(self, self._counts())
        self._renew(self._loop)
        ledger.left()
        self._begun = monotonic()
        self._rare = rare = Rare()
        rare.redial = redial
        self._step("connect")
        if blocking:
            self._step("call")
            if not told:
                self._step("owe_loss")
        self._keep(pipes, out)
        if self._decoder is not None:
            self._decoder.reset()
        return data

    def _dismantle_rare(self, rare: Rare) -> None:
        Connection._dismantle_rare(self, rare)
        redial, rare.redial = rare.redial, None
        if redial is not None:
            redial.cancel()

    def _keep(self, pipes: list[Pipe] | None, out: Outbox | None) -> None:
        """What is there for more than one connection."""
        self._pipes = pipes
        follow(self)
        if out is not None:
            if out.corks:
                self._cork(out.corks)
            if out.full:
                # Nothing is queued any more, and who waits for that goes on.
                self._report_later("drain")

    def _prepare(
        self, generation: int, data: bytes, attempt: int, delay: float, error: BaseException | None
    ) -> None:
        """In a borrowed greenlet: ask about what was lost, tell of the next dial, and wait."""
        redial = self._redial_of(generation)
        if redial is not None and data and redial.tries.policy.lost is not None:
            self._call(self._resend, redial.tries.policy.lost, data)
            redial = self._redial_of(generation)
        if redial is not None:
            self._report_later("reconnecting", attempt, delay, error)
            redial.wait(self, delay)

    def _redial_of(self, generation: int) -> Redial | None:
        """How to dial again; ``None``: that is over, or of another connection."""
        rare = self._rare
        if self._life != CONNECTING or self._generation != generation or rare is None:
            return None
        redial: Redial | None = rare.redial
        return redial if rare.connector is None else None

    def _resend(self, lost: Callable[[bytes], Any], data: bytes) -> None:
        """Have what the program wants of it be sent ahead of what it has written meanwhile."""
        generation = self._generation
        again = lost(data)
        if again is None or self._redial_of(generation) is None:
            return
        message = encodings.frozen(encodings.to_bytes(again, "utf-8"))
        if len(message):
            if self._outbox is None:
                self._outbox = Outbox()
            self._outbox.unshift(message)
            self._written += len(message)
            self._update_hold()
            self._update_kept()

    def _dial_again(self) -> None:
        """In the hub: the delay is over."""
        redial = self._redial_of(self._generation)
        if redial is not None:
            redial.cancel()
            redial.begin()

    # -- who is told of it --------------------------------------------------------------------

    def _loss_error(self, redial: Redial) -> BaseException:
        """What a call raises that meets the loss; the end is one for who cannot be given it."""
        if redial.loss is not None:
            return redial.loss.with_traceback(None)
        text = "The peer has ended the connection, and the socket connects again"
        return self._own(coded(BrokenPipeError(errno.EPIPE, text), "EPIPE"))

    def _closed_error(self) -> BaseException:
        if self._owner == UNTOLD and self._rare is not None and self._rare.redial is not None:
            self._step("hear_loss")
            return self._loss_error(self._rare.redial)
        return super()._closed_error()

    def _hear_loss(self) -> bool:
        redial = None if self._rare is None else self._rare.redial
        self._step("hear_loss")
        if redial is not None and redial.loss is not None:
            raise self._loss_error(redial)
        return False
