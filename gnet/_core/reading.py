"""The readable side of a socket for blocking calls: ``recv`` and its kin."""

from __future__ import annotations

import _socket
import errno
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gevent import Greenlet
from greenlet import getcurrent, greenlet

from .._transport import stream_socket
from .._values import arguments
from ..errors import annotate, coded, would_block
from .dispatcher import UNMEASURED_CALLS
from .flowing import Flowing
from .inbound import Inbound
from .on_read import writable_view
from .states import CONNECTING, END_MET, LEFT, LISTENERS, UNREAD, UNTOLD

__all__ = ["RECV_BYTES", "Handler", "Reading"]

_T = TypeVar("_T")

#: How much ``recv()`` gives at the most if it is not told, in bytes.
RECV_BYTES = 65536
# So much that is read ahead may be hundreds of lines, and giving those out is no call that counts:
# a turn begins with them.
_MANY_BYTES = 4096

_OOB = _socket.MSG_OOB
# Urgent data does not make a socket readable: it is there, or it is not.
_NO_WAIT = getattr(_socket, "MSG_DONTWAIT", 0) | _OOB
_WAITALL = getattr(_socket, "MSG_WAITALL", 0)
# What is received with them is not taken out of the stream.
_ASIDE = _socket.MSG_PEEK | _OOB
# What a call with flags fails of that the connection is none the worse for.
_OF_THE_FLAGS = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP))


#: What is no result.
_NOTHING = object()
# Without a lookup, and without what a class of greenlets may have in its place.
_switch = greenlet.switch


class Handler(Greenlet):  # type: ignore[type-arg]
    """The greenlet of a connection whose listener owns it (``end_on_return``).

    :ivar socket: the connection.
    """

    __slots__ = ("socket",)

    socket: Inbound


def _is_plain(runner: greenlet) -> bool:
    """Whether a greenlet has none but greenlet's own way to be switched to, and to be left."""
    kind = type(runner)
    return kind is Handler or kind is Greenlet


