"""The first message of a TLS client: whether all of it is there, and whom it asks for.

A server has to know the name before it chooses a certificate, and may have to wait for that one;
inside OpenSSL's callback it cannot. So the message is read here first, and given to OpenSSL then.
OpenSSL's callback would not do for another reason: the interpreter prints a traceback for each
name that is not ASCII, and a stranger chooses the name.

Nothing is decided here about the message itself. What is wrong with it OpenSSL finds, and says so
to the client. From RFC 8446, sections 4 and 5.1, and RFC 6066, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MAX_HELLO_BYTES", "ClientHello", "HelloReader"]

#: A client that says more has its message read by OpenSSL alone, which takes twice as much.
MAX_HELLO_BYTES = 65536

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
_RECORD_HEADER = 5
_MESSAGE_HEADER = 4
# The version and the random number, which come first.
_FIXED_BYTES = 34


class ClientHello(NamedTuple):
    """What a client has begun with.

    :ivar is_one: whether it is a client's first message at all, and whole.
    :ivar server_name: whom it asks for: in lower case, without a last dot; ``None`` for nobody,
        and for what is no name.
    :ivar protocols: the names of ALPN, the client's first choice first.
    """

    is_one: bool
    server_name: str | None = None
    protocols: tuple[str, ...] = ()


class HelloReader:
    """Reads a client's first message as it comes; it may come in any pieces.

    :ivar received: all that has come.
    """

    __slots__ = ("_message", "_place", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        # The message, out of the records that are read; the next one begins at the place.
        self._message = bytearray()
        self._place = 0

    def feed(self, data: bytes) -> ClientHello | None:
        """Take what has come.

        :returns: ``None`` when more has to come; what is no such message is given at its first
            byte that shows it.
        """
        received = self.received
        received += data
        while True:
            header = received[self._place : self._place + _RECORD_HEADER]
            if header and (header[0] != _HANDSHAKE or not b"\x03".startswith(header[1:2])):
                return ClientHello(False)
            if len(header) < _RECORD_HEADER:
                return None
            begin = self._place + _RECORD_HEADER
            end = begin + int.from_bytes(header[3:], "big")
            if end == begin or end > MAX_HELLO_BYTES:
                return ClientHello(False)
            if end > len(received):
                return None
            self._message += received[begin:end]
            self._place = end
            whole = self._whole(self._message)
            if whole is not None:
                return whole

    def _whole(self, message: bytearray) -> ClientHello | None:
        """The message, if all of it is there."""
        if message[0] != _CLIENT_HELLO:
            return ClientHello(False)
        if len(message) < _MESSAGE_HEADER:
            return None
        size = int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        if len(message) < _MESSAGE_HEADER + size:
            return None
        try:
            return _read(bytes(message[_MESSAGE_HEADER : _MESSAGE_HEADER + size]))
        except (IndexError, ValueError):
            # A field is longer than what it is in.
            return ClientHello(False)


class _Fields:
    """Fields of a message, one behind the other, each with its length ahead."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, so many.

        :raises IndexError: there are fewer.
        """
        end = self._place + count
        if end > len(self._data):
            raise IndexError(end)
        taken = self._data[self._place : end]
        self._place = end
        return taken

    def number(self, size: int) -> int:
        """The next number, of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def sized(self, size: int) -> bytes:
        """The next field, whose length takes so many bytes."""
        return self.take(self.number(size))


def _read(message: bytes) -> ClientHello:
    fields = _Fields(message)
    fields.take(_FIXED_BYTES)
    fields.sized(1)  # The session
    fields.sized(2)  # the ciphers
    fields.sized(1)  # the compressions
    name = None
    protocols: tuple[str, ...] = ()
    extensions = _Fields(fields.sized(2) if fields else b"")
    while extensions:
        kind, data = extensions.number(2), extensions.sized(2)
        if kind == _SERVER_NAME:
            name = _server_name(data)
        elif kind == _ALPN:
            protocols = tuple(_protocols(data))
    return ClientHello(True, name, protocols)


def _server_name(data: bytes) -> str | None:
    names = _Fields(_Fields(data).sized(2))
    kind, name = names.number(1), names.sized(2)
    if kind or not name.isascii() or b"\0" in name:
        return None
    return name.decode("ascii").lower().removesuffix(".") or None


def _protocols(data: bytes) -> list[str]:
    names = _Fields(_Fields(data).sized(2))
    found = []
    while names:
        found.append(names.sized(1).decode("latin-1"))
    return found
