"""A port that is taken is told by its code, in words as well."""

from __future__ import annotations

import errno

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_the_message_has_the_code_and_the_address(must_call: Calls, must_not_call: Call) -> None:
    with serving(must_not_call("a connection")) as first:
        port, host = place_at(first)
        failed = must_call()
        second = gnet.create_server(must_not_call("a connection"))
        second.on("error", failed)
        second.listen(port, host)
        (error,) = failed.wait()
        assert f"listen EADDRINUSE: address already in use {host}:{port}" in str(error)
        assert error.errno == errno.EADDRINUSE
        assert (error.syscall, error.address, error.port) == ("listen", host, port)
        assert first.listening
