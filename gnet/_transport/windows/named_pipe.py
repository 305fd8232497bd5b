"""Windows' named pipes: the wires and listeners of paths there.

A pipe has neither readiness nor an end of one direction. Both are made of what it has:

* a read of no bytes ends when there is something to read, and takes nothing: what is unread
  stays in the kernel;
* a write that the pipe has no room for stays under way, and is not counted before it has ended;
* a message of no bytes is the writer's end. For that the pipes made here are of messages; each
  message is a piece of the stream and no more. A pipe of bytes, which another program's server
  may have made, cannot tell the end of one direction.

From Node's ``net``, *Identifying paths for IPC connections*, and Windows' *Pipe Functions*.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys
from collections import deque
from functools import partial
from typing import Any

from ..._values.buffers import first_bytes
from ...errors import system_error
from ..protocol import READ, Listener, Transport, refuse

assert sys.platform == "win32"

import _winapi  # noqa: E402

from .completion import Operation, ReadinessWatcher, completion_port  # noqa: E402
from .pipe_access import SecurityAttributes, access_list  # noqa: E402

__all__ = ["PATH_MAX_CHARS", "PipeListener", "PipeWire", "address_of", "listen"]

#: The longest path of a named pipe, in characters.
PATH_MAX_CHARS = 256

_PREFIXES = ("\\\\.\\pipe\\", "\\\\?\\pipe\\")

#: So many bytes the kernel keeps of what was sent and not read, in each direction; about what a
#: Unix socket has.
BUFFER_BYTES = 262144
#: So many bytes are sent in one message. A buffer of four of them is never empty while it is
#: filled: twice as fast as one.
MESSAGE_BYTES = 65536

#: So many instances wait for clients, unless the backlog is smaller. A client that finds none
#: comes again a moment later.
MAX_WAITING = 16

#: A pipe of bytes whose writable side has ended is at its end, when nothing more was received
#: for so many seconds: its server cannot know, and would wait for ever.
QUIET_SECONDS = 2.0

# Windows' errors, where _winapi has no name for them.
_FILE_NOT_FOUND = 2
_ACCESS_DENIED = 5
_INVALID_PARAMETER = 87
_PIPE_NOT_CONNECTED = 233

# The peer has closed: what it has sent may still be read, unless it was already.
_BROKEN = (_winapi.ERROR_BROKEN_PIPE, _winapi.ERROR_NO_DATA, _PIPE_NOT_CONNECTED)

# The errno whose name is Node's code for a number of Windows'; others stay the interpreter's.
_ERRNO = {
    _ACCESS_DENIED: errno.EPERM,
    14: errno.ENOMEM,  # OUTOFMEMORY
    64: errno.ECONNRESET,  # NETNAME_DELETED
    123: errno.ENOENT,  # INVALID_NAME
    230: errno.EPIPE,  # BAD_PIPE
    _winapi.ERROR_PIPE_BUSY: errno.EBUSY,
    _PIPE_NOT_CONNECTED: errno.EPIPE,
    _winapi.ERROR_OPERATION_ABORTED: errno.ECANCELED,
    _winapi.ERROR_NO_SYSTEM_RESOURCES: errno.ENOMEM,
}

_FIRST_PIPE_INSTANCE = _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE
_REJECT_REMOTE_CLIENTS = 8
_PIPE_MODE = (
    _winapi.PIPE_TYPE_MESSAGE | _winapi.PIPE_READMODE_MESSAGE | _winapi.PIPE_WAIT
    | _REJECT_REMOTE_CLIENTS
)  # fmt: skip
_NO_WAIT = 1
# SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION: the server may know the client, but not act
# in its name, as it might without.
_IDENTIFICATION = 0x00110000


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


def _refusal(number: int, syscall: str, path: str, reason: str) -> OSError:
    exc = system_error(number, syscall, path)
    exc.strerror = f"{exc.strerror}: {reason}"
    exc.args = (exc.errno, exc.strerror)
    return exc


def _translated(exc: OSError) -> OSError:
    """The error with the errno whose name is Node's code."""
    number = _ERRNO.get(exc.winerror or 0, exc.errno or errno.EIO)
    return OSError(number, os.strerror(number))


