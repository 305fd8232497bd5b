"""The head of a request: what RFC 9112 allows of it, and what it says.

llhttp reads it, which is Node's parser as well. It is asked for one head at a time, so that what
it leaves open is looked at here, byte by byte: the first line, where it passes over spaces and
knows other protocols; the forms of a target; the host; codings and lengths. What two readers
could understand differently is refused.
"""

from __future__ import annotations

import re
from typing import Any

try:
    import httptools
except ImportError as _missing:
    raise ImportError(
        "gnet.wsgi needs the package httptools, which reads the requests. "
        'Install it with: pip install "gevent-net[wsgi]"'
    ) from _missing

from .refusal import RequestError

__all__ = ["END", "Head", "HeadParser"]

#: What ends a head, and nothing else does.
END = b"\r\n\r\n"

_FIRST_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n", re.ASCII
)
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)", re.ASCII)
# RFC 3986: a name of any kind, or an address in brackets; and a port.
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    r"|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?",
    re.ASCII,
)
_ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+;=-]+):\d{1,5}", re.ASCII)

# A second one is never a list's next element.
_SINGLE = frozenset(
    ("HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT")
)
# What fields of these names would be taken for, in CGI: the proxy of what the application asks.
_NOT_PASSED_ON = frozenset(("PROXY",))
# Clients say the same names over and over; who invents names is not remembered for it.
_MAX_KNOWN = 1024
_known: dict[bytes, str | None] = {}


def _variable(name: bytes) -> str | None:
    """A field's variable of CGI; ``None`` where another field's could be meant as well."""
    try:
        return _known[name]
    except KeyError:
        pass
    text = name.decode("ascii").upper()
    variable: str | None
    if "_" in text or text in _NOT_PASSED_ON:
        variable = None
    else:
        variable = text.replace("-", "_")
        if variable not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            variable = "HTTP_" + variable
    if len(_known) < _MAX_KNOWN:
        _known[name] = variable
    return variable


class Head:
    """What the head of a request says.

    :ivar method: as it was sent.
    :ivar target: as it was sent, or for an absolute one what is behind its authority.
    :ivar protocol: ``"HTTP/1.0"`` or ``"HTTP/1.1"``.
    :ivar variables: the fields, as CGI's variables.
    :ivar length: of the body, in bytes; ``None`` where it comes in chunks.
    :ivar keep_alive: whether the client wants to go on with the connection.
    :ivar upgrade: whether it asks for another protocol: an upgrade, or ``CONNECT``.
    :ivar expects_continue: whether it waits to be told to send the body.
    :ivar takes_trailers: whether it wants the fields behind a body in chunks.
    """

    __slots__ = (
        "expects_continue", "keep_alive", "length", "method", "protocol", "takes_trailers",
        "target", "upgrade", "variables",
    )  # fmt: skip

    def __init__(self, method: str, target: str, protocol: str, variables: dict[str, str]) -> None:
        self.method: str = method
        self.target: str = target
        self.protocol: str = protocol
        self.variables: dict[str, str] = variables
        self.length: int | None = 0
        self.expects_continue: bool = False
        self.upgrade: bool = False
        self.takes_trailers: bool = False
        self.keep_alive: bool = protocol == "HTTP/1.1"

    @property
    def line(self) -> str:
        """The request in one line, for a log."""
        return f"{self.method} {self.target} {self.protocol}"

    def check(self, allow_connect: bool) -> None:
        """Find out what the fields mean for the connection.

        :raises RequestError: they mean nothing, or more than one thing.
        """
        variables = self.variables
        self._check_framing(variables)
        host = variables.get("HTTP_HOST")
        if host is None:
            if self.protocol == "HTTP/1.1":
                raise RequestError(400, "no Host")
        elif not _HOST.fullmatch(host):
            raise RequestError(400, "the Host is malformed")
        self._check_target(allow_connect)
        if "HTTP_CONNECTION" in variables:
            self._obey_connection(variables)
        if "HTTP_EXPECT" in variables:
            if variables["HTTP_EXPECT"].lower() != "100-continue":
                raise RequestError(417, "an unknown expectation")
            self.expects_continue = self.length != 0 and self.protocol == "HTTP/1.1"

    def _check_framing(self, variables: dict[str, str]) -> None:
        length = variables.get("CONTENT_LENGTH")
        coding = variables.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            if length is not None:
                raise RequestError(400, "both a length and a transfer coding")
            if self.protocol != "HTTP/1.1":
                raise RequestError(400, "a transfer coding in HTTP/1.0")
            if coding.lower() != "chunked":
                raise RequestError(501, "an unknown transfer coding")
            self.length = None
        elif length is not None:
            # int() takes more than the digits of a length: signs, underscores, other scripts'.
            if not (length.isascii() and length.isdigit()) or len(length) > 19:
                raise RequestError(400, "the Content-Length is malformed")
            self.length = int(length)

    def _check_target(self, allow_connect: bool) -> None:
        target = self.target
        if self.method == "CONNECT":
            if not allow_connect:
                raise RequestError(501, "CONNECT is not allowed")
            if not _AUTHORITY.fullmatch(target) or self.length != 0:
                raise RequestError(400, "CONNECT without a host and a port")
            self.upgrade = True
        elif "#" in target:
            raise RequestError(400, "a fragment in the target")
        elif target[0] == "/":
            return
        elif target == "*":
            if self.method != "OPTIONS":
                raise RequestError(400, "the target * is for OPTIONS")
        else:
            match = _ABSOLUTE.fullmatch(target)
            if match is None:
                raise RequestError(400, "the target is malformed")
            host, rest = match.groups()
            if not host or not _HOST.fullmatch(host):
                raise RequestError(400, "the host of the target is malformed")
            # RFC 9112, section 3.2.2: whatever the field says.
            self.variables["HTTP_HOST"] = host
            self.target = rest if rest[:1] == "/" else "/" + rest

    def _obey_connection(self, variables: dict[str, str]) -> None:
        options = [each.strip(" \t") for each in variables["HTTP_CONNECTION"].lower().split(",")]
        if "close" in options:
            self.keep_alive = False
        elif "keep-alive" in options:
            self.keep_alive = True
        if "te" in options and "HTTP_TE" in variables:
            elements = variables["HTTP_TE"].lower().split(",")
            self.takes_trailers = "trailers" in [each.strip(" \t") for each in elements]
        if "upgrade" in options and "HTTP_UPGRADE" in variables and self.protocol == "HTTP/1.1":
            # Raw bytes are no body: of a request that has one they would be taken for it.
            self.upgrade = self.upgrade or self.length == 0


