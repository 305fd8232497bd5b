"""Connecting to one of several targets: a race of hosts, in which each has a race of its own.

The plan is that of RFC 8305 once more, across names: when a host takes longer than the delay, the
next one starts beside it; when it fails, at once. The first that is reached has won, and with it
its TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from ..errors import AggregateError
from .dial import Connector, Made
from .goals import TcpTarget
from .planning import Plan

if TYPE_CHECKING:
    from .secure import ClientTLS
    from .services import Service

__all__ = ["Contest"]


class _Runner:
    """One target being connected to, in a greenlet of its own."""

    __slots__ = ("_settled", "connector", "error", "made", "settled", "tls")

    def __init__(self, connector: Connector, tls: ClientTLS | None, settled: Event) -> None:
        self.connector = connector
        self.tls = tls
        self.made: Made | None = None
        self.error: BaseException | None = None
        self.settled = False
        self._settled = settled
        gevent.spawn(self._run)

    def _run(self) -> None:
        connector = self.connector
        if connector.aborted:
            return
        try:
            made = connector.connect()
        except BaseException as exc:
            self.error = exc
        else:
            if connector.aborted:
                made[0].close()
                return
            self.made = made
        self.settled = True
        self._settled.set()

    def close(self) -> None:
        """Give up, whatever has become of it."""
        self.connector.abort()
        made, self.made = self.made, None
        if made is not None:
            made[0].close()


class Contest(Connector):
    """Makes one connection, to whichever of several targets is reached first.

    :param plan: the targets.
    :param socket: as for :class:`Connector`.
    """

    __slots__ = ("_plan", "_runners")

    def __init__(self, plan: Plan, socket: Any) -> None:
        super().__init__(TcpTarget("", 0, attempt_timeout=plan.delay), socket)
        self._plan = plan
        self._settled = Event()
        self._runners: list[_Runner] = []

    def at_once(self) -> Made | None:
        return None

    def _addresses(self, target: TcpTarget) -> Sequence[Any]:
        """The targets, and how to shake hands with each."""
        service = self._plan.service
        if service is None:
            return list(zip(self._plan.goals, self._plan.tls, strict=True))
        tls = self._plan.tls[0]
        hosts = self._hosts(service)
        return [(each, None if tls is None else service.tls_of(each, tls)) for each in hosts]

    def _start(self, place: Any, at_once: bool = False) -> Any:
        goal, tls = place
        assert self._settled is not None
        connector = Connector(goal, self._socket)
        # One list for all of them.
        connector.attempted = self.attempted
        runner = _Runner(connector, tls, self._settled)
        self._runners.append(runner)
        return runner

    def _won(self, attempt: Any) -> Made:
        self.host, self.tls = attempt.connector.host, attempt.tls
        self.family = attempt.connector.family
        self._loop.ledger.lost += sum(not each.settled for each in self._runners)
        made: Made = attempt.made
        attempt.made = None
        self._close_runners()
        return made

    def _hosts(self, service: Service) -> list[TcpTarget]:
        try:
            return service.hosts()
        except Exception as exc:
            self._report("lookup", exc, None, None, service.name)
            raise

    def _failure(self, started: list[Any]) -> BaseException:
        if len(started) == 1:
            error: BaseException = started[0].error
            return error
        errors: list[BaseException] = []
        for each in started:
            several = each.error.errors if isinstance(each.error, AggregateError) else [each.error]
            errors += several
        return AggregateError(errors)

    def _lost(self, attempt: Any) -> None:
        if not isinstance(attempt.error, Exception):
            # What a signal's handler has raised, for one: nobody's failure.
            raise attempt.error
        self.family = attempt.connector.family

    def _slow(self, attempt: Any) -> None:
        """Its own race has told of its attempts."""

    def _close_runners(self) -> None:
        runners, self._runners = self._runners, []
        for each in runners:
            each.close()

    def _close_attempts(self) -> None:
        self._close_runners()
        super()._close_attempts()
