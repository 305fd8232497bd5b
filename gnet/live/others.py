"""The other processes of the program, a cluster's workers: its primary asks them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .._processes.neighbours import Neighbour, neighbours
from .uncounted import Uncounted

__all__ = ["Neighbour", "ask", "ask_all", "of_process"]

#: How long a process may take for the next line of an answer, in seconds.
PATIENCE_SECONDS = 5.0


def of_process(pid: int) -> Neighbour | None:
    """The other process of that number."""
    found = (each for each in neighbours() if each.pid == pid)
    return next(found, None)


def ask_all(request: dict[str, Any]) -> Iterator[bytes]:
    """The lines of all other processes, but for their last; one that does not answer has none."""
    for neighbour in neighbours():
        try:
            yield from ask(neighbour, request)
        except OSError:
            # It has ended meanwhile, or stands still. What it has answered is true all the same.
            continue


def ask(
    neighbour: Neighbour, request: dict[str, Any], patience: float | None = PATIENCE_SECONDS
) -> Iterator[bytes]:
    """The lines of another process as they are, but for the last where that says nothing.

    :raises OSError: it does not answer.
    """
    sock = Uncounted().take(neighbour.line()).unref()
    # What fails is raised by the call that meets it.
    sock.on("error", lambda error: None)
    try:
        sock.set_timeout(patience)
        sock.sendall(json.dumps(request).encode() + b"\n")
        for line in sock.makefile("rb"):
            if _is_end(line):
                return
            yield line
    finally:
        sock.destroy()


def _is_end(line: bytes) -> bool:
    # The lines of a long list are passed on as they are: none is read that need not be.
    return len(line) < 100 and b'"end"' in line
