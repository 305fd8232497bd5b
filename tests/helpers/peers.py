"""Programs that are not gnet, as peers: Node, netcat, Python's standard library.

They run as child processes, waited for by gevent, so both ends of a connection can be in one
test.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import NamedTuple

import gevent
import pytest
from gevent import subprocess

# Seconds for a program that does not say otherwise. On a busy machine an interpreter alone takes
# some until it has started.
PROGRAM_LIMIT = 30.0


class Outcome(NamedTuple):
    """What a program has done.

    :ivar output: its standard output.
    :ivar complaints: its standard error.
    :ivar status: its exit status.
    """

    output: bytes
    complaints: bytes
    status: int


class Peer:
    """A program that runs."""

    def __init__(self, arguments: list[str]) -> None:
        # A child is plain, whatever the mode of the tests.
        settings = {k: v for k, v in os.environ.items() if not k.startswith("GNET_TEST_")}
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=settings,
        )

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self._process.pid)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def line(self) -> bytes:
        """Its next line of output, without the line's end."""
        line: bytes = self._process.stdout.readline()
        return line.rstrip(b"\r\n")

    def read(self, size: int) -> bytes:
        """So many bytes of its output, or what comes before its end."""
        data: bytes = self._process.stdout.read(size)
        return data

    def complaint(self) -> bytes:
        """Its next line of standard error, without the line's end."""
        line: bytes = self._process.stderr.readline()
        return line.rstrip(b"\r\n")

    def send(self, data: bytes) -> None:
        """Give it some input."""
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end(self) -> None:
        """End its input; it goes on."""
        self._process.stdin.close()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finish(self, data: bytes = b"") -> Outcome:
        """End its input, behind ``data``, and wait for its end."""
        output, complaints = self._process.communicate(data)
        return Outcome(output, complaints, self._process.returncode)

    def wait(self) -> Outcome:
        """Wait for its end with the input left open."""
        readers = [
            gevent.spawn(stream.read) for stream in (self._process.stdout, self._process.stderr)
        ]
        status = self._process.wait()
        return Outcome(readers[0].get(), readers[1].get(), status)

    def close(self) -> None:
        """Kill it if it still runs, and close its pipes."""
        with suppress(ProcessLookupError):  # it has just ended
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            # It may not have wanted the rest of its input.
            with suppress(BrokenPipeError):
                stream.close()


@contextmanager
def running(*arguments: str, limit: float = PROGRAM_LIMIT) -> Iterator[Peer]:
    """Run a program beside the test, and kill it in the end.

    :param limit: how long it may run, in seconds.
    """
    with gevent.Timeout(limit, ref=False):
        peer = Peer([program(arguments[0]), *arguments[1:]])
        try:
            yield peer
        finally:
            peer.close()


def run(*arguments: str, data: bytes = b"", limit: float = PROGRAM_LIMIT) -> Outcome:
    """Run a program to its end, with ``data`` as its input."""
    with running(*arguments, limit=limit) as peer:
        return peer.finish(data)


def node(script: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a script in Node; its arguments begin at ``process.argv[1]``."""
    return ("node", "-e", script, *arguments)


def python(script: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a script in this Python; its arguments begin at ``sys.argv[1]``."""
    return (sys.executable, "-c", script, *arguments)


def netcat(*arguments: str) -> tuple[str, ...]:
    """The command that runs OpenBSD's netcat; skips the test where there is another one."""
    if not _is_openbsd_netcat():
        pytest.skip("this system's nc is not OpenBSD's")
    return ("nc", *arguments)


@cache
def _is_openbsd_netcat() -> bool:
    return b"OpenBSD" in run("nc", "-h").complaints


def program(name: str) -> str:
    """Where a program is; skips the test on a system that does not have it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"this system has no {name}")
    return found
