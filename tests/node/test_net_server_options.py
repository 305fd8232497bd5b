"""create_server() takes a listener and options, and nothing else."""

from __future__ import annotations

import pytest

import gnet


@pytest.mark.parametrize("argument", ["path", 0, 1.5, b"x"])
def test_a_listener_that_cannot_be_called(argument: object) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.create_server(argument)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match="allowHalfOpen"):
        gnet.create_server(allowHalfOpen=True)
