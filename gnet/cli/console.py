"""Standard error: lines, and on a terminal one below them that is written over."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["Console"]

# To the first column, and clear to the end of the line.
CLEAR = "\r\x1b[K"


class Console:
    """Where the command talks to its user.

    :param stream: a text stream, ``None`` for none; default: standard error as it is now.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._status = ""

    @property
    def is_terminal(self) -> bool:
        """Whether there is somebody who watches."""
        return self._stream is not None and self._stream.isatty()

    @property
    def is_watched(self) -> bool:
        """Whether the terminal is this command's: in the background it is the shell's."""
        return self.is_terminal and self._in_foreground()

    def _in_foreground(self) -> bool:
        if sys.platform == "win32" or self._stream is None:
            return True
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            # The terminal is not the one that controls this process.
            return True

    def say(self, line: str) -> None:
        """Write a line, whatever is in it, as one; above the status, if there is one."""
        text = "".join(each if each.isprintable() else " " for each in line)
        if self._status and not self.is_watched:
            self._status = ""
        self._write(f"{CLEAR if self._status else ''}{text}\n{self._status}")

    def show(self, status: str) -> None:
        """Have the last line be ``status``; ``""`` for none. Only where somebody watches."""
        if status == self._status:
            return
        if not self.is_watched:
            # The line is the shell's prompt by now.
            self._status = ""
        else:
            self._status = status
            self._write(CLEAR + status)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody is there any more to be told.
            self._stream = None
