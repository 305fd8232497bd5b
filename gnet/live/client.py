"""Asking a program over its control socket, as ``gnet ps``, ``top`` and ``live`` do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._socket.socket import Socket
from ..errors import printable
from . import folder
from .control import MAX_CLIENTS
from .requests import VERSION, RequestError, answer

__all__ = ["Here", "LiveError", "SeveralProgramsError", "There", "choose"]

#: How long a program may take for the next line of an answer, in seconds.
ANSWER_SECONDS = 10.0

Line = dict[str, Any]


class LiveError(OSError):
    """A program cannot be asked, or does not answer as it should; the message says why."""


class SeveralProgramsError(LiveError):
    """Several programs have a live view, and it was not said which is meant.

    :ivar programs: they.
    """

    def __init__(self, programs: list[folder.Program]) -> None:
        super().__init__("several programs have a live view")
        self.programs = programs


class There:
    """Another program.

    :param path: its control socket.
    """

    def __init__(self, path: str) -> None:
        self.path: str = path

    def ask(
        self, verb: str, *, patience: float | None = ANSWER_SECONDS, **fields: Any
    ) -> Iterator[Line]:
        """Ask, and give the lines of the answer as they come, but the last.

        :param patience: how long the next line may take, in seconds; ``None`` for no limit.
        :raises LiveError: there is no answer.
        """
        request = json.dumps({"version": VERSION, "verb": verb, **fields})
        with self._connected(patience) as sock:
            sock.sendall(request.encode() + b"\n")
            for text in sock.makefile("rb"):
                line = _read(text)
                if line.get("end"):
                    return
                yield line
        raise self._left()

    def _left(self) -> LiveError:
        return LiveError(
            f"{self} has ended the conversation: perhaps it has {MAX_CLIENTS} clients already"
        )

    @contextmanager
    def _connected(self, patience: float | None) -> Iterator[Socket]:
        try:
            with Socket().connect(path=self.path, connect_timeout=ANSWER_SECONDS) as sock:
                sock.set_timeout(patience)
                yield sock
        except LiveError:
            raise
        except (ConnectionResetError, BrokenPipeError):
            raise self._left() from None
        except OSError as exc:
            raise LiveError(f"{self} cannot be asked: {_why(exc)}") from exc

    def __str__(self) -> str:
        return printable(self.path)


class Here:
    """This program, which is asked without a control socket."""

    def ask(self, verb: str, **fields: Any) -> Iterator[Line]:
        """As :meth:`There.ask`."""
        try:
            for line in answer({"version": VERSION, "verb": verb, **fields}):
                if isinstance(line, bytes):
                    line = json.loads(line)
                if line.get("end"):
                    return
                yield line
        except RequestError as exc:
            raise LiveError(str(exc)) from exc


def _read(text: bytes) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        raise LiveError("what answers there is no live view") from None
    if not isinstance(line, dict) or line.get("version") != VERSION:
        raise LiveError(f"what answers there does not speak version {VERSION} of the protocol")
    if "error" in line:
        raise LiveError(printable(str(line["error"])))
    return line


def _why(error: OSError) -> str:
    return printable(str(error.strerror or error))


def choose(which: str | None) -> There:
    """The program that somebody means.

    :param which: a path, the number of a process, or ``None`` for the only one that there is.
    :raises LiveError: there is none.
    :raises SeveralProgramsError: there are several, and none was named.
    """
    if which is None:
        return _only_one()
    if which.isascii() and which.isdigit():
        path = folder.path_of(int(which))
        if path is None:
            raise LiveError(f"process {which} has no live view, or is not yours")
        return There(path)
    return There(which)


def _only_one() -> There:
    alive = [each for each in folder.programs() if folder.answers(each.path)]
    if not alive:
        raise LiveError(
            "no program of yours has a live view: start it with GNET_LIVE=path, or have it call "
            "gnet.live.enable()"
        )
    if len(alive) > 1:
        raise SeveralProgramsError(alive)
    return There(alive[0].path)
