"""TLS as a transport, over any other one.

What only the transport below can do goes by that one: its addresses, its options, its reset.
"""

from __future__ import annotations

import _socket
import errno
import os
from ssl import SSLContext, SSLError, SSLWantReadError
from typing import TYPE_CHECKING, Any

from .._transport.protocol import Transport, Watcher, refuse
from .._transport.sigpipe import NO_SIGNAL
from .._values.buffers import first_bytes
from ..errors import value_error
from .tls_engine import TLSEngine
from .tls_sizes import CIPHER_BYTES, MAX_FEEDS, MAX_KEPT_BYTES, MAX_SENT_BYTES, RECORD_BYTES
from .tls_watcher import TLSWatcher

__all__ = ["TLSWire"]

_PEEK = int(_socket.MSG_PEEK)
# Windows has no MSG_DONTWAIT; a transport never waits anyway, not for all of it either.
_DONTWAIT = int(getattr(_socket, "MSG_DONTWAIT", 0))
_HARMLESS = _DONTWAIT | int(getattr(_socket, "MSG_WAITALL", 0))


class TLSWire(TLSEngine):
    """One end of a TLS connection, as a transport. The parameters are :class:`TLSEngine`'s.

    The transport below is from now on the wire's to close.

    :ivar server_name: the name that the client has asked for, where this is the server.
    :ivar seconds: how long the handshake has taken, where somebody has counted.
    """

    __slots__ = (
        "PEER_END", "RESET", "SHARED", "TCP_OPTIONS", "UNREAD_RESETS", "_closed", "_watchers",
        "seconds", "server_name",
    )  # fmt: skip

    FAREWELL = True
    PEEK = True
    SPLICE = False
    MESSAGES = False

    def __init__(
        self,
        inner: Transport,
        context: SSLContext,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: Any = None,
        received: bytes = b"",
    ) -> None:
        super().__init__(inner, context, server_side, server_hostname, session, received)
        self.TCP_OPTIONS = inner.TCP_OPTIONS
        self.RESET = inner.RESET
        self.PEER_END = inner.PEER_END
        self.UNREAD_RESETS = inner.UNREAD_RESETS
        self.SHARED = inner.SHARED
        self.server_name: str | None = None
        self.seconds = 0.0
        self._closed = False
        self._watchers: list[TLSWatcher] | None = None

    # -- bytes --------------------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            return self._recv_with(size, flags)
        if self._kept is not None:
            return self._take(size)
        if size <= 0:
            return b""
        return self._receive(size)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def _recv_with(self, size: int, flags: int) -> bytes:
        if flags & ~(_PEEK | _HARMLESS):
            raise value_error(
                f'The "flags" argument must have no other flags over TLS than MSG_PEEK, '
                f"MSG_WAITALL and MSG_DONTWAIT. Received {flags}"
            )
        if not flags & _PEEK:
            return self.recv(size)
        if self.at_end():
            return b""
        kept = self._kept
        assert kept is not None
        while len(kept) < size and not (self._hungry or self._end):
            self._keep(size - len(kept))
        return bytes(kept[:size])

    def _take(self, size: int) -> bytes:
        """Of what was kept."""
        kept = self._kept
        assert kept is not None
        data = bytes(kept[:size])
        del kept[: len(data)]
        if not kept:
            self._kept = None
        if self._kept is not None or not self._hungry:
            self._wake()
        return data

    def take_kept(self) -> bytes:
        """All that was decrypted, and that nobody has taken."""
        kept, self._kept = self._kept, None
        return bytes(kept or b"")

    def _receive(self, size: int) -> bytes:
        """All that there is, up to ``size`` bytes; more encrypted bytes are read if need be."""
        parts: list[bytes] = []
        feeds = 0
        while True:
            if not (self._hungry or self._end):
                size -= self._decrypt(parts, size)
                if self._outgoing.pending:
                    self._answer()
                if self._session_listener is not None:
                    self._look_for_session(self._session_listener)
            if parts:
                if not (size and self._more and self._hungry) or self._error is not None:
                    break
            elif self._error is not None:
                raise self._error.with_traceback(None)
            elif self._end or self._deaf:
                return b""
            try:
                if feeds == MAX_FEEDS:
                    # A peer that sends what is no data has the loop go on with others.
                    refuse(errno.EAGAIN)
                feeds += 1
                self._feed()
            except OSError as exc:
                if not parts:
                    raise
                if not isinstance(exc, BlockingIOError):
                    # It is told once only, and there are bytes to give ahead of it.
                    self._error = exc
                break
        if not self._hungry or self._end or self._error is not None:
            self._wake()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def at_end(self) -> bool:
        if self._kept is not None:
            return False
        data = self._receive(RECORD_BYTES)
        if not data:
            return True
        self._kept = bytearray(data)
        self._wake()
        return False

    def take_owed(self) -> int:
        owed = self._owed + self._done
        self._owed = self._done = 0
        if self._cipher is not None:
            self._flush_later()
        return owed

    def send(self, data: Any, flags: int = 0) -> int:
        if flags & ~(_DONTWAIT | NO_SIGNAL):
            refuse(errno.EOPNOTSUPP)
        if type(data) is not bytes:
            data = memoryview(data).cast("B")
        size = len(data)
        done = 0
        if self._cipher is not None or self._done:
            done = self._settle(size)
            if self._cipher is not None:
                # Nothing may overtake that.
                if done or not size:
                    return done
                refuse(errno.EAGAIN)
        if self._mute:
            refuse(errno.EPIPE)
        most = done + MAX_SENT_BYTES
        while done < size and done < most:
            count = self._encrypt(data, done, size)
            self._collect()
            if not count:
                break
            self._owed = count
            if not self._flush_explained():
                done += self._done
                self._done = 0
                break
            self._done = 0
            done += count
        if not done and size:
            refuse(errno.EAGAIN)
        return done

    def sendmsg(self, buffers: list[Any], ancdata: tuple[()] = (), flags: int = 0) -> int:
        if not buffers:
            return 0
        # Small messages become one record.
        return self.send(first_bytes(buffers, CIPHER_BYTES), flags)

    def _settle(self, size: int) -> int:
        """Send what is still to be sent; gives how many of the next ``size`` bytes that were."""
        self._flush_explained()
        done = min(self._done, size)
        self._done -= done
        return done

    # -- the end ------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """End one side or both.

        :raises BlockingIOError: what was sent before has not gone out yet, so that the end cannot;
            it is to be called again.
        """
        if how != _socket.SHUT_WR:
            self._deaf = True
            self._wake()
        if how != _socket.SHUT_RD:
            self._notify()
            if not self._flush_explained():
                refuse(errno.EAGAIN)
            self.inner.shutdown(_socket.SHUT_WR)

    def _notify(self) -> None:
        """Have ``close_notify`` stand behind the last byte."""
        if self._mute:
            return
        self._mute = True
        if not self.established or self._error is not None:
            return
        # OpenSSL also looks for the peer's, and fails for good where data stands before that.
        while not (self._hungry or self._end):
            self._keep(MAX_KEPT_BYTES)
        try:
            self._raw.shutdown()
        except SSLWantReadError:
            pass
        except SSLError as exc:
            self._fail(exc)
        self._collect()
        if self._kept is not None:
            self._wake()

    def unwrap(self) -> bytes:
        """Take one step on the way to the transport below: ``close_notify`` goes both ways.

        :returns: what has come behind the peer's: plain bytes. The peer's last encrypted ones are
            still to be read here.
        :raises BlockingIOError: it is not done; go on when what :attr:`wants` says is possible.
        :raises OSError: the connection has failed.
        """
        self._notify()
        if not self._flush_explained():
            refuse(errno.EAGAIN)
        for _ in range(MAX_FEEDS):
            while not (self._hungry or self._end):
                if self._kept is not None and len(self._kept) >= MAX_KEPT_BYTES:
                    refuse(errno.EAGAIN)
                self._keep(RECORD_BYTES)
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._end:
                return self._incoming.read()
            self._feed()
        refuse(errno.EAGAIN)

    def reset_on_close(self) -> None:
        self.inner.reset_on_close()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self.UNREAD_RESETS and not self._closed:
            self.hear_out()
        self._let_go()
        self.inner.close()

    def detach(self) -> int:
        if self._closed:
            return -1
        # The keys stay here.
        refuse(errno.ENOTSUP)

    def abandon(self) -> int:
        self._let_go()
        return self.inner.abandon()

    def leave(self) -> Transport:
        """Let go of the transport below, behind :meth:`unwrap`, and be closed; gives it."""
        self._let_go()
        return self.inner

    def _let_go(self) -> None:
        self._closed = True
        self._hungry = True
        self._kept = None
        self._error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        watchers, self._watchers = self._watchers, None
        for watcher in watchers or ():
            watcher.close()
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.close()

    # -- readiness ----------------------------------------------------------------------------

    def watch(self, loop: Any, events: int) -> Watcher:
        watcher = TLSWatcher(self, loop, events)
        if self._watchers is None:
            self._watchers = []
        self._watchers.append(watcher)
        return watcher

    def _wake(self) -> None:
        """There is something to read, though the transport below is quiet."""
        for watcher in self._watchers or ():
            watcher.wake()

    # -- what is known of it ------------------------------------------------------------------

    def sides(self) -> tuple[bool, bool]:
        return True, True

    def fileno(self) -> int:
        return self.inner.fileno()

    @property
    def family(self) -> int:
        return self.inner.family

    @property
    def proto(self) -> int:
        return self.inner.proto

    def is_connected(self) -> bool:
        return self.inner.is_connected()

    def local_name(self) -> Any:
        return self.inner.local_name()

    def remote_name(self) -> Any:
        return self.inner.remote_name()

    def option(self, level: int, name: int, /, *size: int) -> int | bytes:
        return self.inner.option(level, name, *size)

    def set_option(self, level: int, name: int, /, *value: Any) -> None:
        self.inner.set_option(level, name, *value)


if TYPE_CHECKING:
    # What is compiled has no Python class as its base: here it is held to what it implements.
    _: type[Transport] = TLSWire
