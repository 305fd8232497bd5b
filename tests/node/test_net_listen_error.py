"""An address of another machine's cannot be listened on."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Call, Calls

# For documentation only (RFC 5737): no machine has it.
ELSEWHERE = "192.0.2.9"


def test_it_is_one_error_and_no_listening(must_call: Calls, must_not_call: Call) -> None:
    failed = must_call()
    server = gnet.create_server(must_not_call("a connection"))
    server.on("error", failed)

    assert server.listen(0, ELSEWHERE, must_not_call("'listening'")) is server

    (error,) = failed.wait()
    assert error.code == "EADDRNOTAVAIL"
    assert (error.syscall, error.address) == ("listen", ELSEWHERE)
    assert not server.listening
    # Nothing of it is left: another address will do.
    server.remove_all_listeners("listening")
    with server.listen(0, "127.0.0.1"):
        assert server.listening


def test_it_is_raised_where_error_has_no_listener() -> None:
    with pytest.raises(OSError, match="EADDRNOTAVAIL"):
        gnet.create_server().listen(0, ELSEWHERE)
