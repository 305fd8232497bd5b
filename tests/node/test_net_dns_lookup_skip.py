"""An IP address is not looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnet
from tests.helpers.calls import Call
from tests.helpers.servers import place_at, place_of, serving


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_connecting_to_an_address_neither_asks_nor_tells(
    family: str, tmp_path: Path, must_not_call: Call
) -> None:
    with serving(at=place_of(family, tmp_path)) as server:
        client = gnet.connect(*place_at(server), lookup=must_not_call("the hook"))
        client.on("lookup", must_not_call("'lookup'"))
        with client:
            assert client.remote_port == place_at(server)[0]
