"""An error of connect() names the path."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call, Calls


def test_a_path_where_nothing_is_says_so(must_call: Calls, must_not_call: Call) -> None:
    path = "/no-such-directory/socket"
    failed = must_call()
    client = gnet.connect(path)
    client.on("connect", must_not_call("'connect'"))
    client.on("error", failed)

    (error,) = failed.wait()

    assert isinstance(error, FileNotFoundError)
    assert error.code == "ENOENT"
    assert error.strerror == f"connect ENOENT {path}"


@pytest.mark.parametrize("path", [{}, 1, [], True])
def test_a_path_of_the_wrong_kind_is_refused(path: Any) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.create_connection(path=path)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
