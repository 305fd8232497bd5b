"""Connecting to paths where no server is."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.peers import python, run
from tests.helpers.servers import path_at, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its paths are those of files")

# Root may connect to everything, so it becomes somebody else; behind the first socket, since then
# nothing more is imported, from where only root may read.
CONNECT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import gnet

client = gnet.Socket()
client.on("error", lambda error: print(type(error).__name__, error.code))
if os.geteuid() == 0:
    os.setuid(65534)
client.connect(sys.argv[2])
assert gnet.run(5)
"""

ROOT = str(Path(__file__).parents[2])


def failure(path: Path, must_call: Calls, must_not_call: Call) -> OSError:
    """What connecting to the path fails with."""
    failed = must_call()
    client = gnet.connect(str(path), connect_listener=must_not_call("'connect'"))
    client.on("error", failed)
    (error,) = failed.wait()
    assert error.syscall == "connect"
    assert error.address == str(path)
    assert isinstance(error, OSError)
    return error


def test_a_file_is_no_server(tmp_path: Path, must_call: Calls, must_not_call: Call) -> None:
    path = tmp_path / "file"
    path.touch()
    error = failure(path, must_call, must_not_call)
    assert error.code in ("ECONNREFUSED", "ENOTSOCK")
    assert path.read_bytes() == b""


def test_a_name_that_nothing_has(tmp_path: Path, must_call: Calls, must_not_call: Call) -> None:
    error = failure(tmp_path / "nothing", must_call, must_not_call)
    assert isinstance(error, FileNotFoundError)
    assert error.code == "ENOENT"


def test_a_server_without_permission(must_not_call: Call) -> None:
    # Unlike pytest's directory, others can enter this one.
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with serving(must_not_call("a connection"), path_at(Path(directory))) as server:
            Path(server.address()).chmod(0)
            outcome = run(*python(CONNECT, ROOT, server.address()))
    assert outcome.complaints == b""
    assert outcome.output.split() == [b"PermissionError", b"EACCES"]
