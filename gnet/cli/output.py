"""Lines on standard output, for people and for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

__all__ = ["print_lines"]


def print_lines(lines: Iterable[str]) -> int:
    """Print the lines, each when there is it.

    :returns: how many there were. Nobody reading them any more is no error, and ends it.
    """
    number = 0
    try:
        for line in lines:
            number += 1
            if sys.stdout is not None:
                print(line, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    return number
