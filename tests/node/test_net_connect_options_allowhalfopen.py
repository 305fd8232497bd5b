"""With allow_half_open a client still writes after the server has ended, however it connects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import Place, place_at, serving

Listener = Callable[[], object]
Connect = Callable[[Place, Listener], gnet.Socket]


def by_connect(place: Place, listener: Listener) -> gnet.Socket:
    return gnet.connect(*place, listener, allow_half_open=True)


def by_connect_and_on(place: Place, listener: Listener) -> gnet.Socket:
    return gnet.connect(*place, allow_half_open=True).on("connect", listener)


def by_create_connection(place: Place, listener: Listener) -> gnet.Socket:
    return gnet.create_connection(*place, listener, allow_half_open=True)


def by_the_class(place: Place, listener: Listener) -> gnet.Socket:
    return gnet.Socket(allow_half_open=True).connect(*place, listener)


def by_the_class_and_on(place: Place, listener: Listener) -> gnet.Socket:
    return gnet.Socket(allow_half_open=True).connect(*place).on("connect", listener)


@pytest.mark.parametrize(
    "connect",
    [
        by_connect,
        by_connect_and_on,
        by_create_connection,
        by_the_class,
        by_the_class_and_on,
    ],
)
def test_the_client_ends_when_it_wants_to(connect: Connect, must_call: Calls) -> None:
    received: list[bytes] = []

    def accepted(sock: gnet.Socket) -> None:
        sock.on("data", received.append)
        sock.on("end", must_call())
        sock.end()

    def ended() -> None:
        # The client's own end would have to be asked for, so it is not on its way either.
        assert not client.readable
        assert client.writable
        assert client.ready_state == "write_only"
        assert client.write("late")
        client.end()

    with serving(must_call(accepted), allow_half_open=True) as server:
        client = connect(place_at(server), must_call())
        client.resume()
        client.on("end", must_call(ended))
        client.on("close", must_call())
        must_call.wait()
    assert b"".join(received) == b"late"
