"""connect() goes to no address that the block list forbids."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call
from tests.helpers.lookups import answering
from tests.helpers.servers import echoing, serving


def forbidding(*addresses: str) -> gnet.BlockList:
    block_list = gnet.BlockList()
    for address in addresses:
        block_list.add_address(address)
    return block_list


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", {}),
        ("localhost", {"lookup": answering("127.0.0.1"), "auto_select_family": False}),
        ("localhost", {"lookup": answering("127.0.0.1"), "auto_select_family": True}),
        ("localhost", {"lookup": answering("127.0.0.1", "127.0.0.2")}),
    ],
    ids=["literal", "lookup", "one raced", "two raced"],
)
def test_a_forbidden_address_is_not_connected_to(
    host: str, options: dict[str, Any], must_not_call: Call
) -> None:
    with serving(must_not_call("a connection")) as server:
        client = gnet.connect(
            server.address().port,
            host,
            block_list=forbidding("127.0.0.1", "127.0.0.2"),
            **options,
        )
        with pytest.raises(OSError, match="block") as caught:
            client.wait("connect")
        assert caught.value.code == "ERR_IP_BLOCKED"
        client.wait("close")


def test_what_is_not_forbidden_is_still_connected_to() -> None:
    with (
        echoing(at=(0, "127.0.0.2")) as server,
        gnet.connect(
            server.address().port,
            "example.org",
            lookup=answering("127.0.0.1", "127.0.0.2"),
            block_list=forbidding("127.0.0.1"),
        ) as client,
    ):
        assert client.remote_address == "127.0.0.2"
