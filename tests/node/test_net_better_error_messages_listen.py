"""An error of listen() names the address and the port."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls

# Of the documentation's network (RFC 5737), so no address of this machine's.
FOREIGN = "192.0.2.1"


def test_an_error_of_listen_has_its_address_port_and_call(
    must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    server = gnet.create_server(must_not_call("a connection"))
    server.on("error", failed)
    server.listen(1, FOREIGN, must_not_call("'listening'"))

    (error,) = failed.wait()

    assert (error.address, error.port, error.syscall) == (FOREIGN, 1, "listen")
    assert error.code in ("EADDRNOTAVAIL", "EACCES")
    assert str(error).endswith(f" {FOREIGN}:1")
    assert f"listen {error.code}: " in str(error)
