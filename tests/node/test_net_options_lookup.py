"""What is wrong with a lookup option, and with what it answers."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import closing


@pytest.mark.parametrize("lookup", ["text", 7, {}, [], True], ids=str)
def test_a_lookup_that_cannot_be_called_is_refused(lookup: Any) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.connect(80, "name.invalid", lookup=lookup)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert '"lookup"' in str(caught.value)


def test_an_answer_of_an_impossible_family_is_an_error(
    must_call: Calls, must_not_call: Call
) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        return [("127.0.0.1", 99)] if options.get("all") else ("127.0.0.1", 99)

    failed = must_call()
    client = gnet.connect(80, "name.invalid", must_not_call("'connect'"), lookup=lookup)
    client.on("error", failed)
    with closing(client):
        (error,) = failed.wait()
    assert error.code == "ERR_INVALID_ADDRESS_FAMILY"
    assert (error.host, error.port) == ("name.invalid", 80)
    assert "99" in str(error)