class PipeWire(Transport):
    """One end of a connected pipe, non-blocking.

    :param handle: the pipe's, which from now on is the wire's to close; its operations end at
        the hub's completion port.
    :param local: its path at the server's end, or ``""``.
    :param remote: its path at the client's end, or ``""``.
    :param messages: whether it is a pipe of messages, and not of bytes.
    """

    __slots__ = (
        "_ended", "_handle", "_local", "_messages", "_port", "_probe", "_quiet_timer", "_reader",
        "_reads", "_remote", "_writer", "_writing", "_written",
    )  # fmt: skip

    PEEK = True

    def __init__(self, handle: int, local: str, remote: str, messages: bool = True) -> None:
        self._handle = handle
        self._local = local
        self._remote = remote
        self._messages = messages
        self._port = completion_port()
        # Nothing more can come than what is in the pipe.
        self._ended = False
        # The read of no bytes, if it is under way; and how often was read before it.
        self._probe: Operation | None = None
        self._reads = 0
        self._writing: Operation | None = None
        # How it has ended: how many bytes were sent, or the error.
        self._written: int | OSError = 0
        self._reader: ReadinessWatcher | None = None
        self._writer: ReadinessWatcher | None = None
        self._quiet_timer: Any = None

    @classmethod
    def connect(cls, name: str) -> PipeWire:
        """Connect to a server.

        :raises BlockingIOError: all its instances are taken.
        :raises OSError: there is none, or it does not let this user in.
        """
        try:
            handle = _winapi.CreateFile(
                name, _winapi.GENERIC_READ | _winapi.GENERIC_WRITE, 0, 0, _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _IDENTIFICATION, 0,
            )  # fmt: skip
        except OSError as exc:
            if exc.winerror == _winapi.ERROR_PIPE_BUSY:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            raise _translated(exc) from None
        wire = cls(handle, "", name)
        try:
            wire._port.attach(handle)
            wire._messages = _set_message_mode(handle)
        except OSError as exc:
            wire.close()
            raise _translated(exc) from None
        return wire

    def fileno(self) -> int:
        """The handle; ``-1`` when it is closed."""
        return self._handle

    def local_name(self) -> str:
        return self._local

    def remote_name(self) -> str:
        return self._remote

    def sides(self) -> tuple[bool, bool]:
        return True, True

    # -- reading ------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        count = min(size, self._available())
        try:
            if flags:
                return self._peek(count, flags)
            data = _winapi.ReadFile(self._handle, count)[0] if count else b""
            if len(data) < count:
                data = self._read_on(data, count)
        except OSError as exc:
            raise _translated(exc) from None
        self._reads += 1
        if self._quiet_timer is not None:
            self._start_quiet_timer()
        return data

    def _read_on(self, data: bytes, count: int) -> bytes:
        """The next messages behind the first one."""
        parts = [data]
        while data and len(data) < count:
            count -= len(data)
            data = _winapi.ReadFile(self._handle, count)[0]
            parts.append(data)
        if not data:
            self._ended = True
        return b"".join(parts)

    def _peek(self, count: int, flags: int) -> bytes:
        if flags != _socket.MSG_PEEK:
            refuse(errno.ENOTSUP)
        found: Any = _winapi.PeekNamedPipe(self._handle, count)
        return bytes(found[0])

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def at_end(self) -> bool:
        return not self._available()

    def _available(self) -> int:
        """How many bytes can be read; 0 at the end.

        :raises BlockingIOError: there is neither.
        """
        try:
            count: int = _winapi.PeekNamedPipe(self._handle)[0]  # type: ignore[assignment]
        except OSError as exc:
            if exc.winerror not in _BROKEN:
                raise _translated(exc) from None
            count = 0
            self._ended = True
        if not count and not self._ended:
            refuse(errno.EAGAIN)
        return count

    def _readable(self) -> bool:
        """Whether the end is there; if it is not, have the reader told what comes."""
        if not self._ended and self._probe is None:
            handle = self._handle
            try:
                self._probe = self._port.start(
                    lambda overlapped: overlapped.ReadFile(handle, 0),
                    partial(self._probed, self._reads),
                )
            except OSError:
                # recv() will say why.
                return True
        return self._ended

    def _probed(self, reads: int, error: int, size: int) -> None:
        """The read of no bytes has ended."""
        self._probe = None
        # Something was there. If it is not, and nobody has read it, it had no bytes.
        if self._messages and not error and reads == self._reads:
            try:
                self._ended = not self._available()
            except BlockingIOError:
                self._ended = True
            except OSError:
                pass
        if self._reader is not None:
            self._reader.fire()

    # -- writing ------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        return self.sendmsg([data])

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        """Send of the buffers what one message takes.

        What the pipe has no room for stays under way, and is counted by the next call: that must
        be for the same bytes, as it is when they are still queued.
        """
        if self._writing is not None:
            refuse(errno.EAGAIN)
        written, self._written = self._written, 0
        if isinstance(written, OSError):
            raise written
        if written:
            return written
        data = _fixed(first_bytes(buffers, MESSAGE_BYTES))
        # A message of no bytes would be the end.
        return self._write(data) if data else 0

    def _write(self, data: bytes) -> int:
        handle = self._handle
        try:
            operation = self._port.start(
                lambda overlapped: overlapped.WriteFile(handle, data), self._write_ended
            )
            assert operation is not None
            if operation.overlapped.pending:
                self._writing = operation
                refuse(errno.EAGAIN)
            operation.notify = None
            return int(operation.overlapped.getresult())
        except BlockingIOError:
            raise
        except OSError as exc:
            raise _translated(exc) from None

    def _write_ended(self, error: int, size: int) -> None:
        self._writing = None
        self._written = _translated(OSError(0, "", None, error)) if error else size
        if self._writer is not None:
            self._writer.fire()

    def _writable(self) -> bool:
        return self._writing is None

    # -- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        if how != _socket.SHUT_WR:
            self._end_reading()
        if how != _socket.SHUT_RD:
            if self._messages:
                self._send_end()
            else:
                self._start_quiet_timer()

    def _send_end(self) -> None:
        handle = self._handle
        try:
            operation = self._port.start(
                lambda overlapped: overlapped.WriteFile(handle, b""), self._write_ended
            )
        except OSError as exc:
            raise _translated(exc) from None
        if operation is not None:
            # It takes no room, and nobody waits for it.
            operation.notify = None

    def _end_reading(self) -> None:
        self._ended = True
        if self._reader is not None:
            self._reader.fire()

    def _start_quiet_timer(self) -> None:
        self._stop_quiet_timer()
        self._quiet_timer = self._port.loop.timer(QUIET_SECONDS)
        self._quiet_timer.start(self._quiet, update=True)

    def _stop_quiet_timer(self) -> None:
        if self._quiet_timer is not None:
            self._quiet_timer.close()
            self._quiet_timer = None

    def _quiet(self) -> None:
        self._stop_quiet_timer()
        self._end_reading()

    @property
    def closed(self) -> bool:
        return self._handle < 0

    def close(self) -> None:
        """Close the pipe. What was sent can still be read at the other end."""
        handle = self.detach()
        if handle >= 0:
            _winapi.CloseHandle(handle)

    def detach(self) -> int:
        """Let go of the handle; gives it. It stays one for overlapped operations."""
        handle, self._handle = self._handle, -1
        if handle < 0:
            return -1
        for operation in (self._probe, self._writing):
            if operation is not None:
                operation.abandon()
        self._probe = self._writing = None
        self._stop_quiet_timer()
        self._port.release()
        return handle

    def abandon(self) -> int:
        return self.detach()

    def watch(self, loop: Any, events: int) -> ReadinessWatcher:
        if events == READ:
            self._reader = ReadinessWatcher(self._port, self._readable)
            return self._reader
        self._writer = ReadinessWatcher(self._port, self._writable)
        return self._writer


