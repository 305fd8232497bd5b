"""The life of a socket: the moves that are legal, in one table.

``connecting``, ``pending``, ``destroyed`` and ``ready_state`` are derived from it.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["MOVES", "Life"]


class Life(Enum):
    """Where a socket is in its life."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


MOVES: dict[tuple[Life, str], Life] = {
    (Life.IDLE, "connect"): Life.CONNECTING,
    (Life.IDLE, "adopt"): Life.OPEN,
    (Life.IDLE, "destroy"): Life.CLOSED,
    (Life.CONNECTING, "connected"): Life.OPEN,
    (Life.CONNECTING, "destroy"): Life.CLOSED,
    (Life.OPEN, "destroy"): Life.CLOSED,
    # A closed socket may dial again, as in Node.
    (Life.CLOSED, "connect"): Life.CONNECTING,
}
