"""What a server counts, and what it tells of that."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._core.dispatcher import Dispatcher
from .._core.held import Held
from .._core.ledger import Ledger
from .._core.runners import Runners
from .._values import arguments
from .._values.addresses import AddressInfo, place_text
from .._values.durations import record_later
from ..errors import late_import
from .dropped import REASONS
from .entrance import Entrance

if TYPE_CHECKING:
    from .._values.stats import ServerStats
    from .tls_gate import TLSGate

__all__ = ["Counted"]


class Counted(Held):
    """A server that counts."""

    __slots__ = ("_entrance", "_ledger", "_place", "_runners", "_since", "_tls_gate")

    # What the server has.
    _entrance: Entrance
    _runners: Runners
    _tls_gate: TLSGate | None

    def __init__(self, loop: Dispatcher) -> None:
        super().__init__(loop)
        self._ledger = Ledger(loop.ledger)
        self._since: float | None = None
        # Where it listens, or did last.
        self._place: AddressInfo | str | None = None

    def address(self) -> AddressInfo | str | None:
        raise NotImplementedError

    @property
    def listening(self) -> bool:
        raise NotImplementedError

    def __repr__(self) -> str:
        place = self._place_text()
        # One whose arguments were refused has none.
        state = " closed" if getattr(self, "_bound", None) is None else ""
        return f"<gnet.Server{place and f' {place}'}{state}>"

    def _place_text(self) -> str:
        """Where it listens, or did last, in a form for one line; ``""`` where it never has."""
        place = getattr(self, "_place", None)
        if isinstance(place, AddressInfo):
            return place_text(place.address, place.port)
        return "" if place is None else repr(place)

    def _count_connections(self) -> int:
        raise NotImplementedError

    def _run_callback(self, callback: Callable[..., object], *args: Any) -> None:
        raise NotImplementedError

    def _begin_counting(self) -> None:
        """The server listens."""
        self._since = time.time()
        self._place = self.address()
        if self._is_counted():
            # Perhaps in another thread than before, or in a forked child.
            self._ledger.parent = self._loop.ledger
            self._loop.ledger.servers += 1

    def get_connections(self, callback: Callable[..., object] | None = None) -> Any:
        """How many connections are open. From Node's ``server.getConnections()``.

        In a cluster's worker this counts the connections of all workers whose servers share the
        handle.

        :param callback: called with ``None`` and the number; in a worker perhaps with an error.
        :returns: without a callback the number, otherwise the server.
        :raises OSError: in a worker: another one does not answer, or the primary has gone.
        """
        self._check_thread()
        if callback is None:
            return self._count_connections()
        arguments.function("callback", callback)
        self._loop.defer(partial(self._count_for, callback))
        return self

    def _count_for(self, callback: Callable[..., object]) -> None:
        try:
            count = self._count_connections()
        except OSError as exc:
            self._run_callback(callback, exc, None)
        else:
            self._run_callback(callback, None, count)

    def _settle_all(self) -> None:
        """All connections are taken away at once."""
        sockets = self._entrance.connections.snapshot()
        self._ledger.settle_all(self, [each._counts() for each in sockets])
        self._entrance.forget()
        self._ledger.left()

    def _end_counting(self) -> None:
        """The server has closed."""
        if self._is_counted():
            self._loop.ledger.closed_servers += 1

    def _tell_duration(self, sock: Any) -> None:
        """Have those who record durations be told of a connection that has closed."""
        _, _, seconds, _ = sock._counts()
        if seconds is not None:
            record_later(self._loop.defer, "connection", seconds, server=self)

    def _is_counted(self) -> bool:
        """Whether the process counts the server and its connections, and shows them."""
        return self._ledger.parent is not None

    def _uncounted(self) -> None:
        """Have them be in no count but the server's own: it serves what shows the others."""
        self._ledger.parent = None

    def stats(self) -> ServerStats:
        """What is known of the server; may be called from any thread.

        :returns: a frozen dataclass. Its numbers are those of one moment; what counts never falls,
            whatever closes.
        """
        with late_import():
            from .._core.tally import consistent, tally
            from .._values.stats import AGES, ServerStats

        ledger = self._ledger
        settled, sockets = consistent(ledger, self, self._entrance.connections.snapshot)
        living = tally(sockets, settled.leaving, monotonic(), tuple(AGES.values()))
        gate = self._tls_gate
        return ServerStats(
            address=self._place,
            listening_since=self._since if self.listening else None,
            active=len(sockets),
            entering=len(self._entrance.waiting),
            accepted=ledger.accepted,
            refused={**dict.fromkeys(REASONS, 0), **ledger.refused},
            closed=settled.closed,
            bytes_in=settled.bytes_in + living.bytes_in,
            bytes_out=settled.bytes_out + living.bytes_out,
            queued=living.queued,
            longest_queue=max(ledger.longest_queue, living.longest),
            pauses=ledger.pauses,
            handshakes=ledger.handshakes,
            handshakes_active=0 if gate is None else gate.active,
            handshakes_failed=ledger.failed_handshakes,
            ages=dict(zip(AGES, living.ages)),
        )

    def _runner_of(self, sock: Any) -> Any:
        """The greenlet that runs the ``'connection'`` listeners of a connection, if one does."""
        return self._runners.runner_of(sock)
