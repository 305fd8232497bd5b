"""The errors of lookup hooks have what a lookup's has."""

from __future__ import annotations

import _socket

from ..errors import code_of, coded, lookup_error

__all__ = ["annotate_lookup"]


def annotate_lookup(exc: Exception, hostname: str) -> None:
    """Give the system error of a hook what it lacks of a lookup's."""
    if not isinstance(exc, OSError) or hasattr(exc, "code"):
        return
    if isinstance(exc, _socket.gaierror):
        lookup_error(exc, hostname)
    else:
        # What it says is not the resolver's text but the hook's own.
        coded(exc, code_of(exc), syscall="getaddrinfo", hostname=hostname)
