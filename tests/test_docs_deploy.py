"""The how-to of deployment: its programs and its settings, under systemd and behind HAProxy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import subprocess

from tests.helpers.peers import PROGRAM_LIMIT, program, python, run, running
from tests.helpers.servers import place_of_raw, raw_client, raw_listener, receive, receive_all
from tests.test_docs import PORT, ROOT, RUNNER, blocks

BLOCKS = list(blocks(ROOT / "docs" / "howto-deploy.rst"))
PROGRAMS = [block.text for block in BLOCKS if block.language == "python"]
UNITS = {Path(block.caption or "").name: block.text for block in BLOCKS if block.language == "ini"}
[HAPROXY] = [block.text for block in BLOCKS if block.language == "text"]


@pytest.fixture(autouse=True)
def gnet_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@contextmanager
def given(listener: Any, *arguments: str) -> Iterator[Any]:
    """Run a program that has a listening socket: as standard input, and under its number here."""
    with gevent.Timeout(PROGRAM_LIMIT, ref=False):
        command = [program(arguments[0]), *arguments[1:]]
        process: Any = subprocess.Popen(command, stdin=listener, pass_fds=[listener.fileno()])
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


def test_the_program_serves_the_socket_that_systemd_has_opened(tmp_path: Path) -> None:
    echo = tmp_path / "echo.py"
    echo.write_text(PROGRAMS[0], encoding="utf-8")
    with raw_listener() as listener:
        script = f"LISTEN_FDS=1 LISTEN_PID=$$ exec {sys.executable} {echo} 3<&0"
        with given(listener, "sh", "-c", script) as process:
            with raw_client(place_of_raw(listener)) as client:
                client.sendall(b"hello")
                assert receive(client, 5) == b"hello"
                process.terminate()
                assert receive_all(client) == b""
            assert process.wait() == 0


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        # The program need not be there.
        text = re.sub("^ExecStart=.*", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in UNITS]
    outcome = run("systemd-analyze", "verify", "--man=no", *files)
    assert (outcome.complaints.decode(), outcome.status) == ("", 0)


@pytest.mark.limit(2 * PROGRAM_LIMIT)
def test_haproxy_says_who_the_client_is(tmp_path: Path) -> None:
    greet, settings = tmp_path / "greet.py", tmp_path / "haproxy.cfg"
    greet.write_text(PORT.sub("0", PROGRAMS[1]), encoding="utf-8")
    with running(*python(RUNNER, str(greet))) as server, raw_listener() as listener:
        port = server.line().decode().removeprefix("listening on ")
        text = PORT.sub(port, HAPROXY).replace("bind :7000", f"bind fd@{listener.fileno()}")
        settings.write_text(text, encoding="utf-8")
        haproxy = given(listener, "haproxy", "-db", "-q", "-f", str(settings))
        with haproxy, raw_client(place_of_raw(listener)) as client:
            assert receive_all(client) == b"hello, 127.0.0.1\n"
