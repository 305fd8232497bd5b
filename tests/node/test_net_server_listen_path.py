"""Listening to a path."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import path_at


def test_by_position_and_by_keyword(tmp_path: Path) -> None:
    for number, listen in enumerate(
        (
            lambda server, path: server.listen(path),
            lambda server, path: server.listen(path=path),
            lambda server, path: server.listen(Path(path)),
        )
    ):
        (path,) = path_at(tmp_path, str(number))
        server = gnet.Server()
        listen(server, path)
        assert server.address() == path
        server.shutdown(0)
        assert not os.path.exists(path)


def test_readable_and_writable_for_all(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with gnet.Server().listen(path, readable_all=True, writable_all=True):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH
        assert mode & stat.S_IWOTH


def test_a_path_in_use(tmp_path: Path, must_call: Calls) -> None:
    (path,) = path_at(tmp_path)
    with gnet.Server().listen(path):
        second = gnet.Server()
        failed = must_call()
        second.on("error", failed)
        second.listen(path)
        (error,) = failed.wait()
        assert (error.code, error.address) == ("EADDRINUSE", path)
