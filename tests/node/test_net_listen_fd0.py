"""A descriptor where nobody can connect is no place to listen."""

from __future__ import annotations

import errno
import os
import socket as std_socket
import sys
from pathlib import Path

import pytest
from gevent import socket

import gnet
from tests.helpers import forks
from tests.helpers.calls import Calls
from tests.helpers.peers import python, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are handles, not files")

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import gnet

server = gnet.create_server()
try:
    server.listen(fd=0)
except OSError as exc:
    print(exc.code)
assert gnet.run(5)
os.fstat(0)
"""

ROOT = str(Path(__file__).parents[2])


def test_standard_input_that_is_a_pipe_is_refused_and_stays_open() -> None:
    outcome = run(*python(SCRIPT, ROOT))
    assert outcome.complaints == b""
    assert outcome.output.strip() == b"EINVAL"
    assert outcome.status == 0


def test_a_socket_of_datagrams_is_refused_and_stays_open() -> None:
    with std_socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        was_blocking = os.get_blocking(datagrams.fileno())
        with pytest.raises(OSError) as caught:
            gnet.create_server().listen(fd=datagrams.fileno())
        assert caught.value.errno == errno.EINVAL
        assert "listen EINVAL: invalid argument" in str(caught.value)
        os.fstat(datagrams.fileno())
        assert os.get_blocking(datagrams.fileno()) is was_blocking


@pytest.mark.parametrize("what", ["a pipe", "datagrams"])
def test_who_listens_to_errors_hears_of_einval(what: str, must_call: Calls) -> None:
    here, there = os.pipe()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        failed = must_call()
        server = gnet.create_server()
        server.on("error", failed)
        server.listen(fd=here if what == "a pipe" else datagrams.fileno())
        (error,) = failed.wait()
        assert (error.errno, error.code, error.syscall) == (errno.EINVAL, "EINVAL", "listen")
    forks.close(here)
    forks.close(there)


def test_a_descriptor_that_is_not_open_is_an_error(must_call: Calls) -> None:
    here, there = os.pipe()
    forks.close(here)
    forks.close(there)
    failed = must_call()
    server = gnet.create_server()
    server.on("error", failed)
    server.listen(fd=here)
    (error,) = failed.wait()
    assert error.errno == errno.EBADF
