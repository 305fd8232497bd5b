"""address() of each kind of server."""

from __future__ import annotations

import pytest

import gnet


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "IPv4"), ("::1", "IPv6")])
def test_of_a_host(host: str, family: str) -> None:
    server = gnet.Server()
    assert server.address() is None
    server.listen(0, host)
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    assert (address.address, address.family) == (host, family)
    assert address.port > 0
    server.close()
    assert server.address() is None


def test_without_a_host_it_is_the_unspecified_one() -> None:
    with gnet.Server().listen(0) as server:
        assert server.address().address in ("::", "0.0.0.0")
