"""Programs and gnet in one connection: either may have listened, in either style, over either
kind of address.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

import gnet
from tests.helpers.peers import Peer, netcat, running
from tests.helpers.servers import Place, place_at, place_of, serving
from tests.peers.ends import STYLES, End

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as name:
        yield Path(name)


@pytest.fixture(params=["ipv4", "unix"])
def at(request: pytest.FixtureRequest, directory: Path) -> Place:
    """Where to listen."""
    return place_of(request.param, directory)


@pytest.fixture(params=list(STYLES))
def style(request: pytest.FixtureRequest) -> str:
    """How gnet's end does it."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def ours(style: str) -> Any:
    """The functions for gnet's end, in the style."""
    return STYLES[style]


@pytest.fixture(params=["netcat", "node", "python"])
def program(request: pytest.FixtureRequest) -> str:
    """Who is at the other end."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["connect", "listen"])
def meet(
    request: pytest.FixtureRequest, program: str, style: str, at: Place
) -> Callable[[str, End], AbstractContextManager[tuple[Peer, AsyncResult[Any]]]]:
    """Has a program and gnet connect: ``meet(mode, end)``.

    ``mode`` is what the program does, ``end`` what gnet does. In a ``with`` statement it gives
    the program, and the result of gnet's end.
    """
    meeting = {"connect": _program_connects, "listen": _program_listens}[request.param]
    return partial(meeting, program, style, at)


@contextmanager
def _program_connects(
    program: str, style: str, at: Place, mode: str, end: End
) -> Iterator[tuple[Peer, AsyncResult[Any]]]:
    result: AsyncResult[Any] = AsyncResult()
    with (
        serving(lambda sock: end(sock, result), at, end_on_return=style == "blocking") as server,
        running(*_command(program, "connect", mode, place_at(server))) as peer,
    ):
        yield peer, result


@contextmanager
def _program_listens(
    program: str, style: str, at: Place, mode: str, end: End
) -> Iterator[tuple[Peer, AsyncResult[Any]]]:
    result: AsyncResult[Any] = AsyncResult()
    with running(*_command(program, "listen", mode, at)) as peer:
        sock = gnet.connect(*_listening_at(program, peer, at))
        try:
            if style == "event":
                end(sock, result)
                yield peer, result
            else:
                caller = gevent.spawn(_close_on_return, end, sock, result)
                yield peer, result
                caller.get()
        finally:
            sock.destroy()


def _close_on_return(end: End, sock: gnet.Socket, result: AsyncResult[Any]) -> None:
    with sock:
        end(sock, result)


def _command(program: str, role: str, mode: str, place: Place) -> tuple[str, ...]:
    arguments = [role, mode, *map(str, place)]
    if program == "node":
        return ("node", str(PROGRAMS / "peer.js"), *arguments)
    if program == "python":
        return (sys.executable, str(PROGRAMS / "peer.py"), *arguments)
    assert mode == "copy", "netcat can do nothing else"
    return _netcat(role, place)


def _netcat(role: str, place: Place) -> tuple[str, ...]:
    # -N: an end of the input is passed on. With -v it says where it listens.
    options = "-nN" if role == "connect" else "-nNvl"
    address = ["-U", *place] if len(place) == 1 else [place[1], str(place[0])]
    return netcat(options, *address)


def _listening_at(program: str, peer: Peer, at: Place) -> Place:
    if program != "netcat":
        place = peer.line().decode()
    else:
        while not (complaint := peer.complaint()).startswith(b"Listening on "):
            assert complaint.startswith(b"Bound on "), complaint
        place = complaint.split()[-1].decode()
    return (place,) if len(at) == 1 else (int(place), at[1])