class HeadParser:
    """Reads the heads of one connection, one after another.

    :param max_headers: so many fields are taken.
    :param allow_connect: whether ``CONNECT`` is.
    """

    __slots__ = ("_allow_connect", "_complete", "_fields", "_max_headers", "_parser")

    def __init__(self, max_headers: int, allow_connect: bool) -> None:
        self._max_headers = max_headers
        self._allow_connect = allow_connect
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser: Any = None
        self._complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp has read a field."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp has seen the end of the head."""
        self._complete = True

    def parse(self, data: bytes) -> Head:
        """Read one head.

        :param data: the head, from its first line to the empty one.
        :raises RequestError: it is malformed.
        """
        match = _FIRST_LINE.match(data)
        if match is None:
            raise RequestError(400, "the first line is malformed")
        method, target, major, minor = match.groups()
        if major != b"1" or minor not in (b"0", b"1"):
            raise RequestError(505, "an unsupported version of HTTP")
        self._fields.clear()
        self._feed(data)
        if not self._complete:
            raise RequestError(400, "the head has no end")
        head = Head(
            method.decode("ascii"),
            target.decode("ascii"),
            "HTTP/1.1" if minor == b"1" else "HTTP/1.0",
            self._variables(),
        )
        head.check(self._allow_connect)
        if head.length != 0:
            # It would take what comes next for the body.
            self._parser = None
        return head

    def check_beginning(self, data: bytes | bytearray, more: bytes) -> None:
        """Refuse what cannot become a head, however it goes on.

        :param data: what there is of a head.
        :param more: what of that has come since the last call for this head.
        :raises RequestError: this is not a head.
        """
        if b"\r\n" in data and not _FIRST_LINE.match(data):
            raise RequestError(400, "the first line is malformed")
        if not _METHOD.match(data):
            # Beyond that, a method is only one that is not known.
            raise RequestError(400, "the first line is malformed")
        if len(more) == len(data):
            self._parser = None
            self._fields.clear()
        self._feed(more)
        if self._complete:
            raise RequestError(400, "the head ends in a malformed way")

    def reset(self) -> None:
        """What was seen of a head was its beginning, or the connection is over."""
        self._parser = None

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        self._complete = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # It reads no more; its successor begins behind what the upgrade was.
            self._parser = None
        except httptools.HttpParserInvalidMethodError:
            raise RequestError(501, "an unknown method") from None
        except httptools.HttpParserError as exc:
            raise RequestError(400, str(exc)) from None
        if len(self._fields) > self._max_headers:
            raise RequestError(431, "too many fields")

    def _variables(self) -> dict[str, str]:
        variables: dict[str, str] = {}
        for name, value in self._fields:
            variable = _variable(name)
            if variable is None:
                continue
            text = value.decode("latin-1").strip(" \t")
            if variable not in variables:
                variables[variable] = text
            elif variable in _SINGLE:
                raise RequestError(400, f"two fields for {variable}")
            else:
                separator = "; " if variable == "HTTP_COOKIE" else ","
                variables[variable] += separator + text
        return variables
