"""A lookup that gives no address is an error of the connection."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("answer", [["127.0.0.1"], None, 5, {"address": "127.0.0.1"}])
def test_an_answer_that_is_no_text_is_refused(
    family: int, answer: Any, must_not_call: Call
) -> None:
    client = gnet.connect(
        80,
        "example.com",
        must_not_call("'connect'"),
        family=family,
        lookup=lambda hostname, **options: (answer, family),
    )
    with pytest.raises(Exception, match="Invalid IP address") as caught:
        client.wait("connect")
    assert caught.value.code == "ERR_INVALID_IP_ADDRESS"
    client.wait("close")
