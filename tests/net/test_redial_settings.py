"""connect() after 'close': what the program has set stays, and nothing else does."""

from __future__ import annotations

import inspect
import socket
import sys
from typing import Any

import pytest
from gevent.event import Event

import gnet
from tests.net.test_redial import Dialling

# A value for each option of a socket, other than its default. Those of a descriptor that is
# handed in are the connection's.
OF_A_DESCRIPTOR = {"fd", "handle", "readable", "writable"}
OPTIONS: dict[str, Any] = {
    "allow_half_open": True,
    "onread": gnet.OnRead(bytearray(10), lambda size, buffer: None),
    "signal": Event(),
    "high_water_mark": 7,
    "write_limit": 1000,
    "when_over": "raise",
    "first_byte_timeout": 30.0,
    "write_timeout": 31.0,
    "lifetime": 32.0,
    "tls_strict": True,
    "rate": 10**9,
    "type_of_service": 8,
    # Systems other than Linux refuse what they have not.
    "user_timeout": 35.0 if sys.platform == "linux" else None,
    "congestion": "reno" if sys.platform == "linux" else None,
}

# Arguments for each method that sets something.
SETTERS: dict[str, tuple[Any, ...]] = {
    "set_encoding": ("latin1",),
    "set_timeout": (33.0,),
    "settimeout": (34.0,),
    "set_no_delay": (True,),
    "set_keep_alive": (True, 77),
    "set_type_of_service": (16,),
    "unref": (),
    "pause": (),
}
# Of a connection that is there: the system's socket has it, and goes with it.
OF_A_CONNECTION = {"setsockopt", "set_inheritable", "setblocking"}

KERNELS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_IP, socket.IP_TOS),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_USER_TIMEOUT", "TCP_CONGESTION")
        if hasattr(socket, name)
    ),
]
PLAIN = (int, float, str, bytes, type(None))


def test_every_option_and_every_method_that_sets_something_is_among_them() -> None:
    options = set(inspect.signature(gnet.Socket.__init__).parameters) - {"self"}
    assert set(OPTIONS) == options - OF_A_DESCRIPTOR
    methods = {name for name in dir(gnet.Socket) if name.startswith("set")}
    assert methods == {name for name in SETTERS if name.startswith("set")} | OF_A_CONNECTION


def everything(sock: gnet.Socket) -> dict[str, Any]:
    """What a socket tells of itself, and what it holds that can be compared."""
    told: dict[str, Any] = {}
    for name in dir(type(sock)):
        if not name.startswith("__") and not callable(getattr(type(sock), name)):
            value = getattr(sock, name)
            if isinstance(value, PLAIN):
                told[name] = value
    for event in sock.event_names():
        told[f"listeners of {event}"] = sock.listeners(event)
    told["watchdog"] = sock._watchdog.limits if sock._watchdog is not None else None
    told["onread"] = sock._onread
    told["signal"] = sock._signal is not None
    told["settings"] = sock._remembered
    told["kernel"] = [sock.getsockopt(*option) for option in KERNELS]
    # Each connection has its own, its number and its beginning.
    for name in ("local_port", "remote_port", "_generation", "_begun"):
        told.pop(name)
    return told


def heard(*args: Any) -> None:
    """A listener."""


def configured(dialling: Dialling, setters: dict[str, tuple[Any, ...]]) -> gnet.Socket:
    sock = dialling.sock
    for name, args in setters.items():
        getattr(sock, name)(*args)
    for event in ("connect", "end", "error", "timeout", "drain"):
        sock.on(event, heard)
    return sock


@pytest.mark.filterwarnings("ignore:Socket.buffer_size:DeprecationWarning")
@pytest.mark.parametrize("option", [None, *OPTIONS])
@pytest.mark.parametrize("setter", [None, *SETTERS])
def test_what_is_set_stays_and_all_else_begins_anew(
    tcp: Any, option: str | None, setter: str | None
) -> None:
    options = {name: OPTIONS[name] for name in OPTIONS if option in (None, name)}
    setters = {name: SETTERS[name] for name in SETTERS if setter in (None, name)}
    first = Dialling(tcp, **options)
    second = Dialling(tcp, **options)
    for dialling in (first, second):
        configured(dialling, setters)
        dialling.dial()
    # Of the former connection, all of it.
    sock = second.sock
    sock.cork()
    sock.write(b"x" * 999)
    with sock.makefile("rb"):
        sock.end()
    second.redial()
    assert everything(sock) == everything(first.sock)


def test_what_is_set_between_two_connections_holds_for_the_next(tcp: Any) -> None:
    dialling = Dialling(tcp)
    sock = dialling.sock
    dialling.dial()
    dialling.drop()
    sock.set_no_delay(True).set_timeout(35.0)
    sock.allow_half_open = True
    dialling.dial()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert (sock.timeout, sock.allow_half_open) == (35.0, True)
