"""STARTTLS: what is said ahead of the handshake, in each protocol that has it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from .._socket.socket import Socket
from ..errors import printable
from .session import CommandError

__all__ = ["PROTOCOLS", "ask_for_tls"]

# A line of an answer, at the most.
LINE_BYTES = 8192
# The question of PostgreSQL's clients (Message Formats: SSLRequest).
POSTGRES_REQUEST = struct.pack("!ii", 8, 80877103)
# MySQL's flags (Capabilities Flags): the protocol of 4.1, TLS, and the passwords of 4.1.
MYSQL_FLAGS = 0x200 | 0x800 | 0x8000
MYSQL_TLS = 0x800
MYSQL_UTF8 = 45
MYSQL_PACKET_BYTES = 1 << 24


def ask_for_tls(sock: Socket, protocol: str) -> None:
    """Have the server expect a handshake; block until it does.

    :param protocol: one of :data:`PROTOCOLS`.
    :raises CommandError: it refuses.
    :raises OSError: what the connection has failed with.
    """
    with sock.makefile("rwb", 0) as file:
        PROTOCOLS[protocol](file)


def _smtp(file: Any) -> None:
    _expect(_reply(file), b"220")
    file.write(b"EHLO gnet\r\n")
    _expect(_reply(file), b"250")
    file.write(b"STARTTLS\r\n")
    _expect(_reply(file), b"220")


def _ftp(file: Any) -> None:
    _expect(_reply(file), b"220")
    file.write(b"AUTH TLS\r\n")
    _expect(_reply(file), b"234")


def _imap(file: Any) -> None:
    _expect(_line(file), b"* OK")
    file.write(b"a STARTTLS\r\n")
    while (line := _line(file)).startswith(b"* "):
        pass
    _expect(line, b"a OK")


def _pop3(file: Any) -> None:
    _expect(_line(file), b"+OK")
    file.write(b"STLS\r\n")
    _expect(_line(file), b"+OK")


def _postgres(file: Any) -> None:
    file.write(POSTGRES_REQUEST)
    _expect(_exactly(file, 1), b"S")


def _mysql(file: Any) -> None:
    size = int.from_bytes(_exactly(file, 4)[:3], "little")
    greeting = _exactly(file, size)
    # The version of the protocol, the server's with a zero behind it, the number of the
    # connection, eight bytes for the password, a zero, and the flags.
    _, _, rest = greeting.partition(b"\0")
    flags = int.from_bytes(rest[13:15], "little")
    if greeting[:1] != b"\x0a" or not flags & MYSQL_TLS:
        raise _refused(greeting if greeting[:1] != b"\x0a" else b"it has no TLS")
    body = struct.pack("<IIB23x", MYSQL_FLAGS, MYSQL_PACKET_BYTES, MYSQL_UTF8)
    file.write(len(body).to_bytes(3, "little") + b"\x01" + body)


#: What is to be said, by the name of the protocol.
PROTOCOLS: dict[str, Callable[[Any], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ftp": _ftp,
    "postgres": _postgres,
    "mysql": _mysql,
}


def _line(file: Any) -> bytes:
    line: bytes = file.readline(LINE_BYTES)
    if not line.endswith(b"\n"):
        raise _refused(line or b"it has ended the connection")
    return line.rstrip(b"\r\n")


def _reply(file: Any) -> bytes:
    """The last line of a reply of several, as SMTP and FTP have them."""
    line = _line(file)
    if re.match(rb"\d{3}-", line):
        code = line[:3]
        while not line.startswith(code + b" "):
            line = _line(file)
    return line


def _exactly(file: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = file.read(size - len(data))
        if not part:
            raise _refused(b"it has ended the connection")
        data += part
    return data


def _expect(answer: bytes, beginning: bytes) -> None:
    if not answer.startswith(beginning):
        raise _refused(answer)


def _refused(answer: bytes) -> CommandError:
    text = answer[:200].decode("utf-8", "backslashreplace")
    return CommandError(f"the server does not begin TLS: {printable(text)}")
