"""What a control socket is asked, and what it answers: see :data:`VERBS`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

from .._server.server import Server
from .._server.threads import call_in
from .._socket.socket import Socket
from . import census, others, watch
from .census import COLUMNS, Census

__all__ = ["VERBS", "VERSION", "RequestError", "answer"]

#: Of the protocol. A field more is no other version; one that has gone is.
VERSION = 1
# So many connections are looked at in one turn of the loop, in a fraction of a millisecond.
PIECE = 50

Line = dict[str, Any]


class RequestError(Exception):
    """A request that is not answered.

    :ivar code: which error this is, for programs.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code

    def line(self) -> Line:
        """The error as the answer."""
        return {"error": str(self), "code": self.code}


def answer(request: Line) -> Generator[Any]:
    """The lines of the answer to a request; work is done as they are taken.

    :raises RequestError: it cannot be answered.
    """
    if request.get("version") != VERSION:
        raise RequestError(f"this is version {VERSION} of the protocol", "ERR_PROTOCOL_VERSION")
    verb = request.get("verb")
    if not isinstance(verb, str) or verb not in VERBS:
        raise RequestError(f"a request is one of {', '.join(VERBS)}", "ERR_UNKNOWN_REQUEST")
    return _answer(verb, request)


def _answer(verb: str, request: Line) -> Generator[Any]:
    neighbour = _whose(request.get("id"))
    if neighbour is None:
        yield from VERBS[verb](request)
    else:
        yield from _passed_on(neighbour, request)
    yield {"end": True}


def _whose(number: object) -> others.Neighbour | None:
    """The other process that a number is of; ``None``: it is this one's, or nobody's."""
    pid = number.partition("-")[0] if isinstance(number, str) else ""
    if not (pid.isascii() and pid.isdigit()) or int(pid) == os.getpid():
        return None
    return others.of_process(int(pid))


def _passed_on(neighbour: others.Neighbour, request: Line) -> Iterator[Any]:
    patience = None if request["verb"] == "events" else others.PATIENCE_SECONDS
    try:
        for text in others.ask(neighbour, request, patience):
            line = json.loads(text)
            if "error" in line:
                raise RequestError(line["error"], line["code"])
            yield line
    except OSError:
        raise RequestError("the worker does not answer", "ERR_NO_ANSWER") from None


def _list(request: Line) -> Iterator[Any]:
    yield from _listing()
    yield from others.ask_all(request)


def _listing() -> Iterator[Line]:
    """This process and its servers, and its connections in pieces."""
    found = Census()
    yield {**found.head(), "columns": COLUMNS}
    # To add up very many connections takes its time, too.
    yield {"process": census.process()}
    rows: list[Any] = []
    for sock in found.sockets:
        rows.append(found.row(sock))
        if len(rows) == PIECE:
            yield {"connections": rows}
            rows = []
    yield {"connections": rows}


def _details(request: Line) -> Iterator[Line]:
    yield {"connection": census.details(_socket(request))}


def _events(request: Line) -> Iterator[Line]:
    sock = _socket(request)
    for event in watch.events(sock):
        yield {"alive": True} if event is None else {"event": event}


def _close(request: Line) -> Iterator[Line]:
    return _done(_socket(request), "destroy_soon")


def _reset(request: Line) -> Iterator[Line]:
    return _done(_socket(request), "reset_and_destroy")


def _drain(request: Line) -> Iterator[Line]:
    return _done(_found(request, Server), "close")


def _done(owner: Any, name: str) -> Iterator[Line]:
    # It may be another thread's.
    call_in(owner, getattr(owner, name))
    yield {"done": True}


def _socket(request: Line) -> Socket:
    sock: Socket = _found(request, Socket)
    return sock


def _found(request: Line, kind: type) -> Any:
    number = request.get("id")
    found = census.find(number) if isinstance(number, str) else None
    if not isinstance(found, kind):
        raise RequestError("there is none of that id, or not any more", "ERR_UNKNOWN_ID")
    return found


#: What may be asked. ``list`` gives all servers and connections, ``details`` one connection and
#: the stack of its greenlet, ``events`` what happens to it until it closes; ``close``, ``reset``
#: and ``drain`` end a connection or a server.
VERBS: dict[str, Callable[[Line], Iterator[Any]]] = {
    "list": _list,
    "details": _details,
    "events": _events,
    "close": _close,
    "reset": _reset,
    "drain": _drain,
}
