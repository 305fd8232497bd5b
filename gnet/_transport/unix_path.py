"""Paths: Unix-domain sockets, the rules for their names and the life of their files.

Windows' paths are those of named pipes: see :mod:`gnet._transport.windows.pipe_names`.

From Node's ``net``, *Identifying paths for IPC connections*.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import annotate
from .protocol import Transport
from .stream_socket import Wire

if os.name == "posix":
    import fcntl

__all__ = [
    "PATH_MAX_BYTES",
    "NamedWire",
    "SocketFile",
    "address_of",
    "claim",
    "close_bound",
    "is_abstract",
    "is_path",
    "is_peer_trusted",
    "peer_credentials",
]

#: The longest path in bytes: ``sizeof(sun_path)``, less the closing NUL.
PATH_MAX_BYTES = 107 if sys.platform.startswith("linux") else 103

# What a lock file of gnet's contains.
_LOCK_MARK = b"gnet\n"
# A folder that is opened to remove a file in it: with O_PATH it need not be readable.
_FOLDER = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


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

    def is_at(self, folder: int | None = None) -> bool:
        """Whether its path still leads to it, and it is a socket.

        :param folder: a descriptor of the folder to look in, instead of the path's.
        """
        name = self.path if folder is None else os.path.basename(self.path)
        try:
            status = os.lstat(name, dir_fd=folder)
        except OSError:
            return False
        found = status.st_dev, status.st_ino
        return stat.S_ISSOCK(status.st_mode) and found == (self.device, self.inode)

    def remove(self) -> bool:
        """Remove the file if it is still the one that was made.

        To be called before the descriptor is closed: the open socket pins its inode, so that
        no other file can have its number.

        :returns: whether nothing of ours is left there; ``False`` without a descriptor to look.
        """
        if self.pid == os.getpid():
            try:
                _remove(self)
            except OSError as exc:
                # Already gone, or not ours to remove, or we cannot know.
                return exc.errno not in (errno.EMFILE, errno.ENFILE)
        return True

    def is_ours(self) -> bool:
        """Whether a file that another process names is one for this process to remove.

        It is the socket that it is said to be, in a folder of this user's, or root's.
        """
        if not (os.path.isabs(self.path) and self.is_at()):
            return False
        try:
            return _is_trusted(os.stat(os.path.dirname(self.path)).st_uid)
        except OSError:
            return False


def close_bound(wire: Wire, file: SocketFile | None) -> None:
    """Close a bound socket, and remove its file."""
    removed = file is None or file.remove()
    wire.close()
    if file is not None and not removed:
        # There is a descriptor for it now.
        file.remove()


class NamedWire(Wire):
    """A Unix socket that is connected from a path of its own, whose file goes with it."""

    __slots__ = ("_file",)

    _file: SocketFile | None

    @staticmethod
    def of_bound(wire: Wire, file: SocketFile) -> NamedWire:
        """Have the descriptor of a bound one."""
        family, kind, proto = wire.family, wire.type, wire.proto
        named = NamedWire(family, kind, proto, wire.detach())
        named._file = file
        named.prepare()
        return named

    def close(self) -> None:
        file, self._file = self._file, None
        removed = file is None or file.remove()
        super().close()
        if file is not None and not removed:
            file.remove()


def _remove(file: SocketFile) -> None:
    # In the very folder that it was found in: of its path a folder may be swapped for a link
    # between the two calls, and lead to a file of the same name elsewhere.
    folder = os.open(os.path.dirname(file.path), _FOLDER)
    try:
        if file.is_at(folder):
            os.unlink(os.path.basename(file.path), dir_fd=folder)
    finally:
        _socket.close(folder)


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
        lock, ours = _locked(name)
    except OSError as exc:
        # Another program is taking it over; or bind() would fail as well, and not name the lock.
        number = errno.EADDRINUSE if isinstance(exc, BlockingIOError) else exc.errno or 0
        raise OSError(number, os.strerror(number)) from None
    try:
        stale = SocketFile.made(path) if _is_socket(path) else None
        if stale is not None and not _answers(path):
            # Unless another one has taken its place meanwhile, which bind() then finds.
            _remove(stale)
        yield
    finally:
        try:
            if ours:
                os.unlink(name)
        finally:
            _socket.close(lock)


def _locked(name: str) -> tuple[int, bool]:
    """The descriptor of a file with that name, which this program alone has locked.

    :returns: it, and whether the file is gnet's, to be removed. Another's of that name serves as
        well, and stays as it is.
    :raises BlockingIOError: another program has.
    """
    if sys.platform == "win32":
        raise AssertionError("nothing is claimed there")
    while True:
        lock = _lock_file(name)
        if lock is None:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before has removed it, and then a new one is everybody's to lock.
            if _has_name(lock, name):
                return lock, _is_marked(lock)
        except BaseException:
            _socket.close(lock)
            raise
        _socket.close(lock)


def _is_marked(lock: int) -> bool:
    """Whether a lock file is one of gnet's."""
    if sys.platform == "win32" or not stat.S_ISREG(os.fstat(lock).st_mode):
        return False
    return os.pread(lock, len(_LOCK_MARK) + 1, 0) == _LOCK_MARK


def _lock_file(name: str) -> int | None:
    """Open the file of that name, which is made if there is none; ``None`` if that has changed."""
    if sys.platform == "win32":
        raise AssertionError("nothing is claimed there")
    # A FIFO of that name would block.
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, 0o600)
    except FileExistsError:
        try:
            return os.open(name, os.O_RDONLY | flags)
        except FileNotFoundError:
            return None
    os.write(lock, _LOCK_MARK)
    return lock


def _has_name(fd: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(name))
    except FileNotFoundError:
        return False


def peer_credentials(wire: Transport) -> tuple[int, int, int] | None:
    """Process, user and group at the other end of a Unix socket, as it was when it connected.

    Of one that this end has connected to, it is who called ``listen()``. ``None`` where the
    system does not tell, or tells it in a form of its own.
    """
    option = getattr(_socket, "SO_PEERCRED", None)
    if sys.platform == "win32" or not sys.platform.startswith(("linux", "android")):
        return None
    if option is None or wire.family != _socket.AF_UNIX:
        return None
    credentials: Any = wire.option(_socket.SOL_SOCKET, option, 12)
    pid, user, group = struct.unpack("3i", credentials)
    return pid, user, group


def peer_user(wire: Transport) -> int | None:
    """The user at the other end of a Unix socket; ``None`` where the system does not tell."""
    credentials = peer_credentials(wire)
    if credentials is not None:
        return credentials[1]
    if not sys.platform.startswith(("darwin", "freebsd")):
        return None
    # LOCAL_PEERCRED of the level SOL_LOCAL gives a struct xucred: a version, then the user.
    found: Any = wire.option(0, 1, 128)
    return int(struct.unpack_from("=iI", found)[1])


def is_peer_trusted(wire: Transport) -> bool:
    """Whether the process at the other end is this user's, or root's."""
    user = peer_user(wire)
    if user is None:
        # The system does not tell: of a listener the owner of its file counts, and of a client
        # the permissions of the file, which have let it in.
        name = wire.remote_name()
        user = os.lstat(name).st_uid if name else None
    return user is None or _is_trusted(user)


def _is_trusted(user: int) -> bool:
    return sys.platform == "win32" or user in (os.geteuid(), 0)


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
