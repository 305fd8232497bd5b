"""A name that cannot exist fails the lookup, and with it the connecting."""

from __future__ import annotations

import socket

import gnet
from tests.helpers.calls import Call, Calls


def test_a_label_that_is_too_long_is_not_found(must_call: Calls, must_not_call: Call) -> None:
    name = 64 * "*"
    failed, looked_up, closed = must_call(), must_call(), must_call()
    client = gnet.connect(42, name, must_not_call("'connect'"))
    client.on("error", failed)
    client.on("lookup", looked_up)
    client.on("close", closed)

    assert closed.wait() == (True,)

    (error,) = failed.args
    assert isinstance(error, socket.gaierror)
    assert error.code == "ENOTFOUND"
    assert error.hostname == name
    assert looked_up.args[:3] == (error, None, None)
