"""A signal that becomes ready ends the socket it was given to, whenever that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

import gnet
from gnet.errors import AbortError
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def connecting(server: gnet.Server, signal: Any) -> gnet.Socket:
    return gnet.connect(*place_at(server), signal=signal)


def idle(server: gnet.Server, signal: Any) -> gnet.Socket:
    return gnet.Socket(signal=signal)


def expect_abort(sock: gnet.Socket) -> None:
    with pytest.raises(AbortError) as caught:
        sock.wait("connect")
    assert caught.value.code == "ABORT_ERR"
    sock.wait("close")
    assert sock.destroyed


@pytest.mark.parametrize("make", [connecting, idle])
def test_an_abort_in_the_same_turn(make: Callable[..., gnet.Socket]) -> None:
    with serving() as server:
        signal = Event()
        sock = make(server, signal)
        signal.set()
        expect_abort(sock)


@pytest.mark.parametrize("make", [connecting, idle])
def test_a_signal_that_was_ready_before(make: Callable[..., gnet.Socket]) -> None:
    with serving() as server:
        signal = Event()
        signal.set()
        expect_abort(make(server, signal))


def test_an_abort_in_the_next_turn() -> None:
    with serving() as server:
        signal = Event()
        sock = idle(server, signal)
        gevent.spawn(signal.set)
        expect_abort(sock)


def test_an_abort_of_a_connection_raises_where_it_is_blocked(must_call: Calls) -> None:
    with serving() as server:
        signal: AsyncResult[None] = AsyncResult()
        sock = connecting(server, signal)
        sock.wait("connect")
        closed = must_call()
        sock.on("close", closed)
        gevent.spawn(signal.set)
        with pytest.raises(AbortError):
            sock.recv()
        assert closed.wait() == (True,)


def test_a_greenlet_is_a_signal_too() -> None:
    with serving() as server:
        sock = connecting(server, gevent.spawn(int))
        expect_abort(sock)


@pytest.mark.parametrize("signal", ["INVALID", 1, object()])
def test_what_cannot_be_waited_for_is_no_signal(signal: Any) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.connect(1, signal=signal)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
