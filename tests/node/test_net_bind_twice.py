"""Two servers do not share an address."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_an_address_in_use_is_an_error_event_of_the_second_server(
    must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    with serving() as first:
        second = gnet.create_server(must_not_call("a connection"))
        second.on("error", failed)
        second.listen(*place_at(first), must_not_call("'listening'"))
        (error,) = failed.wait()
    assert error.code == "EADDRINUSE"
    assert not second.listening


def test_an_address_in_use_is_raised_where_error_has_no_listener() -> None:
    with serving() as first, pytest.raises(OSError, match="listen EADDRINUSE"):
        gnet.create_server().listen(*place_at(first))
