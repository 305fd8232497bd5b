"""Events of a whole process, for logging and metrics, published through ``zope.event``.

A subscriber is a function in ``zope.event.subscribers``; it gets every event. They cost nothing
while there is none. A subscriber that raises harms no connection: the hub reports what it
raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "ConnectionAccepted",
    "ConnectionClosed",
    "ConnectionDropped",
    "ConnectionFailed",
    "ConnectionOpened",
    "LookupFinished",
    "ServerClosed",
    "ServerListening",
]
