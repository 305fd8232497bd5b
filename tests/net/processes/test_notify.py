"""gnet.notify: systemd's protocol."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
from tests.helpers.peers import running

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="it is of Unix sockets")


class Manager:
    """A service manager: it hears what it is told."""

    def __init__(self, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(place)
        shown = "@" + place[1:] if place.startswith("\0") else place
        monkeypatch.setenv("NOTIFY_SOCKET", shown)

    def heard(self) -> str:
        """Block for a message."""
        return str(self.socket.recv(4096).decode())


@pytest.fixture(params=["path", "abstract"])
def manager(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        place = str(Path(directory) / "notify")
        manager = Manager(place if request.param == "path" else "\0" + place, monkeypatch)
        try:
            yield manager
        finally:
            manager.socket.close()


def test_a_state_is_told(manager: Manager) -> None:
    assert gnet.notify("READY=1\nSTATUS=wärmt sich auf")
    assert manager.heard() == "READY=1\nSTATUS=wärmt sich auf"


def test_a_restart_is_told_with_its_time(manager: Manager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    gnet.notify("RELOADING=1")
    state, _, moment = manager.heard().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(moment) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    gnet.notify("RELOADING=1\nMONOTONIC_USEC=5")
    assert manager.heard() == "RELOADING=1\nMONOTONIC_USEC=5"


@pytest.mark.parametrize("place", [None, "", "relative", "vsock:2:1", "/nowhere/at/all"])
def test_nothing_happens_where_there_is_no_manager(
    place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", place)
    assert not gnet.notify("READY=1")


def test_a_manager_that_listens_to_nobody_blocks_nobody(manager: Manager) -> None:
    while gnet.notify("STATUS=" + "x" * 1000):
        pass
    assert manager.heard()


@pytest.mark.parametrize(("state", "error"), [(b"READY=1", TypeError), ("", ValueError)])
def test_what_is_no_state_is_refused(state: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="state"):
        gnet.notify(state)


SERVE = """
import gnet
gnet.serve(lambda sock: None, 0, "127.0.0.1")
"""
WSGI = """
from gnet import wsgi
wsgi.serve(lambda environ, start_response: [], 0, "127.0.0.1")
"""
CLUSTER = """
import gnet
from gnet import cluster
cluster.run(lambda: gnet.create_server().listen(0), workers=2)
"""


@pytest.mark.limit(30)
@pytest.mark.parametrize("program", [SERVE, WSGI, CLUSTER], ids=["serve", "wsgi", "cluster"])
def test_a_program_that_serves_tells_by_itself(
    program: str, manager: Manager, tmp_path: Path
) -> None:
    script = tmp_path / "program.py"
    script.write_text(program)
    with running(sys.executable, str(script)) as process:
        assert manager.heard() == "READY=1"
        if program is CLUSTER:
            process.signal(signal.SIGHUP)
            assert manager.heard().startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert manager.heard() == "READY=1"
        process.signal(signal.SIGTERM)
        assert manager.heard() == "STOPPING=1"


@pytest.mark.limit(30)
def test_a_program_says_that_it_lives(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    script = tmp_path / "program.py"
    script.write_text(SERVE)
    with running(sys.executable, str(script)) as process:
        assert manager.heard() == "READY=1"
        for _ in range(3):
            assert manager.heard() == "WATCHDOG=1"
        # One that does not live says nothing.
        process.signal(signal.SIGSTOP)
        with gevent.Timeout(0.5, False):
            while True:
                manager.heard()
        with gevent.Timeout(0.3, False):
            pytest.fail(f"it has said {manager.heard()}")
        process.signal(signal.SIGCONT)
        assert manager.heard() == "WATCHDOG=1"
