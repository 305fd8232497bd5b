"""The life of a socket: the moves that are legal, in one table.

``connecting``, ``pending``, ``destroyed`` and ``ready_state`` are derived from it.
"""

from __future__ import annotations

__all__ = ["CLOSED", "CONNECTING", "IDLE", "MOVES", "OPEN"]

# Strings, not an Enum: its members hash in Python, which showed in every accept and close.
IDLE = "idle"
CONNECTING = "connecting"
OPEN = "open"
CLOSED = "closed"

MOVES: dict[tuple[str, str], str] = {
    (IDLE, "connect"): CONNECTING,
    (IDLE, "adopt"): OPEN,
    (IDLE, "destroy"): CLOSED,
    (CONNECTING, "connected"): OPEN,
    (CONNECTING, "destroy"): CLOSED,
    (OPEN, "destroy"): CLOSED,
    # A closed socket may dial again, as in Node.
    (CLOSED, "connect"): CONNECTING,
}
