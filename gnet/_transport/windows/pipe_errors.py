"""The errors of Windows' calls for pipes, and the numbers that Node has for them. Windows only."""

from __future__ import annotations

import errno
import os
import sys

assert sys.platform == "win32"

import _winapi  # noqa: E402

__all__ = ["ACCESS_DENIED", "BROKEN", "FILE_NOT_FOUND", "INVALID_PARAMETER", "translated"]

# Where _winapi has no name for them.
FILE_NOT_FOUND = 2
ACCESS_DENIED = 5
INVALID_PARAMETER = 87
_PIPE_NOT_CONNECTED = 233

# The peer has closed: what it has sent may still be read, unless it was already.
BROKEN = (_winapi.ERROR_BROKEN_PIPE, _winapi.ERROR_NO_DATA, _PIPE_NOT_CONNECTED)

# The errno whose name is Node's code for a number of Windows'; others stay the interpreter's.
_ERRNO = {
    ACCESS_DENIED: errno.EPERM,
    14: errno.ENOMEM,  # OUTOFMEMORY
    64: errno.ECONNRESET,  # NETNAME_DELETED
    123: errno.ENOENT,  # INVALID_NAME
    230: errno.EPIPE,  # BAD_PIPE
    _winapi.ERROR_PIPE_BUSY: errno.EBUSY,
    _PIPE_NOT_CONNECTED: errno.EPIPE,
    _winapi.ERROR_OPERATION_ABORTED: errno.ECANCELED,
    _winapi.ERROR_NO_SYSTEM_RESOURCES: errno.ENOMEM,
}


def translated(exc: OSError) -> OSError:
    """The error with the errno whose name is Node's code."""
    number = _ERRNO.get(exc.winerror or 0, exc.errno or errno.EIO)
    return OSError(number, os.strerror(number))
