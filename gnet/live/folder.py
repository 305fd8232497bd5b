"""Where the control sockets are, and whose: a folder for each user that nobody else may enter."""

from __future__ import annotations

import _socket
import errno
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from time import time
from typing import NamedTuple

from ..errors import annotate

__all__ = [
    "Program",
    "announce",
    "answers",
    "default_path",
    "path_of",
    "programs",
    "sweep",
    "withdraw",
]

_PIPES = "\\\\.\\pipe\\"
_SUFFIX = ".sock"
# What is older than so many seconds, and does not answer, is nobody's any more.
_SETTLED_SECONDS = 60


class Program(NamedTuple):
    """A program that has a control socket.

    :ivar pid: its process.
    :ivar path: the socket.
    """

    pid: int
    path: str


def default_path(pid: int | None = None) -> str:
    """The path for a process, this one by default; the folder is made if there is none.

    :raises OSError: ``EACCES``, the folder is another user's.
    """
    number = os.getpid() if pid is None else pid
    if sys.platform == "win32":
        return f"{_PIPES}{_pipe_prefix()}{number}"
    folder = _folders(os.geteuid())[0]
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    if not _is_private(folder, os.geteuid()):
        raise annotate(OSError(errno.EACCES, os.strerror(errno.EACCES)), "open", folder)
    return _path_in(folder, number)


def _path_in(folder: str, pid: int) -> str:
    return os.path.join(folder, f"{pid}{_SUFFIX}")


def _folders(user: int) -> list[str]:
    """Where a user's programs have them: the first is this process' own."""
    # A service has not the environment of the shell that asks for it.
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    bases = [runtime if os.path.isdir(runtime) else "", tempfile.gettempdir(), f"/run/user/{user}"]
    absolute = dict.fromkeys(each for each in bases if os.path.isabs(each))
    return [os.path.join(each, f"gnet-{user}") for each in absolute]


def _is_private(folder: str, user: int) -> bool:
    """Whether a folder is a user's own, and nobody else may enter it."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user:
        return False
    return not status.st_mode & 0o077


def _pipe_prefix() -> str:
    user = re.sub(r"[^\w.-]", "_", os.environ.get("USERNAME", ""))
    return f"gnet-{user}-"


def programs() -> list[Program]:
    """This user's programs that have a control socket, in the order of their numbers.

    One that has died may be among them, if it could not remove its own.
    """
    return sorted(set(_found()))


def _found() -> Iterator[Program]:
    if sys.platform == "win32":
        prefix, suffix, folders = _pipe_prefix(), "", [_PIPES]
    else:
        user = os.geteuid()
        prefix, suffix = "", _SUFFIX
        folders = [each for each in _folders(user) if _is_private(each, user)]
    pattern = re.compile(f"{re.escape(prefix)}([0-9]{{1,10}}){re.escape(suffix)}")
    for folder in folders:
        for name in os.listdir(folder):
            found = pattern.fullmatch(name)
            if found:
                yield Program(int(found[1]), os.path.join(folder, name))


def path_of(pid: int) -> str | None:
    """The control socket of a process, or ``None``; root finds those of every user."""
    if sys.platform == "win32":
        path = f"{_PIPES}{_pipe_prefix()}{pid}"
        return path if Program(pid, path) in programs() else None
    users = [os.geteuid()]
    if not users[0]:
        with suppress(OSError):
            users.append(os.stat(f"/proc/{pid}").st_uid)
    for user in users:
        for folder in _folders(user):
            path = _path_in(folder, pid)
            if _is_private(folder, user) and os.path.exists(path):
                return path
    return None


def announce(path: str) -> str | None:
    """Have a control socket elsewhere be found by the number of this process, too.

    :returns: the link that was made, for :func:`withdraw`; ``None`` where there is none.
    """
    if sys.platform == "win32":
        return None
    try:
        link = default_path()
        if os.path.abspath(path) == os.path.abspath(link):
            return None
        # Who had the path before, or the number, has left one.
        for _, other in programs():
            if os.path.realpath(other) == os.path.realpath(path) or other == link:
                withdraw(other)
        os.symlink(os.path.abspath(path), link)
    except OSError:
        return None
    return link


def withdraw(link: str) -> None:
    """Remove a link of :func:`announce`."""
    with suppress(OSError):
        if os.path.islink(link):
            os.unlink(link)


def sweep() -> None:
    """Remove what this user's programs have left that were killed."""
    if sys.platform == "win32":
        return
    for _, path in programs():
        with suppress(OSError):
            # One that was made just now may not listen yet.
            if time() - os.lstat(path).st_mtime > _SETTLED_SECONDS and not answers(path):
                os.unlink(path)


def answers(path: str) -> bool:
    """Whether a process listens there."""
    if sys.platform == "win32":
        # The name of a pipe goes with its process.
        return True
    probe = _socket.socket(_socket.AF_UNIX)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True
    finally:
        probe.close()
    return True
