"""Through a proxy: SOCKS5 (RFC 1928, RFC 1929), and CONNECT of HTTP (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .._socket.socket import Socket
from .._values.addresses import is_ip
from ..dns.names import ascii_name
from .place import Place

__all__ = ["Proxy", "ProxyError"]

PORTS = {"socks5": 1080, "socks5h": 1080, "http": 80}
#: The longest answer of an HTTP proxy that is read, in bytes.
MAX_ANSWER_BYTES = 65536

NO_LOGIN, LOGIN, REFUSED = 0, 2, 255
IPV4, NAME, IPV6 = 1, 3, 4
# RFC 1928, section 6.
SOCKS_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


class ProxyError(ConnectionError):
    """The proxy does not connect."""


class Proxy(NamedTuple):
    """A proxy, as its URL says it. Names of hosts are for the proxy to look up.

    :ivar place: where it is.
    """

    scheme: str
    place: Place
    user: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read a URL: ``socks5://[USER:PASSWORD@]HOST[:PORT]``, or the same with ``http``.

        :raises ValueError: it is none; the message says what is wrong, and not the password.
        """
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError:
            # The error's own text may quote a password.
            raise ValueError("that is no URL") from None
        if url.scheme not in PORTS:
            raise ValueError(f"a proxy is socks5://… or http://…, not {url.scheme or 'that'}")
        if not host or url.path not in ("", "/") or url.query or url.fragment:
            raise ValueError(f"a proxy is {url.scheme}://[USER:PASSWORD@]HOST[:PORT]")
        place = Place.of(host, str(PORTS[url.scheme] if port is None else port))
        user = None if url.username is None else unquote(url.username)
        proxy = cls(url.scheme, place, user, unquote(url.password or ""))
        proxy._check_login()
        return proxy

    def _check_login(self) -> None:
        if self.user is None:
            return
        if self.scheme == "http":
            if ":" in self.user:
                raise ValueError("a user of an HTTP proxy has no colon in the name")
        elif not all(1 <= len(each.encode()) <= 255 for each in (self.user, self.password)):
            raise ValueError("user and password of a SOCKS proxy have 1 to 255 bytes")

    def connect(self, sock: Socket, place: Place) -> None:
        """Have the proxy at the other end connect to a place; block until it has.

        :raises ProxyError: it does not.
        :raises OSError: the connection to it fails.
        """
        if self.scheme == "http":
            self._connect_by_http(sock, place)
        else:
            self._connect_by_socks(sock, place)

    # -- HTTP ---------------------------------------------------------------------------------

    def _connect_by_http(self, sock: Socket, place: Place) -> None:
        target = str(Place(place.port, _host(place)))
        head = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.user is not None:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            head.append(f"Proxy-Authorization: Basic {login}")
        sock.sendall("\r\n".join([*head, "", ""]).encode("ascii"))
        answer = bytearray()
        # What stands behind it is the connection's.
        while not answer.endswith((b"\r\n\r\n", b"\n\n")):
            answer += _receive(sock, 1)
            if len(answer) > MAX_ANSWER_BYTES:
                raise ProxyError("the proxy's answer is too long")
        status = answer.split(b"\n", 1)[0].strip().decode("ascii", "backslashreplace")
        version, _, reason = status.partition(" ")
        if not version.startswith("HTTP/1.") or not reason[:3].isdigit():
            raise ProxyError(f"the proxy speaks no HTTP: {status}")
        if not reason.startswith("2"):
            raise ProxyError(f"the proxy refuses: {reason}")

    # -- SOCKS --------------------------------------------------------------------------------

    def _connect_by_socks(self, sock: Socket, place: Place) -> None:
        methods = [NO_LOGIN] if self.user is None else [NO_LOGIN, LOGIN]
        sock.sendall(bytes((5, len(methods), *methods)))
        version, method = _receive(sock, 2)
        if version != 5:
            raise ProxyError("the proxy speaks no SOCKS5")
        if method == LOGIN and self.user is not None:
            self._log_in(sock)
        elif method != NO_LOGIN:
            wanted = "a user and a password" if self.user is None else "another way to log in"
            raise ProxyError(f"the proxy wants {wanted}")
        sock.sendall(bytes((5, 1, 0)) + _socks_address(place))
        _, reply, _, kind = _receive(sock, 4)
        if reply:
            why = SOCKS_REPLIES.get(reply, f"reply {reply}")
            raise ProxyError(f"the proxy cannot connect to {place}: {why}")
        # Its own address, which nobody needs.
        sizes = {IPV4: 4, IPV6: 16}
        size = _receive(sock, 1)[0] if kind == NAME else sizes.get(kind)
        if size is None:
            raise ProxyError("the proxy speaks no SOCKS5")
        _receive(sock, size + 2)

    def _log_in(self, sock: Socket) -> None:
        words = [each.encode() for each in (self.user or "", self.password)]
        sock.sendall(b"\x01" + b"".join(bytes((len(each),)) + each for each in words))
        if _receive(sock, 2)[1]:
            raise ProxyError("the proxy refuses user and password")


def _host(place: Place) -> str:
    """The host as the proxy is told it."""
    host = place.host or "localhost"
    return host if is_ip(host) else ascii_name(host)


def _socks_address(place: Place) -> bytes:
    host = _host(place)
    port = int(place.port or 0).to_bytes(2, "big")
    if is_ip(host):
        # A zone is this machine's, and not the proxy's.
        ip = ip_address(host.partition("%")[0])
        return bytes((IPV4 if ip.version == 4 else IPV6,)) + ip.packed + port
    name = host.encode("ascii")
    return bytes((NAME, len(name))) + name + port


def _receive(sock: Socket, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ProxyError("the proxy has ended the connection")
        data += chunk
    return data