class Reading(Flowing):
    """A host that can be read by blocking calls, too."""

    __slots__ = ()

    def recv(self, bufsize: int = RECV_BYTES, flags: int = 0) -> bytes:
        """Receive what is there; block until there is something. From Python's ``socket.recv()``.

        :param bufsize: the maximum of bytes to give.
        :param flags: the system's ``MSG_`` flags: ``MSG_PEEK``; ``MSG_WAITALL``, which blocks
            until ``bufsize`` bytes are there; ``MSG_DONTWAIT``, which raises
            :class:`BlockingIOError` instead of blocking, as every call does after
            ``settimeout(0)``.
        :returns: the bytes, or ``b""`` at the end of the stream.
        :raises BlockingIOError: there is nothing yet, and the call must not wait.
        :raises OSError: the connection has failed, or is closed.
        :raises RuntimeError: the socket is flowing, and this is not its ``'data'`` listener.
        :raises TimeoutError: the idle timeout fired and ``'timeout'`` has no listener.
        """
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        self._loop.calls += 1
        if self._loop.calls > UNMEASURED_CALLS:
            self._loop.share()
        if flags and flags & _WAITALL and not flags & _NO_WAIT:
            return self._recv_all(bufsize, flags & ~_WAITALL)
        if (
            self._wire is None or self._flow or self._receiving >= END_MET or self._owner >= UNTOLD
            or self._ahead or self._decoder is not None or type(bufsize) is not int or bufsize <= 0
        ):  # fmt: skip
            rest = self._begin_reading(bufsize, flags)
            if rest is not None:
                return rest
        return self._receive_one(bufsize, flags, None, None) or b""

    def _receive_one(self, wanted: int, flags: int, view: Any, call: Any) -> Any:
        """Block until the kernel has something; to be called behind :meth:`_begin_reading`.

        :param wanted: how many bytes there is room for.
        :param view: where to put them; ``None`` for new :class:`bytes`.
        :param call: what receives instead: it gives the number of bytes, and what it has received.
        :returns: the bytes, their number in the view, or what ``call`` has received; ``None`` at
            the end of the stream.
        """
        if self._owner == LISTENERS:
            self._step("call")
        while True:
            if not self._more or self._reader is not None:
                self._await_readable(flags)
            if self._receiving >= END_MET:
                return None
            received = self._receive_now(wanted, flags, view, call)
            if received is not _NOTHING:
                return received

    def _receive_now(self, wanted: int, flags: int, view: Any, call: Any) -> Any:
        """:meth:`_receive_one` without a wait; :data:`_NOTHING` where there is nothing yet.

        By itself, as each frame below a blocked call is memory, and what ``try`` needs is much.
        """
        try:
            if call is not None:
                count, received = call()
            elif view is not None:
                received = count = self._wire.recv_into(view, wanted, flags)  # type: ignore[union-attr]
            else:
                received = stream_socket.receive(self._wire, wanted, flags)  # type: ignore[arg-type]
                count = len(received)
        except OSError as exc:
            if isinstance(exc, BlockingIOError) and self._is_cut():
                return None
            self._receive_failed(exc, flags)
            return _NOTHING
        if not flags or not flags & _ASIDE:
            self._received(count, wanted)
        return received

    def _recv_all(self, bufsize: int, flags: int, begun: bytes = b"") -> bytes:
        """``MSG_WAITALL``: all that was asked for, unless the stream ends before.

        Interrupted, it leaves what has come for the next call.

        :param begun: what has been received of it already.
        """
        parts = [begun]
        missing = bufsize - len(begun)
        keeps = False
        try:
            while True:
                data = self.recv(missing, flags & ~_socket.MSG_PEEK)
                parts.append(data)
                missing -= len(data)
                if not data or not missing:
                    break
            received = b"".join(parts)
            keeps = not flags & _socket.MSG_PEEK
            return received
        finally:
            if not keeps and any(parts):
                self._put_back(*parts)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive as :meth:`recv`, into a buffer. From Python's ``socket.recv_into()``.

        :param buffer: a writable bytes-like object.
        :param nbytes: the maximum of bytes to put there; ``0`` for as many as fit.
        :param flags: as for :meth:`recv`.
        :returns: how many bytes were put there; ``0`` at the end of the stream.
        """
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        self._loop.calls += 1
        if self._loop.calls > UNMEASURED_CALLS:
            self._loop.share()
        view = writable_view(buffer)
        nbytes = arguments.integer("nbytes", nbytes, 0, view.nbytes) or view.nbytes
        if flags and flags & _WAITALL and not flags & _NO_WAIT:
            rest: bytes | None = self._recv_all(nbytes, flags & ~_WAITALL)
        else:
            rest = self._begin_reading(nbytes, flags)
        if rest is not None:
            if rest:
                view[: len(rest)] = rest
            return len(rest)
        return self._receive_one(nbytes, flags, view, None) or 0

    def _receive(self, call: Callable[[], tuple[int, _T]], wanted: int, flags: int) -> _T | None:
        """:meth:`_receive_one` for whoever is not compiled."""
        received: _T | None = self._receive_one(wanted, flags, None, call)
        return received

    def _read_ahead(self, size: int) -> int:
        """Have at most ``size`` bytes more, for a file that needs more than was read ahead.

        :returns: how many bytes have come; ``0`` at the end of the stream.
        """
        loop = self._loop
        loop.calls += 1
        if loop.calls > UNMEASURED_CALLS:
            loop.share()
        self._check_flow(0)
        self._return_undecoded()
        if not self._may_read():
            return 0
        data = self._receive_one(size, 0, None, None) or b""
        try:
            if self._ahead is None:
                self._ahead = bytearray()
            self._ahead += data
        except MemoryError as exc:
            self._lost(exc)
        if len(data) >= _MANY_BYTES and loop.calls <= UNMEASURED_CALLS:
            loop.calls = UNMEASURED_CALLS + 1
            loop.share()
        return len(data)

    def __iter__(self) -> Iterator[bytes]:
        """Give what was received, piece by piece, up to the end of the stream."""
        while True:
            chunk = self.recv()
            if not chunk:
                return
            yield chunk

    def _begin_reading(self, bufsize: int, flags: int = 0) -> bytes | None:
        """Wait for the connection; gives what can be had without the kernel, or ``None``."""
        self._check_flow(flags)
        arguments.integer("bufsize", bufsize, 0, 2**31 - 1)
        self._return_undecoded()
        if self._ahead and bufsize and self._owner < UNTOLD and not flags & _OOB:
            if self._owner == LISTENERS:
                self._step("call")
            return self._take(bufsize, bool(flags & _socket.MSG_PEEK))
        return None if self._may_read() and bufsize else b""

    def _check_flow(self, flags: int) -> None:
        """Wait for the connection; what flows goes to the listeners, unless one reads itself."""
        if self._life == CONNECTING and self._owner != UNTOLD:
            if self._never_waits() or flags & _NO_WAIT:
                raise would_block("read")
            self._await_connection()
        if self._flow and self._serving is not getcurrent():
            raise coded(
                RuntimeError(
                    "the socket is flowing: its data goes to the 'data' listeners, a pipe or "
                    "resume(). To read it here, call pause() or remove the listener"
                ),
                "ERR_SOCKET_FLOWING",
            )

    def _hear_loss(self) -> bool:
        """Raise what the connection before this one was lost by; ``False`` for an end."""
        raise NotImplementedError

    def _may_read(self) -> bool:
        """Whether the stream goes on. Raises what the connection has failed with."""
        if self._owner == UNTOLD:
            return self._hear_loss()
        if self._receiving >= END_MET and self._error is None and self._owner < LEFT:
            return False
        self._raise_unless_open()
        if self._owner >= LEFT:
            raise self._closed_error()
        return True

    def _received(self, count: int, wanted: int) -> None:
        self._active = stream_socket.coarse_now()
        if self._idle is not None:
            self._idle.touch()
        if count:
            self.bytes_read: int = self.bytes_read + count
            self._more = count == wanted
            if not self._watching and not self._more:
                self._rearm()
        else:
            # A listener's end is answered as any other when it has returned.
            mine = self._serving is getcurrent()
            self._meet_end("meet_end" if mine else "caller_meets_end", True)
            if self._serving is None:
                # In the hub, as mostly nobody listens to it: that costs no greenlet.
                self._loop.loop.run_callback(self._end_met)

    def _receive_failed(self, exc: OSError, flags: int) -> None:
        """There was nothing yet, which the caller waits for; or the connection has failed."""
        if isinstance(exc, BlockingIOError):
            self._more = False
            if self._never_waits() or flags & _NO_WAIT:
                if not self._watching:
                    self._rearm()
                raise annotate(exc, "read")
            return
        if flags and exc.errno in _OF_THE_FLAGS:
            raise annotate(exc, "read")
        self._fail(annotate(exc, "read"))
        self._heard = True
        raise self._closed_error() from None

    def _resume_reader(self, reader: greenlet) -> None:
        """In the hub: have the greenlet that waits for data look again, if it still does."""
        if self._reader is reader:
            reader.switch()

    def _leave(self, me: greenlet) -> None:
        """Leave a greenlet that waits for data: for the next whose data has come, or the hub."""
        if not _is_plain(me):
            # gevent looks whether it must not wait, or is to hear of it.
            self._loop.hub.switch()
            return
        waking = self._loop.noted.waking
        if waking:
            sock: Inbound | None = waking[-1]()
            reader = sock._reader if sock is not None and sock._watching else None
            # This greenlet must not keep the other one's connection.
            sock = None
            if reader is not None and _is_plain(reader):
                waking.pop()
                _switch(reader)
                return
        _switch(self._loop.hub)

    def _await_readable(self, flags: int) -> None:
        """Block until the kernel has data, an end or an error; not where that is not wanted."""
        if self._is_cut():
            return
        if (flags or self._timeout is not None) and (self._never_waits() or flags & _NO_WAIT):
            # What comes next is for the greenlet that waits for it; urgent data is not.
            if self._reader is not None and not flags & _OOB:
                raise would_block("read")
            return
        while self._reader is not None:
            # Another greenlet reads: take turns.
            self._block()
            self._raise_unless_open()
        if self._idle is not None:
            self._idle.touch()
        me = getcurrent()
        self._reader = me
        try:
            if self._watching != UNREAD:
                self._watch_unread()
            self._leave(me)
        finally:
            # First: what is left behind would be switched to in another call of its own.
            self._reader = None
            self._loop.calls = 0
            if self._flow:
                self._rearm()
            if self._blocked:
                self._wake()
