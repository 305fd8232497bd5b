"""The local end of a served connection is where its server listens."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnet
from tests.helpers.servers import pair, place_of


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_connection_knows_its_local_end(family: str, tmp_path: Path) -> None:
    with pair(place_of(family, tmp_path)) as (client, served):
        address = served.server.address()
        assert isinstance(address, gnet.AddressInfo)
        assert served.local_address == address.address
        assert served.local_port == address.port
        assert served.local_family == address.family
        assert served.address() == address
        assert client.address() == (
            served.remote_address,
            served.remote_family,
            served.remote_port,
        )
