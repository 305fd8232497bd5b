"""The clients and servers that people have, with gnet under them or at the other end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import subprocess

from tests.helpers.peers import program

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parent.parent.parent
# Seconds for a server to begin to serve.
STARTING_LIMIT = 60.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def programs_find_gnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@contextmanager
def daemon(*command: str, ready: bytes) -> Iterator[int]:
    """A server that runs beside several tests; gives the number of its process.

    :param ready: what it writes when it serves.
    """
    arguments = [program(command[0]), *command[1:]]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            with gevent.Timeout(STARTING_LIMIT, ref=False):
                for line in process.stdout:
                    log.write(line)
                    if ready in line:
                        break
                else:
                    log.seek(0)
                    pytest.fail(f"{command[0]} does not start:\n{log.read().decode()}")
            # It may go on writing.
            gevent.spawn(process.stdout.read)
            yield process.pid
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def as_user(name: str, directory: Path) -> list[str]:
    """What runs a command as another user, where that is possible and ours is root's.

    The directory becomes that user's. Some servers refuse to be root.
    """
    if os.geteuid() != 0:
        return []
    shutil.chown(directory, name)
    return [program("setpriv"), f"--reuid={name}", f"--regid={name}", "--clear-groups", "--"]
