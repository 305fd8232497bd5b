"""Every way to connect to a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_of, serving

MAKERS: list[Callable[..., gnet.Socket]] = [
    gnet.connect,
    gnet.create_connection,
    lambda *args, **options: gnet.Socket().connect(*args, **options),
]


@pytest.mark.parametrize("make", MAKERS, ids=["connect", "create_connection", "Socket"])
@pytest.mark.parametrize(
    "arguments_of",
    [
        lambda path: ((path,), {}),
        lambda path: ((Path(path),), {}),
        lambda path: ((), {"path": path}),
        lambda path: ((), {"path": Path(path)}),
    ],
    ids=["str", "Path", "path=str", "path=Path"],
)
@pytest.mark.parametrize("listens", ["by argument", "by on"])
def test_a_path_is_connected_to(
    make: Callable[..., gnet.Socket],
    arguments_of: Callable[[str], Any],
    listens: str,
    tmp_path: Path,
    must_call: Calls,
) -> None:
    with serving(lambda sock: sock.end("ok"), at=place_of("unix", tmp_path)) as server:
        path = server.address()
        arguments, options = arguments_of(path)
        connected = must_call()
        if listens == "by argument":
            client = make(*arguments, connect_listener=connected, **options)
        else:
            client = make(*arguments, **options).on("connect", connected)
        with client:
            assert client.recv() == b"ok"
            assert client.address() in ("", None)
        must_call.wait()
