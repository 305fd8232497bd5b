"""The names of named pipes, which are the paths of Windows.

From Node's ``net``, *Identifying paths for IPC connections*.
"""

from __future__ import annotations

import errno
import os

from ...errors import system_error

__all__ = ["PATH_MAX_CHARS", "address_of", "no_options"]

#: The longest path of a named pipe, in characters.
PATH_MAX_CHARS = 256

_PREFIXES = ("\\\\.\\pipe\\", "\\\\?\\pipe\\")


def address_of(path: str, syscall: str) -> str:
    """The name of the pipe.

    :raises OSError: the path is no pipe's (``EACCES`` for ``listen``; ``ENOTSOCK`` for a file,
        or ``ENOENT``, for ``connect``), is too long (``EINVAL``), or is one of Linux' abstract
        names (``ENOTSUP``).
    """
    if path.startswith("\0"):
        raise _refusal(errno.ENOTSUP, syscall, path, "Windows has no abstract names")
    if not path.lower().startswith(_PREFIXES) or len(path) == len(_PREFIXES[0]):
        number = errno.EACCES
        if syscall == "connect":
            number = errno.ENOTSOCK if os.path.exists(path) else errno.ENOENT
        right = r"on Windows a path is a named pipe, \\.\pipe\name or \\?\pipe\name"
        raise _refusal(number, syscall, path, right)
    if len(path) > PATH_MAX_CHARS:
        limit = f"the path has {len(path)} characters, the system's limit is {PATH_MAX_CHARS}"
        raise _refusal(errno.EINVAL, syscall, path, limit)
    return path


def no_options(syscall: str, path: str) -> OSError:
    """The error for options of a socket: a pipe is none."""
    return _refusal(errno.ENOTSUP, syscall, path, "a named pipe has no options of a socket")


def _refusal(number: int, syscall: str, path: str, reason: str) -> OSError:
    exc = system_error(number, syscall, path)
    exc.strerror = f"{exc.strerror}: {reason}"
    exc.args = (exc.errno, exc.strerror)
    return exc
