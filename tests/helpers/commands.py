"""The command ``gnet`` as a child process, with pipes or on a terminal of its own."""

from __future__ import annotations

import _socket
import errno
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess
from gevent.os import nb_read, nb_write

from tests.helpers.peers import PROGRAM_LIMIT, Outcome, Peer, program, run, running
from tests.helpers.servers import Place

ROOT = Path(__file__).parent.parent.parent


def gnet_command(*arguments: object) -> list[str]:
    """The command line of ``gnet`` with some arguments, wherever it is run."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from gnet.cli import main; "
    return [sys.executable, "-c", start + "sys.exit(main())", *map(str, arguments)]


def run_gnet(*arguments: object, data: bytes = b"") -> Outcome:
    """Run ``gnet`` to its end, with ``data`` as its input."""
    return run(*gnet_command(*arguments), data=data)


@contextmanager
def gnet_server(*arguments: object) -> Iterator[tuple[Peer, Place]]:
    """Run a ``gnet`` that says where it listens; gives it and where to connect."""
    with running(*gnet_command(*arguments)) as process:
        yield process, place_said(process.complaint().decode())


def place_said(line: str) -> Place:
    """Where a line says that somebody listens: what ``connect()`` and the like take."""
    said, _, target = line.partition(" on ")
    assert said == "listening", line
    if target.startswith("unix:"):
        return (target.removeprefix("unix:"),)
    return (int(target.rpartition(":")[2]), "127.0.0.1")


def target_of(place: Place) -> str:
    """A place as ``gnet`` is told it."""
    return f"unix:{place[0]}" if len(place) == 1 else f"{place[1]}:{place[0]}"


class Terminal:
    """A program on a terminal.

    :param size: its columns and lines, which a program may ask for.
    :ivar shown: all that it has written there.
    :ivar slave: the terminal as the program was given it.
    """

    def __init__(
        self, arguments: list[str], size: tuple[int, int] = (80, 24), **streams: Any
    ) -> None:
        self._master, self.slave = os.openpty()
        _resize(self._master, *size)
        os.set_blocking(self._master, False)
        self.shown = b""
        standard = {**dict.fromkeys(("stdin", "stdout", "stderr"), self.slave), **streams}
        self._process: Any = subprocess.Popen(
            arguments,
            **standard,
            preexec_fn=lambda: _make_controlling(self.slave),
        )

    def type(self, text: str) -> None:
        """Type; ``"\\x03"`` is Ctrl-C and ``"\\x04"`` Ctrl-D."""
        nb_write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until it is shown."""
        while text.encode() not in self.shown:
            assert self._read(), self.shown

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def read_on(self) -> bool:
        """Wait for more to be shown; tells whether the terminal has not ended."""
        return self._read()

    def wait(self) -> int:
        """Wait for the program's end; gives its status."""
        # A program that draws waits for somebody to look.
        self._close_slave()
        while self._read():
            pass
        status: int = self._process.wait()
        return status

    def _read(self) -> bool:
        try:
            data: bytes = nb_read(self._master, 65536)
        except OSError as exc:
            # So ends a terminal.
            if exc.errno != errno.EIO:
                raise
            return False
        self.shown += data
        return bool(data)

    def close(self) -> None:
        # Not poll(): gevent's makes a timer that libuv warns about.
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._close_slave()
        os.close(self._master)

    def _close_slave(self) -> None:
        # The terminal ends for its reader when nobody has it open any more.
        slave, self.slave = self.slave, -1
        if slave >= 0:
            # At once, also where os.close() is patched.
            _socket.close(slave)


def _resize(terminal: int, columns: int, lines: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))


def _make_controlling(terminal: int) -> None:
    import fcntl
    import termios

    # Who runs the tests by nohup has it ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # gevent starts a new session only behind this.
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


@contextmanager
def shell() -> Iterator[Terminal]:
    """A shell with jobs, on a terminal."""
    with gevent.Timeout(PROGRAM_LIMIT, ref=False):
        # Neither the user's settings nor a line editor.
        terminal = Terminal([program("bash"), "--norc", "--noprofile", "--noediting", "-i"])
        try:
            yield terminal
        finally:
            # A shell passes it on to its jobs, which would outlive a shell that is killed.
            terminal.signal(signal.SIGHUP)
            terminal.wait()
            terminal.close()


@contextmanager
def on_terminal(*arguments: object, **streams: Any) -> Iterator[Terminal]:
    """Run ``gnet`` on a terminal; each of ``stdin``, ``stdout`` and ``stderr`` may be a file.

    ``size`` is the terminal's, in columns and lines.
    """
    with gevent.Timeout(PROGRAM_LIMIT, ref=False):
        terminal = Terminal(gnet_command(*arguments), **streams)
        try:
            yield terminal
        finally:
            terminal.close()
