"""The life of a socket: the moves that are legal, in one table; and whom its read watcher serves.

``connecting``, ``pending``, ``destroyed`` and ``ready_state`` are derived from the life.
"""

from __future__ import annotations

__all__ = [
    "CLOSED",
    "CONNECTING",
    "DISCARD",
    "FLOW",
    "IDLE",
    "MOVES",
    "OPEN",
    "UNREAD",
    "UNWATCHED",
]

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

# The read watcher is stopped; serves a blocked read, or looks for the peer's end while nobody
# reads; serves the listeners; or throws away what arrives after close().
UNWATCHED, UNREAD, FLOW, DISCARD = range(4)
