"""A path that is longer than the system's addresses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gnet
from tests.helpers.calls import Call, Calls

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its paths are those of files")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / (10_000 * "x"))


def test_listening_on_it_is_an_invalid_argument(
    path: str, must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    server = gnet.create_server(must_not_call("a connection"))
    server.on("error", failed)
    server.listen(path, must_not_call("'listening'"))
    (error,) = failed.wait()
    assert error.code == "EINVAL"
    assert isinstance(error, OSError)
    assert not server.listening


def test_connecting_to_it_is_an_invalid_argument(
    path: str, must_call: Calls, must_not_call: Call
) -> None:
    failed = must_call()
    client = gnet.connect(path, must_not_call("'connect'"))
    client.on("error", failed)
    (error,) = failed.wait()
    assert error.code == "EINVAL"
    assert error.address == path
