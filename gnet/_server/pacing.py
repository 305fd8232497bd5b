"""The rate of a server's connections."""

from __future__ import annotations

from .._loop.paced_wire import PacedWire
from .entrance import Entrant, Stage

__all__ = ["Pacing"]


class Pacing(Stage):
    """Every connection has a rate, in which its handshake is included.

    :param rate: bytes a second, each way; ``None`` for no limit.
    """

    __slots__ = ("_rate",)

    def __init__(self, rate: float | None) -> None:
        self._rate = rate

    @property
    def is_open(self) -> bool:
        return self._rate is None

    def enter(self, entrant: Entrant) -> None:
        if self._rate is not None:
            entrant.wire = PacedWire(entrant.wire, self._rate)
