"""The events of the process as lines for people to read."""

from __future__ import annotations

from typing import Any

from .. import events
from .._socket.socket import Socket
from .._values.addresses import AddressInfo
from ..errors import printable
from .place import Place
from .streams import LocalSocket
from .traffic import amount

__all__ = ["describe", "message", "place_of"]


def message(error: BaseException | None) -> str:
    """What an error says, in one line."""
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    if isinstance(error, OSError) and error.filename and str(error.filename) not in text:
        text += f": {error.filename}"
    return printable(" ".join(text.split()))


def place_of(address: AddressInfo | str | None) -> str:
    """An address as a target of the command line."""
    if isinstance(address, AddressInfo):
        return str(Place(address.port, address.address))
    return printable(str(Place(path=address))) if address else "a Unix socket"


def peer_of(sock: Socket) -> str:
    """Who is at the other end of a connection, as far as that has a name."""
    if sock.remote_address is None:
        return place_of(None)
    return str(Place(sock.remote_port, sock.remote_address))


def describe(event: Any) -> str | None:
    """One of the events of :mod:`gnet.events` as a line; ``None`` for what is none."""
    describer = _DESCRIBERS.get(type(event))
    if isinstance(getattr(event, "socket", None), LocalSocket):
        return None
    return None if describer is None else describer(event)


def _dropped(event: events.ConnectionDropped) -> str:
    info = event.info
    if info.remote_address is None:
        return f"dropped {place_of(None)}: {event.reason}"
    address = AddressInfo(info.remote_address, info.remote_family, info.remote_port)
    return f"dropped {place_of(address)}: {event.reason}"


def _closed(event: events.ConnectionClosed) -> str:
    sock = event.socket
    why = "" if event.error is None else f": {message(event.error)}"
    received, sent = amount(sock.bytes_read), amount(sock.bytes_written)
    return f"closed {peer_of(sock)}, {received} received, {sent} sent{why}"


def _secured(event: events.SecureConnected) -> str:
    sock = event.socket
    cipher = (sock.cipher() or ("",))[0]
    resumed = ", resumed" if event.resumed else ""
    whose = _subject(sock)
    return f"encrypted {peer_of(sock)}: {event.protocol}, {cipher}{whose}{resumed}"


def _subject(sock: Socket) -> str:
    """Whose certificate the peer has shown, where one was verified."""
    certificate = sock.getpeercert() or {}
    names = [value for _, value in certificate.get("subjectAltName", ())]
    if not names:
        names = [value for part in certificate.get("subject", ()) for _, value in part]
    return f", certificate of {printable(', '.join(names))}" if names else ""


def _looked_up(event: events.LookupFinished) -> str:
    if event.error is not None:
        return f"lookup failed: {message(event.error)}"
    addresses = ", ".join(address for address, _ in event.addresses)
    return f"looked up {printable(event.hostname)} in {event.seconds:.3f} s: {addresses}"


_DESCRIBERS: dict[type, Any] = {
    events.ServerListening: lambda event: f"listening on {place_of(event.address)}",
    events.ServerClosed: lambda event: "server closed",
    events.ConnectionAccepted: lambda event: f"accepted {peer_of(event.socket)}",
    events.ConnectionDropped: _dropped,
    events.ConnectionOpened: lambda event: f"connected to {peer_of(event.socket)}",
    events.ConnectionFailed: lambda event: f"connection failed: {message(event.error)}",
    events.ConnectionClosed: _closed,
    events.SecureConnected: _secured,
    events.HandshakeFailed: lambda event: f"no TLS: {message(event.error)}",
    events.LookupFinished: _looked_up,
}
