"""An error of listen() names the path."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls


def test_an_error_of_listen_has_the_path_as_its_address(
    must_call: Calls, must_not_call: Call
) -> None:
    path = "/no-such-directory/socket"
    failed = must_call()
    server = gnet.create_server(must_not_call("a connection"))
    server.on("error", failed)
    server.listen(path, must_not_call("'listening'"))

    (error,) = failed.wait()

    assert error.address == path
    assert error.syscall == "listen"
    assert path in str(error)
