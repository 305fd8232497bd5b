"""What connect() takes for a port, and where it may stand."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from typing import Any

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import serving

MAKERS: dict[str, Callable[..., gnet.Socket]] = {
    "connect": gnet.connect,
    "create_connection": gnet.create_connection,
    "Socket": lambda *args, **options: gnet.Socket().connect(*args, **options),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[..., gnet.Socket]:
    return MAKERS[request.param]


@pytest.mark.parametrize("port", [True, False, [], {}, 1.5, math.nan, math.inf, b"80"])
@pytest.mark.parametrize("options", [{}, {"host": "localhost"}, {"family": 4}])
def test_a_port_of_the_wrong_kind_is_refused(
    make: Callable[..., gnet.Socket], port: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(TypeError) as caught:
        make(port=port, **options)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


@pytest.mark.parametrize("port", ["", " ", "0x", "-0x1", "-1", "80x", "1e3", -1, 65536])
@pytest.mark.parametrize("options", [{}, {"host": "localhost"}, {"family": 4}])
def test_a_port_of_the_wrong_value_is_refused(
    make: Callable[..., gnet.Socket], port: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="port") as caught:
        make(port=port, **options)
    assert caught.value.code == "ERR_SOCKET_BAD_PORT"


@pytest.mark.parametrize("port", [True, 1.5, -1, 65536])
def test_a_bad_port_is_refused_as_the_first_argument_too(
    make: Callable[..., gnet.Socket], port: Any
) -> None:
    for place in [(port,), (port, "localhost"), (("localhost", port),)]:
        with pytest.raises((TypeError, ValueError)):
            make(*place)


def test_hints_that_do_not_exist_are_refused(make: Callable[..., gnet.Socket]) -> None:
    hints = (socket.AI_ADDRCONFIG | socket.AI_V4MAPPED | socket.AI_ALL) + 42
    with pytest.raises(ValueError, match="hints"):
        make(42, hints=hints)


def as_int(port: int) -> Any:
    return port


@pytest.mark.parametrize("form", [as_int, str, hex], ids=["int", "decimal", "hexadecimal"])
@pytest.mark.parametrize("host", [None, "127.0.0.1", "localhost"])
@pytest.mark.parametrize("listens", ["by argument", "by on"])
def test_a_port_is_connected_to(
    make: Callable[..., gnet.Socket],
    form: Callable[[int], Any],
    host: str | None,
    listens: str,
    must_call: Calls,
) -> None:
    with serving(lambda sock: sock.end("ok")) as server:
        options: dict[str, Any] = {"port": form(server.address().port), "family": 4}
        if host is not None:
            options["host"] = host
        connected = must_call()
        if listens == "by argument":
            client = make(connect_listener=connected, **options)
        else:
            client = make(**options).on("connect", connected)
        with client:
            assert client.recv() == b"ok"
        must_call.wait()


def test_port_and_host_may_be_the_first_arguments(make: Callable[..., gnet.Socket]) -> None:
    with serving(lambda sock: sock.end("ok")) as server:
        port = server.address().port
        for place in [(port, "127.0.0.1"), (("127.0.0.1", port),), (str(port), "127.0.0.1")]:
            with make(*place) as client:
                assert client.recv() == b"ok"


def test_port_zero_is_a_port_where_nobody_listens(make: Callable[..., gnet.Socket]) -> None:
    client = make(0, "127.0.0.1")
    with pytest.raises(OSError, match=r"connect E[A-Z]+ 127\.0\.0\.1:0"):
        client.wait("connect")
    client.wait("close")
