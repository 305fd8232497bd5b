"""Paths: Unix-domain sockets, the rules for their names and the life of their files.

Windows' paths are those of named pipes: see :mod:`gnet._namedpipe`.

From Node's ``net``, *Identifying paths for IPC connections*.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ._wire import Wire
from .errors import annotate

if os.name == "posix":
    import fcntl

__all__ = ["PATH_MAX_BYTES", "SocketFile", "address_of", "claim", "is_abstract", "is_path"]

#: The longest path in bytes: ``sizeof(sun_path)``, less the closing NUL.
PATH_MAX_BYTES = 107 if sys.platform.startswith("linux") else 103


def is_path(target: Any) -> bool:
    """Whether ``target`` can be nothing but a path."""
    if isinstance(target, str):
        return "/" in target or target.startswith(("\0", "\\\\"))
    return isinstance(target, os.PathLike)


def is_abstract(path: str) -> bool:
    """Whether the name is one of Linux' abstract ones, which no file stands for."""
    return path.startswith("\0")


def address_of(path: str, syscall: str = "connect") -> bytes:
    """The address for ``bind`` and ``connect``.

    :raises OSError: ``EINVAL``, the path is longer than the system's ``sun_path``.
    """
    address = os.fsencode(path)
    # An abstract name has no closing NUL, but its leading one takes its place.
    limit = PATH_MAX_BYTES + 1 if is_abstract(path) else PATH_MAX_BYTES
    if len(address) > limit:
        exc = annotate(OSError(errno.EINVAL, ""), syscall, path)
        exc.strerror = (
            f"{exc.strerror}: the path has {len(address)} bytes, the system's limit is {limit}"
        )
        exc.args = (exc.errno, exc.strerror)
        raise exc
    return address


class SocketFile(NamedTuple):
    """The file of a bound Unix socket: which one it was when it was made.

    :ivar path: its path; absolute, since the working folder may change.
    :ivar pid: the process that made it: a forked child must not remove it.
    """

    path: str
    device: int
    inode: int
    pid: int

    @classmethod
    def made(cls, path: str) -> SocketFile | None:
        """The file that ``bind`` has just made; ``None`` for an abstract name."""
        if is_abstract(path):
            return None
        status = os.lstat(path)
        return cls(os.path.abspath(path), status.st_dev, status.st_ino, os.getpid())

    def allow(self, readable: bool, writable: bool) -> None:
        """Let all users read it, or write it, beside whoever may already."""
        added = (stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH if readable else 0) | (
            stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH if writable else 0
        )
        if not added:
            return
        if sys.platform == "win32" or not hasattr(os, "O_PATH"):
            os.chmod(self.path, stat.S_IMODE(os.lstat(self.path).st_mode) | added)
            return
        # Through a descriptor of the very file: a link put in its place would be followed.
        fd = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != (self.device, self.inode):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(status.st_mode) | added)
        finally:
            _socket.close(fd)

    def remove(self) -> None:
        """Remove the file if it is still the one that was made.

        To be called before the descriptor is closed: the open socket pins its inode, so that
        no other file can have its number.
        """
        if self.pid != os.getpid():
            return
        try:
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == (self.device, self.inode):
                os.unlink(self.path)
        except OSError:
            # Already gone, or not ours to remove: either way nothing of ours is left there.
            pass


@contextmanager
def claim(path: str, replace_stale: bool) -> Iterator[None]:
    """Bind to ``path`` inside, and listen; a stale file there is removed first if that is wanted.

    A file that a dead process has left answers nobody, nor does one that is bound and not listened
    on yet. So all of it is done under a lock file beside it: two programs that start at once must
    not take each other's file for a dead one's.
    """
    if sys.platform == "win32" or not replace_stale or is_abstract(path):
        yield
        return
    name = path + ".lock"
    try:
        lock = _locked(name)
    except OSError as exc:
        # Another program is taking it over; or bind() would fail as well, and not name the lock.
        number = errno.EADDRINUSE if isinstance(exc, BlockingIOError) else exc.errno or 0
        raise OSError(number, os.strerror(number)) from None
    try:
        if _is_socket(path) and not _answers(path):
            os.unlink(path)
        yield
    finally:
        try:
            os.unlink(name)
        finally:
            _socket.close(lock)


def _locked(name: str) -> int:
    """The descriptor of a file with that name, which this program alone has locked.

    :raises BlockingIOError: another program has.
    """
    if sys.platform == "win32":
        raise AssertionError("nothing is claimed there")
    while True:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before has removed it, and then a new one is everybody's to lock.
            if _has_name(lock, name):
                return lock
        except BaseException:
            _socket.close(lock)
            raise
        _socket.close(lock)


def _has_name(fd: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(name))
    except FileNotFoundError:
        return False


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _answers(path: str) -> bool:
    """Whether a process listens at ``path``: one whose queue is full does."""
    if sys.platform == "win32":
        return False
    probe = Wire.open(_socket.AF_UNIX)
    try:
        probe.connect(address_of(path))
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    finally:
        probe.close()
    return True
