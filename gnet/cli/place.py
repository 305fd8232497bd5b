"""Where to listen or to connect to, as the command line says it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from .._values.addresses import is_ip, is_ipv6, place_text

__all__ = ["ALL", "Place", "parse_port"]

#: In the place of a host: every address of this machine, for listening.
ALL = "*"
#: Where to listen when no host is named, and on every address, by family.
LOOPBACK = {0: "127.0.0.1", 4: "127.0.0.1", 6: "::1"}
UNSPECIFIED: dict[int, str | None] = {0: None, 4: "0.0.0.0", 6: "::"}
FORMS = "8124, host:8124, [::1]:8124, unix:/path or unix:@name"
MAX_PORT = 65535
UNIX = "unix:"
# The beginnings of the names of Windows' pipes.
WINDOWS_PIPES = ("\\\\.\\pipe\\", "\\\\?\\pipe\\")


class Place(NamedTuple):
    """A port and perhaps a host, or a path; ``str()`` gives the form that :meth:`parse` reads."""

    port: int | None = None
    host: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a target.

        :param text: ``"8124"``, ``"host:8124"``, ``"[::1]:8124"``, ``"unix:/path"``, or
            ``"unix:@name"`` for an abstract name of Linux; the name of a pipe on Windows.
        :raises ValueError: it is not a target; the message says what is wrong.
        """
        if text.startswith(UNIX):
            return cls(path=_path(text.removeprefix(UNIX), text))
        if text.startswith(WINDOWS_PIPES):
            return cls(path=text)
        host, colon, port = text.rpartition(":")
        return cls(parse_port(port, text), _host(host, text) if colon else None)

    @classmethod
    def of(cls, host: str, port: str) -> Place:
        """Read a host and a port as ``nc`` has them, two arguments; IPv6 needs no brackets.

        :raises ValueError: they are none; the message says what is wrong.
        """
        text = f"{host} {port}"
        number = parse_port(port, text)
        return cls(number, host if is_ip(host) else _host(host, text))

    @property
    def options(self) -> dict[str, Any]:
        """The place as keyword arguments of ``connect()``."""
        if self.path is not None:
            return {"path": self.path}
        return {"port": self.port, "host": self.host}

    def listening(self, family: int = 0) -> dict[str, Any]:
        """The place as keyword arguments of ``listen()``: where no host is named, the loopback.

        :param family: ``4`` or ``6`` for that alone.
        """
        if self.path is not None:
            return {"path": self.path}
        host = UNSPECIFIED[family] if self.host == ALL else self.host or LOOPBACK[family]
        return {"port": self.port, "host": host, "ipv6_only": family == 6}

    def __str__(self) -> str:
        if self.path is not None:
            if self.path.startswith(WINDOWS_PIPES):
                return self.path
            return UNIX + ("@" + self.path[1:] if self.path.startswith("\0") else self.path)
        if self.host is None:
            return str(self.port)
        return place_text(self.host, self.port)


def _wrong(text: str, why: str) -> ValueError:
    return ValueError(f"{text!r}: {why}; a target is {FORMS}")


def _path(path: str, text: str) -> str:
    if path in ("", "@"):
        raise _wrong(text, "the path is empty")
    if "\0" in path:
        raise _wrong(text, "a path has no NUL character")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise _wrong(text, "the file system has no such name") from None
    return "\0" + path[1:] if path.startswith("@") else path


def parse_port(port: str, text: str) -> int:
    """Read a port.

    :param text: what it stands in, for the error.
    :raises ValueError: it is none.
    """
    # int() also takes signs, spaces, underscores and other alphabets' digits; and refuses more
    # digits than no port has.
    if not port.isascii() or not port.isdigit() or len(port) > len(str(MAX_PORT)):
        raise _wrong(text, f"it has no port from 0 to {MAX_PORT}")
    if int(port) > MAX_PORT:
        raise _wrong(text, f"it has no port from 0 to {MAX_PORT}")
    return int(port)


def _host(host: str, text: str) -> str | None:
    if host.startswith("[") and host.endswith("]"):
        if not is_ipv6(host[1:-1]):
            raise _wrong(text, "no IPv6 address between the brackets")
        return host[1:-1]
    if is_ip(host) == 6:
        raise _wrong(text, f"an IPv6 address has brackets, [{host}]")
    if any(each in ":[]/\\@" or each.isspace() or not each.isprintable() for each in host):
        raise _wrong(text, "no host name")
    return host or None
