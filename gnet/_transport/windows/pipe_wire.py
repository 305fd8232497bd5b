"""One end of a named pipe. Windows only.

A pipe has neither readiness nor an end of one direction. Both are made of what it has:

* a read of no bytes ends when there is something to read, and takes nothing: what is unread
  stays in the kernel;
* a write that the pipe has no room for stays under way, and is not counted before it has ended;
* a message of no bytes is the writer's end. For that the pipes made here are of messages; each
  message is a piece of the stream and no more. A pipe of bytes, which another program's server
  may have made, cannot tell the end of one direction.

From Windows' *Pipe Functions*.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys
from functools import partial
from typing import Any

from ..._values.buffers import first_bytes
from ..protocol import READ, Transport, Watcher, refuse
from ..wakeup import Wakeup

assert sys.platform == "win32"

import _winapi  # noqa: E402

from .completion import Operation, completion_port  # noqa: E402
from .pipe_errors import BROKEN, INVALID_PARAMETER, translated  # noqa: E402

__all__ = ["PipeWire"]

#: So many bytes are sent in one message. A buffer of four of them is never empty while it is
#: filled: twice as fast as one.
MESSAGE_BYTES = 65536

#: A pipe of bytes whose writable side has ended is at its end, when nothing more was received
#: for so many seconds: its server cannot know, and would wait for ever.
QUIET_SECONDS = 2.0

# SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION: the server may know the client, but not act
# in its name, as it might without.
_IDENTIFICATION = 0x00110000


class PipeWire(Transport):
    """One end of a connected pipe, non-blocking.

    :param handle: the pipe's, which from now on is the wire's to close; its operations end at
        the hub's completion port.
    :param local: its path at the server's end, or ``""``.
    :param remote: its path at the client's end, or ``""``.
    :param messages: whether it is a pipe of messages, and not of bytes.
    """

    __slots__ = (
        "_ended", "_found", "_handle", "_local", "_messages", "_port", "_probe", "_quiet_timer",
        "_reader", "_reads", "_remote", "_writer", "_writing", "_written",
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
        # The read of no bytes, if it is under way; whether one has ended that nobody was told of;
        # and how often was read before it.
        self._probe: Operation | None = None
        self._found = False
        self._reads = 0
        self._writing: Operation | None = None
        # How it has ended: how many bytes were sent, or the error.
        self._written: int | OSError = 0
        self._reader: Wakeup | None = None
        self._writer: Wakeup | None = None
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
            raise translated(exc) from None
        wire = cls(handle, "", name)
        try:
            wire._port.attach(handle)
            wire._messages = _set_message_mode(handle)
        except OSError as exc:
            wire.close()
            raise translated(exc) from None
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
            raise translated(exc) from None
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
            if exc.winerror not in BROKEN:
                raise translated(exc) from None
            count = 0
            self._ended = True
        if not count and not self._ended:
            refuse(errno.EAGAIN)
        return count

    def _readable(self) -> bool:
        """Whether the end is there; if it is not, have the reader told what comes."""
        if self._found:
            self._found = False
            return True
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
        self._found = True
        # Something was there. If it is not, and nobody has read it, it had no bytes.
        if self._messages and not error and reads == self._reads:
            try:
                self._ended = not self._available()
            except BlockingIOError:
                self._ended = True
            except OSError:
                pass
        if self._reader is not None:
            self._reader.wake()

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
            raise translated(exc) from None

    def _write_ended(self, error: int, size: int) -> None:
        self._writing = None
        self._written = translated(OSError(0, "", None, error)) if error else size
        if self._writer is not None:
            self._writer.wake()

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
            raise translated(exc) from None
        if operation is not None:
            # It takes no room, and nobody waits for it.
            operation.notify = None

    def _end_reading(self) -> None:
        self._ended = True
        if self._reader is not None:
            self._reader.wake()

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
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.close()
        for operation in (self._probe, self._writing):
            if operation is not None:
                operation.abandon()
        self._probe = self._writing = None
        self._stop_quiet_timer()
        self._port.release()
        return handle

    def abandon(self) -> int:
        return self.detach()

    def watch(self, loop: Any, events: int) -> Watcher:
        if events == READ:
            self._reader = Wakeup(self._port.loop, self._readable)
            return self._reader
        self._writer = Wakeup(self._port.loop, self._writable)
        return self._writer


def _set_message_mode(handle: int) -> bool:
    """Have a client read message by message; ``False`` if the pipe has none."""
    try:
        _winapi.SetNamedPipeHandleState(handle, _winapi.PIPE_READMODE_MESSAGE, None, None)
    except OSError as exc:
        if exc.winerror == INVALID_PARAMETER:
            return False
        raise
    return True


def _fixed(data: Any) -> bytes:
    """The first bytes of the data, as many as one message takes, where nobody can change them."""
    if type(data) is bytes and len(data) <= MESSAGE_BYTES:
        return data
    return bytes(data[:MESSAGE_BYTES])
