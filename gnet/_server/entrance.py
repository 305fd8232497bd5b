"""The entrance of a server: what a connection goes through before it is one of the server's.

It is a list of stages. Each lets a connection pass, gives a reason to drop it, or takes its time
about it, with a deadline. A new one is a class of :class:`Stage`, and a line in the server's list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._core.dispatcher import Dispatcher
from .._loop.timers import Deadline
from .._transport.protocol import Transport
from .connections import Connections
from .dropped import DropInfo, drop_info

__all__ = ["Entrance", "Entrant", "Stage", "Step"]


class Step:
    """What a stage does about one connection that it takes its time for.

    It ends with :meth:`Entrant.go_on` or :meth:`Entrant.drop`, whoever calls it.

    :ivar entrant: the connection.
    :ivar reason: why it is dropped when its deadline is over, or the server stops.
    """

    __slots__ = ("entrant", "reason")

    def __init__(self, entrant: Entrant, reason: str) -> None:
        self.entrant = entrant
        self.reason = reason

    def stop(self) -> None:
        """Close watchers and timers: the step is over, however."""
        raise NotImplementedError

    def too_late(self) -> None:
        """In the hub: the deadline is over."""
        self.entrant.drop(self.reason)


class Stage:
    """What is asked about every connection.

    :ivar reason: why it drops one.
    """

    __slots__ = ()

    reason = ""

    @property
    def is_open(self) -> bool:
        """Whether it lets everybody pass at present, and need not be asked."""
        return False

    def enter(self, entrant: Entrant) -> str | Step | None:
        """In the hub: a connection has come so far.

        :returns: ``None`` lets it pass, a :class:`str` is the reason to drop it, and a
            :class:`Step` has begun to find out.
        """
        raise NotImplementedError

    def release(self, remote: Any) -> None:
        """A connection of ``remote`` that it had let pass has gone, in the entrance or later."""

    def forget(self) -> None:
        """The connections are not the server's any more."""

    def stop(self) -> None:
        """The server stops: close timers that are the stage's own."""


class Entrant:
    """A connection in the entrance.

    :ivar wire: the connection; a stage may put another one over it in its place.
    :ivar remote: the address of the peer; of the client, where a proxy has told it.
    :ivar local: the local address, where a proxy has told another one than the wire's.
    :ivar proxy: the address of the proxy, where that is not the peer's.
    """

    __slots__ = (
        "__weakref__", "_deadline", "_passed", "_stages", "_step", "entrance", "local", "proxy",
        "remote", "wire",
    )  # fmt: skip

    def __init__(self, entrance: Entrance, wire: Transport, remote: Any) -> None:
        self.entrance = entrance
        self.wire = wire
        self.remote = remote
        self.local: Any = None
        self.proxy: Any = None
        # What is the entrance's list may change meanwhile.
        self._stages = entrance.stages
        self._passed = 0
        self._step: Step | None = None
        self._deadline: Deadline | None = None

    def go_on(self) -> None:
        """Pass the stage that it is in, if it is in one, and ask the next ones."""
        if self._step is not None:
            self._leave()
            self._passed += 1
        stages = self._stages
        try:
            while self._passed < len(stages):
                outcome = stages[self._passed].enter(self)
                if outcome is not None:
                    break
                self._passed += 1
            else:
                self.entrance.admit(self)
                return
        except BaseException:
            self._abandon()
            raise
        if isinstance(outcome, str):
            self._drop(outcome)
        else:
            self._step = outcome
            self.entrance.waiting.add(self)

    def limit(self, seconds: float) -> None:
        """Set the deadline of the step that it is in, anew perhaps."""
        if self._deadline is not None:
            self._deadline.cancel()
        timers = self.entrance.loop.timers
        self._deadline = Deadline(timers, max(0.0, seconds), self, "_too_late")

    def _too_late(self) -> None:
        self._deadline = None
        if self._step is not None:
            self._step.too_late()

    def drop(self, reason: str) -> None:
        """Close the connection, unless it has left the stage already."""
        if self._step is not None:
            self._leave()
            self._drop(reason)

    def give_up(self) -> None:
        """The server stops: close the connection."""
        if self._step is not None:
            self.drop(self._step.reason)

    def _leave(self) -> None:
        """Leave the step that it is in."""
        step, self._step = self._step, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.entrance.waiting.discard(self)
        if step is not None:
            step.stop()

    def _drop(self, reason: str) -> None:
        info = drop_info(self.wire, self.remote, reason)
        # Closed before its listeners hear of it: they may be slow, and the peer waits.
        self._abandon()
        self.entrance.dropped(info)

    def _abandon(self) -> None:
        self.wire.close()
        for stage in self._stages[: self._passed]:
            stage.release(self.remote)


class Entrance:
    """The stages of a server, and the connections in them.

    :param loop: the dispatcher.
    :param admit: called with an :class:`Entrant` that every stage has let pass; when it raises,
        the connection is closed.
    :param dropped: called with the :class:`DropInfo` of one that was closed.
    :ivar connections: the open connections of the server.
    :ivar waiting: the connections that a stage takes its time for.
    :ivar stages: those that are asked at present.
    """

    __slots__ = ("_all", "admit", "connections", "dropped", "loop", "stages", "waiting")

    def __init__(
        self,
        loop: Dispatcher,
        admit: Callable[[Entrant], object],
        dropped: Callable[[DropInfo], object],
    ) -> None:
        self.loop = loop
        self.admit = admit
        self.dropped = dropped
        self.connections = Connections()
        self.waiting: set[Entrant] = set()
        self._all: tuple[Stage, ...] = ()
        self.stages: tuple[Stage, ...] = ()

    def enter(self, wire: Transport, remote: Any) -> None:
        """In the hub: a connection was accepted, which has the stages ahead."""
        Entrant(self, wire, remote).go_on()

    def arrange(self, stages: Iterable[Stage]) -> None:
        """Have these stages, in this order."""
        self._all = tuple(stages)
        self.update()

    def update(self) -> None:
        """One of the stages has come to let everybody pass, or not to."""
        self.stages = tuple(each for each in self._all if not each.is_open)

    @property
    def present(self) -> int:
        """How many connections there are, those that are on their way in included."""
        return len(self.connections) + len(self.waiting)

    def release(self, remote: Any) -> None:
        """A connection of the server has closed."""
        for stage in self.stages:
            stage.release(remote)

    def forget(self) -> None:
        """The connections are not the server's any more."""
        self.connections.clear()
        for stage in self._all:
            stage.forget()

    def close(self) -> None:
        """Close what has not come in yet."""
        for entrant in list(self.waiting):
            entrant.give_up()
        for stage in self._all:
            stage.stop()
