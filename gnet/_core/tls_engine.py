"""OpenSSL under a TLS connection: what is received, sent and answered.

OpenSSL works between two buffers in memory (:class:`ssl.MemoryBIO`): what the transport below
gives goes into the one, and what stands in the other is sent. By the descriptor, as
``ssl.SSLSocket`` does it, OpenSSL reads and writes by itself, two reads and a write for each
record. That is no faster (the server's processor time for an echo, by descriptor and in memory:
1 KiB 14.2 and 14.2 us, 16 KiB 28 and 27 us, 1 MiB 1.97 and 1.91 ms; a handshake 556 and 556 us;
Python 3.11, OpenSSL 3.0), and it cannot be done over pipes, in memory, or over TLS.

So OpenSSL never waits, and neither a read that has to answer something nor a write that has to
hear something first is stuck: what is to be sent besides the program's bytes goes out as soon as
the transport below takes it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from ssl import (
    SSL_ERROR_EOF,
    MemoryBIO,
    SSLContext,
    SSLEOFError,
    SSLError,
    SSLWantReadError,
    SSLZeroReturnError,
)
from typing import Any
from weakref import ref

from gevent import get_hub

from .._transport import stream_socket
from .._transport.protocol import READ, WRITE, Transport, Watcher, refuse
from .._values.tls_errors import annotate_tls
from .tls_sizes import CIPHER_BYTES, MAX_ANSWER_BYTES, MAX_FEEDS, RECORD_BYTES

__all__ = ["TLSEngine"]


class TLSEngine:
    """OpenSSL between what the program has and what travels.

    :param inner: what the encrypted bytes travel on.
    :param context: the keys, and whom to believe.
    :param server_side: whether the peer is the client.
    :param server_hostname: for a client, whom the server has to be, and is told that it is meant;
        ``None`` for nobody.
    :param session: for a client, the ``ssl.SSLSession`` to resume.
    :param received: what has been read from ``inner`` already.
    :ivar engine: the ``ssl.SSLObject``, for questions about the connection.
    :ivar established: whether the handshake is done.
    :ivar truncated: whether the transport below has ended without the peer's ``close_notify``.
    :ivar strict: whether that is an error.
    :ivar stuck: whether nothing can be written before something was read.
    """

    __slots__ = (
        "_answered", "_begun", "_cipher", "_deaf", "_done", "_end", "_error", "_flusher",
        "_hungry", "_incoming", "_kept", "_more", "_mute", "_outgoing", "_owed", "_raw", "_read",
        "_session", "_session_listener", "_write", "engine", "established", "inner", "strict",
        "stuck", "truncated",
    )  # fmt: skip

    def __init__(
        self,
        inner: Transport,
        context: SSLContext,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: Any = None,
        received: bytes = b"",
    ) -> None:
        incoming, outgoing = MemoryBIO(), MemoryBIO()
        engine: Any = context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if server_side and getattr(context, "sni_callback", None) is not None:
            # gevent's patched context gives the callback what this names, and here that is no
            # socket of gevent's.
            engine._sslsock = ref(engine)
        self.inner = inner
        self.engine = engine
        self.established = False
        self.truncated = False
        self.strict = False
        self._incoming = incoming
        self._outgoing = outgoing
        self._raw = engine._sslobj
        self._read: Callable[..., bytes] = self._raw.read
        self._write: Callable[..., int] = self._raw.write
        # OpenSSL does nothing until more encrypted bytes come; a client speaks first.
        self._hungry = server_side and not received
        # The last read of those filled its buffer.
        self._more = False
        # Application bytes that nobody has taken yet.
        self._kept: bytearray | None = None
        # Nothing more comes: the peer's close_notify has, or the transport below has ended.
        self._end = False
        # This side reads no more, and sends no more.
        self._deaf = False
        self._mute = False
        # What every further read, and write, fails with.
        self._error: BaseException | None = None
        # Encrypted bytes that the transport below has not taken.
        self._cipher: bytes | memoryview | None = None
        # So many bytes of the program's are in there; so many more have gone out since the last
        # call that gave a count.
        self._owed = 0
        self._done = 0
        # So many bytes are missing of a record of which a part has gone out.
        self._begun = 0
        # How many bytes of answers to the peer are in there as well.
        self._answered = 0
        # OpenSSL writes no more until it has read something.
        self.stuck = False
        self._flusher: Watcher | None = None
        # Whom to tell of sessions, and the last one that he was told of.
        self._session_listener: Callable[[Any], object] | None = None
        self._session: Any = None
        if received:
            incoming.write(received)

    # -- the handshake ------------------------------------------------------------------------

    def handshake(self) -> None:
        """Take one step of the handshake.

        :raises BlockingIOError: it is not done; go on when what :attr:`wants` says is possible.
        :raises OSError: it has failed: an :class:`ssl.SSLError`, ``ECONNRESET`` when the peer has
            gone. What is to be told to the peer has been sent, as far as that was possible.
        """
        if self._cipher is None and not self.established:
            if self._hungry:
                self._feed()
                if self._end:
                    refuse(errno.ECONNRESET)
            self._advance()
        if not self._flush_explained() or not self.established:
            refuse(errno.EAGAIN)

    def _advance(self) -> None:
        """Have OpenSSL go on with what has come."""
        try:
            self._raw.do_handshake()
            self.established = True
            self._hungry = not self._incoming.pending
        except SSLWantReadError:
            self._hungry = True
        except SSLError as exc:
            raise self._fail(exc) from None
        self._collect()

    def _flush_explained(self) -> bool:
        """:meth:`_flush`; an alert of the peer's tells more than that the peer has gone."""
        try:
            return self._flush()
        except OSError as exc:
            raise self._explained(exc) from None

    def _explained(self, exc: OSError) -> BaseException:
        """The alert that a peer has sent ahead of its reset, where there is one."""
        try:
            for _ in range(MAX_FEEDS):
                if self.established:
                    self._keep(RECORD_BYTES)
                else:
                    self._advance()
                if self._end:
                    # Behind its end nothing comes, not even that of the transport below.
                    break
                self._feed()
        except OSError as other:
            if isinstance(other, SSLError):
                return other
        return exc if self._error is None else self._error

    @property
    def wants(self) -> int:
        """What a handshake, or an :meth:`unwrap`, that is not done waits for from below."""
        return READ if self._cipher is None else WRITE

    # -- what has been received ---------------------------------------------------------------

    def _decrypt(self, parts: list[bytes], size: int) -> int:
        """Put what OpenSSL has behind the parts, up to ``size`` bytes; gives how many."""
        got = 0
        while got < size:
            wanted = size - got
            if wanted > RECORD_BYTES:
                wanted = RECORD_BYTES
            try:
                data = self._read(wanted)
            except SSLWantReadError:
                self._hungry = True
                break
            except SSLZeroReturnError:
                data = b""
            except SSLError as exc:
                self._fail(exc)
                break
            if not data:
                # The peer's close_notify.
                self._end = True
                break
            parts.append(data)
            count = len(data)
            got += count
            # To ask once more, and be told by an exception that there is nothing, takes as long
            # as half a small message.
            if count < wanted and not self._incoming.pending:
                self._hungry = True
                break
        return got

    def _feed(self) -> None:
        """Give OpenSSL encrypted bytes.

        :raises BlockingIOError: there are none.
        """
        data = stream_socket.receive(self.inner, CIPHER_BYTES)
        if data:
            self._incoming.write(data)
            self._hungry = False
            self.stuck = False
            self._more = len(data) == CIPHER_BYTES
            return
        self._end = True
        self._more = False
        self.truncated = True
        if self.strict and self.established:
            text = "EOF occurred in violation of protocol"
            self._error = annotate_tls(SSLEOFError(SSL_ERROR_EOF, text))

    def hear_out(self) -> None:
        """Take what has come, tickets above all: a close with that unread may be a reset."""
        if self.established and not self._end:
            with suppress(OSError):
                self._feed()

    def _keep(self, size: int) -> None:
        """Decrypt so many bytes at the most, and keep them."""
        parts: list[bytes] = []
        if self._decrypt(parts, size):
            self._kept = bytearray().join([self._kept or b"", *parts])

    def tell_sessions(self, listener: Callable[[Any], object]) -> None:
        """Call back with every ``ssl.SSLSession`` that the server gives, with one it has given."""
        self._session_listener = listener
        self._look_for_session(listener)

    def _look_for_session(self, listener: Callable[[Any], object]) -> None:
        # With TLS 1.3 there is one from the beginning, which is of no use without its ticket; each
        # further ticket makes another one.
        session = self._raw.session
        if session is None or session == self._session:
            return
        if session.has_ticket or (session.id and self._raw.version() != "TLSv1.3"):
            self._session = session
            listener(session)

    def has_input(self) -> bool:
        """Whether a read would give something, or fail, though the transport below is quiet."""
        return (
            self._kept is not None
            or not self._hungry
            or self._end
            or self._deaf
            or self._error is not None
        )

    # -- what is to be sent -------------------------------------------------------------------

    def _encrypt(self, data: Any, start: int, size: int) -> int:
        """Encrypt bytes of ``data`` from ``start``; gives how many, 0 if OpenSSL writes none."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        end = min(start + CIPHER_BYTES, size)
        if start or end < size:
            data = memoryview(data)[start:end]
        count = 0
        size = end - start
        try:
            while count < size:
                # A record a call, whatever there is.
                count += self._write(memoryview(data)[count:] if count else data)
        except SSLWantReadError:
            if not count:
                self._hear_first()
        except SSLError as exc:
            raise self._fail(exc) from None
        return count

    def _hear_first(self) -> None:
        """OpenSSL has to read before it writes: a handshake in mid-stream (up to TLS 1.2)."""
        self._collect()
        if self._flush_explained():
            self.stuck = True
            self._keep(RECORD_BYTES)
            if not self._end:
                self._feed()

    def _collect(self) -> int:
        """Have what OpenSSL has written stand behind what is still to be sent."""
        outgoing = self._outgoing
        if not outgoing.pending:
            return 0
        data = outgoing.read()
        self._cipher = data if self._cipher is None else b"".join((self._cipher, data))
        return len(data)

    def _flush(self) -> bool:
        """Send encrypted bytes; tells whether none are left."""
        cipher = self._cipher
        while cipher is not None:
            size = len(cipher)
            try:
                sent = stream_socket.send(self.inner, cipher)
            except BlockingIOError:
                return False
            if sent == size:
                self._done += self._owed
                self._owed = self._begun = 0
                cipher = None
            else:
                self._count(cipher, sent)
                cipher = memoryview(cipher)[sent:]
            self._cipher = cipher
        self._answered = 0
        return True

    def _count(self, cipher: bytes | memoryview, sent: int) -> None:
        """Count the program's bytes in the records that have gone out whole."""
        end = self._begun or _record_size(cipher, 0)
        while end <= sent:
            part = min(self._owed, RECORD_BYTES)
            self._owed -= part
            self._done += part
            end += _record_size(cipher, end)
        self._begun = end - sent

    def _answer(self) -> None:
        """OpenSSL has something to say to the peer, besides the program's bytes."""
        self._answered += self._collect()
        try:
            if self._flush():
                return
        except OSError:
            # The next call of the program's hears of that.
            return
        if self._answered > MAX_ANSWER_BYTES:
            self._fail(SSLError(1, "the peer asks for answers, and does not read them"))
        else:
            self._flush_later()

    def _flush_later(self) -> None:
        """Have the loop send what the transport below does not take now."""
        if self._flusher is None:
            self._flusher = self.inner.watch(get_hub().loop, WRITE)
        self._flusher.start(self._flush_answer)

    def _flush_answer(self) -> None:
        """In the hub: the transport below takes more."""
        try:
            if not self._flush():
                return
        except OSError:
            pass
        if self._flusher is not None:
            self._flusher.stop()

    def _fail(self, exc: SSLError) -> BaseException:
        """OpenSSL has given the connection up: the peer is told why."""
        self._error = error = annotate_tls(exc).with_traceback(None)
        self._collect()
        # Nothing more is to be had of it.
        self._hungry = True
        with suppress(OSError):
            self._flush()
        return error

    def _wake(self) -> None:
        """There is something to read, though the transport below is quiet."""
        raise NotImplementedError


def _record_size(cipher: bytes | memoryview, place: int) -> int:
    """The size of the record that begins at a place (RFC 8446, section 5.1)."""
    return 5 + int.from_bytes(cipher[place + 3 : place + 5], "big")
