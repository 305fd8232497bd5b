"""The servers of named pipes: instances of a name that wait for clients. Windows only.

From Node's ``net``, *Identifying paths for IPC connections*, and Windows' *Pipe Functions*.
"""

from __future__ import annotations

import errno
import sys
from collections import deque
from functools import partial
from typing import Any

from ...errors import system_error
from ..protocol import Listener, Watcher, refuse
from ..wakeup import Wakeup

assert sys.platform == "win32"

import _winapi  # noqa: E402

from .completion import Operation, completion_port  # noqa: E402
from .pipe_access import SecurityAttributes, access_list  # noqa: E402
from .pipe_errors import ACCESS_DENIED, FILE_NOT_FOUND, translated  # noqa: E402
from .pipe_names import address_of  # noqa: E402
from .pipe_wire import PipeWire  # noqa: E402

__all__ = ["PipeListener", "listen"]

#: So many bytes the kernel keeps of what was sent and not read, in each direction; about what a
#: Unix socket has.
BUFFER_BYTES = 262144

#: So many instances wait for clients, unless the backlog is smaller. A client that finds none
#: comes again a moment later.
MAX_WAITING = 16

_FIRST_PIPE_INSTANCE = _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE
_REJECT_REMOTE_CLIENTS = 8
_PIPE_MODE = (
    _winapi.PIPE_TYPE_MESSAGE | _winapi.PIPE_READMODE_MESSAGE | _winapi.PIPE_WAIT
    | _REJECT_REMOTE_CLIENTS
)  # fmt: skip
_NO_WAIT = 1


class PipeListener(Listener):
    """The server's end of a name: instances of the pipe that wait for clients.

    :param name: the path.
    :param waiting: how many clients may wait to be accepted.
    :param access: who may connect.
    :param first: whether no other server may have the name.
    """

    __slots__ = (
        "_access", "_closed", "_connected", "_instances", "_name", "_port", "_target", "_watcher",
    )  # fmt: skip

    def __init__(self, name: str, waiting: int, access: SecurityAttributes, first: bool) -> None:
        self._name = name
        self._access = access
        self._target = waiting
        self._port = completion_port()
        # The instances that have no client yet, and the handles of those that have.
        self._instances: dict[int, Operation] = {}
        self._connected: deque[int] = deque()
        self._watcher: Wakeup | None = None
        self._closed = False
        try:
            self._add_instance(first)
            self._add_instances(waiting)
        except BaseException:
            self.close()
            raise

    def _add_instances(self, count: int) -> None:
        """Have so many of them, those whose clients wait to be accepted included."""
        while len(self._instances) + len(self._connected) < count:
            self._add_instance()

    def _add_instance(self, first: bool = False) -> None:
        mode = _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED
        handle = _winapi.CreateNamedPipe(
            self._name, mode | _FIRST_PIPE_INSTANCE if first else mode, _PIPE_MODE,
            _winapi.PIPE_UNLIMITED_INSTANCES, BUFFER_BYTES, BUFFER_BYTES, 0, self._access.address,
        )  # fmt: skip
        try:
            self._port.attach(handle)
            operation = self._port.start(
                lambda overlapped: overlapped.ConnectNamedPipe(handle),
                partial(self._client_came, handle),
            )
        except OSError as exc:
            if exc.winerror != _winapi.ERROR_NO_DATA:
                _winapi.CloseHandle(handle)
                raise
            # A client has come and gone already: what it has sent is there.
            operation = None
        if operation is None:
            self._connected.append(handle)
        else:
            self._instances[handle] = operation

    def _client_came(self, handle: int, error: int, size: int) -> None:
        del self._instances[handle]
        self._connected.append(handle)
        if self._watcher is not None:
            self._watcher.wake()

    def accept_wire(self) -> tuple[PipeWire, str]:
        """The next connection and its peer's address; :class:`BlockingIOError` if none waits."""
        if not self._connected:
            refuse(errno.EAGAIN)
        try:
            # One more in the place of this client's.
            self._add_instances(self._target + 1)
        except OSError as exc:
            # Later, if some are left. Behind the last one nobody could come: its client waits,
            # as elsewhere when no descriptor is free.
            if not self._instances and len(self._connected) == 1:
                raise translated(exc) from None
        return PipeWire(self._connected.popleft(), self._name, ""), ""

    def fileno(self) -> int:
        """A pipe's listener has a handle for each client, and none that stands for it."""
        return -1

    def local_name(self) -> str:
        return self._name

    def detach(self) -> int:
        refuse(errno.ENOTSUP)

    def duplicate(self) -> PipeListener:
        """Another listener of the same name."""
        try:
            return PipeListener(self._name, self._target, self._access, first=False)
        except OSError as exc:
            raise translated(exc) from None

    def watch(self, loop: Any, events: int) -> Watcher:
        self._watcher = Wakeup(self._port.loop, lambda: bool(self._connected))
        return self._watcher

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._watcher is not None:
            self._watcher.close()
        for operation in self._instances.values():
            operation.abandon()
        for handle in (*self._instances, *self._connected):
            _winapi.CloseHandle(handle)
        self._instances.clear()
        self._connected.clear()
        self._port.release()


def listen(path: str, backlog: int, readable_all: bool, writable_all: bool) -> PipeListener:
    """Serve a name.

    :raises OSError: ``EADDRINUSE``, there is a server of that name; or the path is refused:
        see :func:`address_of`.
    """
    name = address_of(path, "listen")
    access = SecurityAttributes(access_list(readable_all, writable_all))
    waiting = max(1, min(backlog, MAX_WAITING))
    try:
        if not _is_served(name):
            return PipeListener(name, waiting, access, first=True)
        number = errno.EADDRINUSE
    except OSError as exc:
        # What the flag for the first instance gives where there is another.
        in_use = exc.winerror in (ACCESS_DENIED, _winapi.ERROR_PIPE_BUSY)
        number = errno.EADDRINUSE if in_use else translated(exc).errno or errno.EIO
    raise system_error(number, "listen", path)


def _is_served(name: str) -> bool:
    """Whether there is a pipe of that name.

    The flag for the first instance says so, too, and leaves no moment between; but Wine, up to
    version 8 at least, does not know it.
    """
    try:
        _winapi.WaitNamedPipe(name, _NO_WAIT)
    except OSError as exc:
        return exc.winerror != FILE_NOT_FOUND
    return True
