"""'lookup' tells which address was found for which name."""

from __future__ import annotations

from typing import Any

import gnet
from tests.helpers.servers import serving


def test_each_address_of_localhost_is_told() -> None:
    found: list[Any] = []
    with serving(at=(0, "localhost")) as server:
        client = gnet.connect(server.address().port, "localhost")
        client.on("lookup", lambda *args: found.append(args))
        with client:
            connected_to = client.remote_address
    assert connected_to in [address for _, address, _, _ in found]
    for error, address, family, name in found:
        assert error is None
        assert address in ("127.0.0.1", "::1")
        assert family == gnet.is_ip(address)
        assert name == "localhost"
