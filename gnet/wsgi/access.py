"""The lines that logs have of requests."""

from __future__ import annotations

import time
from typing import Any

from .._values import arguments

__all__ = ["Nowhere", "access_line", "error_line", "writable"]

_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class Nowhere:
    """A log that nobody wants."""

    def write(self, text: str) -> None:
        """Forget it."""

    def flush(self) -> None:
        """There is nothing to flush."""

    def writelines(self, lines: Any) -> None:
        """Forget them."""


class _LoggerFile:
    """A logger as a file."""

    def __init__(self, logger: Any, level: int) -> None:
        self._logger = logger
        self._level = level

    def write(self, text: str) -> None:
        """Log it, without the end of its line."""
        if text := text.rstrip("\n"):
            self._logger.log(self._level, "%s", text)

    def flush(self) -> None:
        """A logger's handlers flush for themselves."""

    def writelines(self, lines: Any) -> None:
        """Log each of them."""
        for line in lines:
            self.write(line)


def writable(name: str, log: Any, level: int) -> Any:
    """What has ``write()``, for a log of any kind.

    :param level: of what goes to a logger.
    :raises TypeError: it is something else.
    """
    if callable(getattr(log, "write", None)):
        return log
    if callable(getattr(log, "log", None)):
        return _LoggerFile(log, level)
    raise arguments.wrong_kind(name, log, "an object with write(), or a logging.Logger")


def access_line(address: str, request: str, code: int, sent: int, seconds: float) -> str:
    """One request in the Common Log Format, with how long it took behind it.

    :param request: the first line; the parser lets nothing into it that could end a line here.
    """
    now = time.localtime()
    zone = time.strftime("%z", now)
    date = f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}"
    moment = f"{date}:{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} {zone}"
    quoted = request.replace("\\", "\\\\").replace('"', '\\"')
    return f'{address or "-"} - - [{moment}] "{quoted}" {code or "-"} {sent} {seconds:.6f}\n'


def error_line(address: str, what: str, begin: bytes = b"") -> str:
    """One line about a client or an application that has broken a rule.

    :param begin: what the client has sent; as it may be anything, it is escaped.
    """
    shown = f": {begin[:200]!r}" if begin else ""
    return f"gnet.wsgi: {address or '-'}: {what}{shown}\n"
