"""A client cannot connect from a port that is in use."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_a_local_port_in_use_is_an_error_that_names_it(
    must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    with serving(must_not_call("a connection")) as server, serving() as holder:
        port = holder.address().port
        client = gnet.connect(
            *place_at(server),
            must_not_call("'connect'"),
            local_address="127.0.0.1",
            local_port=port,
        )
        client.on("error", failed)
        (error,) = failed.wait()
    assert error.code == "EADDRINUSE"
    assert (error.syscall, error.address, error.port) == ("bind", "127.0.0.1", port)
