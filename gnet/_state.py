"""The life of a socket: the moves that are legal, in one table.

``connecting``, ``pending``, ``destroyed`` and ``ready_state`` are derived from it.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["CLOSED", "CONNECTING", "IDLE", "MOVES", "OPEN", "Life"]


class Life(Enum):
    """Where a socket is in its life."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


# By these names, as looking up a member of an Enum costs as much as a small call.
IDLE, CONNECTING, OPEN, CLOSED = Life

MOVES: dict[tuple[Life, str], Life] = {
    (IDLE, "connect"): CONNECTING,
    (IDLE, "adopt"): OPEN,
    (IDLE, "destroy"): CLOSED,
    (CONNECTING, "connected"): OPEN,
    (CONNECTING, "destroy"): CLOSED,
    (OPEN, "destroy"): CLOSED,
    # A closed socket may dial again, as in Node.
    (CLOSED, "connect"): CONNECTING,
}