def _set_message_mode(handle: int) -> bool:
    """Have a client read message by message; ``False`` if the pipe has none."""
    try:
        _winapi.SetNamedPipeHandleState(handle, _winapi.PIPE_READMODE_MESSAGE, None, None)
    except OSError as exc:
        if exc.winerror == _INVALID_PARAMETER:
            return False
        raise
    return True


def _fixed(data: Any) -> bytes:
    """The first bytes of the data, as many as one message takes, where nobody can change them."""
    if type(data) is bytes and len(data) <= MESSAGE_BYTES:
        return data
    return bytes(data[:MESSAGE_BYTES])


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
        self._watcher: ReadinessWatcher | None = None
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
            self._watcher.fire()

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
                raise _translated(exc) from None
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
            raise _translated(exc) from None

    def watch(self, loop: Any, events: int) -> ReadinessWatcher:
        self._watcher = ReadinessWatcher(self._port, lambda: bool(self._connected))
        return self._watcher

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
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
        in_use = exc.winerror in (_ACCESS_DENIED, _winapi.ERROR_PIPE_BUSY)
        number = errno.EADDRINUSE if in_use else _translated(exc).errno or errno.EIO
    raise system_error(number, "listen", path)


def _is_served(name: str) -> bool:
    """Whether there is a pipe of that name.

    The flag for the first instance says so, too, and leaves no moment between; but Wine, up to
    version 8 at least, does not know it.
    """
    try:
        _winapi.WaitNamedPipe(name, _NO_WAIT)
    except OSError as exc:
        return exc.winerror != _FILE_NOT_FOUND
    return True
