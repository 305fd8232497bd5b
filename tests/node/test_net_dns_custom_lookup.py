"""The lookup option answers instead of the system, and 'lookup' tells what it said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.lookups import answering
from tests.helpers.servers import closing, place_at, place_of, serving


@pytest.mark.parametrize("family", [4, 6])
def test_the_hook_is_asked_and_its_answer_is_connected_to(
    family: int, must_call: Calls, tmp_path: Path
) -> None:
    asked = must_call(answering("127.0.0.1", "::1"))
    found = must_call()
    with serving(at=place_of(f"ipv{family}", tmp_path)) as server:
        port, address = place_at(server)
        client = gnet.connect(port, "name.invalid", family=family, lookup=asked)
        client.on("lookup", found)
        with client:
            assert client.remote_address == address
    assert asked.args == ("name.invalid",)
    assert asked.options["family"] == family
    assert found.args == (None, address, family, "name.invalid")


@pytest.mark.parametrize("address", [None, 5, "no address", b"127.0.0.1"])
def test_an_answer_that_is_no_address_is_an_error(
    address: Any, must_call: Calls, must_not_call: Call
) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        return [(address, 4)] if options.get("all") else (address, 4)

    failed = must_call()
    client = gnet.connect(80, "name.invalid", must_not_call("'connect'"), lookup=lookup)
    client.on("error", failed)
    with closing(client):
        (error,) = failed.wait()
    assert error.code == "ERR_INVALID_IP_ADDRESS"
