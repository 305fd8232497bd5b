"""The ``environ`` of a request: what PEP 3333 and CGI (RFC 3875) say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .head import Head

if TYPE_CHECKING:
    from .._socket.socket import Socket

__all__ = ["of_connection", "of_request"]

_MAPPED = "::ffff:"


def of_connection(base: dict[str, Any], sock: Socket) -> dict[str, Any]:
    """What the requests of a connection have in common.

    :param base: what those of its server have; it wins.
    """
    environ = {
        "SERVER_NAME": _plain(sock.local_address) or "localhost",
        "SERVER_PORT": str(sock.local_port or 80),
        "REMOTE_ADDR": _plain(sock.remote_address) or "",
        "gnet.socket": sock,
    }
    if sock.remote_port is not None:
        environ["REMOTE_PORT"] = str(sock.remote_port)
    if sock.encrypted:
        environ.update(_of_tls(sock))
    environ.update(base)
    return environ


def _of_tls(sock: Socket) -> dict[str, Any]:
    """What says that a connection is encrypted, and who the client is: the names of mod_ssl."""
    found = {"HTTPS": "on", "SSL_CLIENT_VERIFY": "SUCCESS" if sock.authorized else "NONE"}
    certificate = sock.getpeercert(True)
    if certificate is not None:
        # The connection is encrypted, so that the module is there.
        from ssl import DER_cert_to_PEM_cert

        found["SSL_CLIENT_CERT"] = DER_cert_to_PEM_cert(certificate)
    return found


def _plain(address: str | None) -> str | None:
    """An address; one of IPv4 as such, also where a socket of IPv6 has accepted it."""
    if address is not None and address.startswith(_MAPPED) and "." in address:
        return address[len(_MAPPED) :]
    return address


def of_request(base: dict[str, Any], head: Head) -> dict[str, Any]:
    """The ``environ`` of a request, but for its input.

    :param base: what the connection's requests have in common.
    """
    environ = base.copy()
    environ.update(head.variables)
    target = head.target
    environ["REQUEST_METHOD"] = head.method
    environ["SERVER_PROTOCOL"] = head.protocol
    environ["REQUEST_URI"] = environ["RAW_URI"] = target
    if target[0] == "/":
        path, _, environ["QUERY_STRING"] = target.partition("?")
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        environ["PATH_INFO"] = path
    else:
        # "*", or the authority of a CONNECT: no path at all.
        environ["QUERY_STRING"] = environ["PATH_INFO"] = ""
    return environ
