"""An error of the lookup names the host, and no port."""

from __future__ import annotations

import _socket

import gnet
from gnet.errors import lookup_error
from tests.helpers.calls import Call, Calls
from tests.helpers.lookups import failing

HOST = "something.invalid"


def test_a_failed_lookup_tells_the_host_that_was_looked_up(
    must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    client = gnet.connect(0, HOST, lookup=must_call(failing(lookup_error("ENOTFOUND", HOST))))
    client.on("connect", must_not_call("'connect'"))
    client.on("error", failed)

    (error,) = failed.wait()

    assert not hasattr(error, "port")
    assert not hasattr(error, "address")
    assert isinstance(error, _socket.gaierror)
    assert error.errno == _socket.EAI_NONAME
    assert (error.code, error.hostname, error.syscall) == ("ENOTFOUND", HOST, "getaddrinfo")
    assert error.strerror == f"getaddrinfo ENOTFOUND {HOST}"


def test_an_exception_of_the_hook_is_passed_on_as_it_is(must_call: Calls) -> None:
    mine = LookupError("no such name in my table")
    failed = must_call()
    client = gnet.connect(0, HOST, lookup=failing(mine))
    client.on("error", failed)

    assert failed.wait() == (mine,)
