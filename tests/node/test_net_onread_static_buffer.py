"""Reading into buffers of the program's own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import gevent
import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving

MESSAGE = b"every good boy deserves fudge"


def receive(
    buffer: Any,
    callback: Callable[[gnet.Socket, int, Any], object],
    must_call: Calls,
    must_not_call: Call,
) -> None:
    """Have a client get all of :data:`MESSAGE` with ``onread``, up to its end."""
    with serving(lambda sock: sock.end(MESSAGE)) as server:
        client = gnet.Socket(
            onread=gnet.OnRead(buffer, lambda size, chunk: callback(client, size, chunk))
        )
        client.on("data", must_not_call("'data'"))
        client.on("end", must_call())
        client.connect(*place_at(server))
        client.wait("close")


@pytest.mark.parametrize("make", [bytearray, lambda size: memoryview(bytearray(size))])
def test_one_buffer_is_used_for_every_read(
    make: Callable[[int], Any], must_call: Calls, must_not_call: Call
) -> None:
    mine = make(8)
    received = []

    def got(sock: gnet.Socket, size: int, buffer: Any) -> None:
        assert buffer is mine
        received.append(bytes(buffer[:size]))

    receive(mine, got, must_call, must_not_call)
    assert b"".join(received) == MESSAGE
    assert max(map(len, received)) <= 8


def test_a_function_gives_the_buffer_of_each_read(must_call: Calls, must_not_call: Call) -> None:
    pool = [bytearray(2) for _ in range(3)]
    turns = cycle(pool)
    given: list[bytearray] = []
    received = []

    def give() -> bytearray:
        given.append(next(turns))
        return given[-1]

    def got(sock: gnet.Socket, size: int, buffer: Any) -> None:
        assert buffer is given[-1]
        received.append(bytes(buffer[:size]))

    receive(give, got, must_call, must_not_call)
    assert b"".join(received) == MESSAGE
    # One more may have been for the read that met the end.
    assert len(received) <= len(given) <= len(received) + 1
    assert {id(buffer) for buffer in given} == {id(buffer) for buffer in pool}


@pytest.mark.parametrize("by", ["pause()", "False"])
def test_nothing_is_read_until_resume(by: str, must_call: Calls, must_not_call: Call) -> None:
    received = []
    paused = False

    def resume(sock: gnet.Socket) -> None:
        nonlocal paused
        assert sock.is_paused()
        paused = False
        sock.resume()

    def got(sock: gnet.Socket, size: int, buffer: Any) -> object:
        nonlocal paused
        assert not paused
        received.append(bytes(buffer[:size]))
        paused = True
        gevent.spawn_later(0.01, resume, sock)
        if by == "False":
            return False
        sock.pause()
        return None

    receive(bytearray(8), got, must_call, must_not_call)
    assert b"".join(received) == MESSAGE
    assert len(received) >= len(MESSAGE) / 8
