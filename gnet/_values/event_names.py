"""The events that gnet's own emitters have: for type checkers, and for who has misspelt one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import UnknownEventWarning

__all__ = ["KNOWN", "CodedError", "EmitterEvent", "ServerEvent", "SocketEvent", "warn_of_unknown"]

EmitterEvent = Literal["new_listener", "remove_listener"]
SocketEvent = Literal[
    "close",
    "connect",
    "connection_attempt",
    "connection_attempt_failed",
    "connection_attempt_timeout",
    "data",
    "drain",
    "end",
    "error",
    "fds",
    "finish",
    "lookup",
    "pause",
    "peer_end",
    "pipe",
    "ready",
    "reconnecting",
    "resume",
    "secure_connect",
    "session",
    "timeout",
    "unpipe",
    "new_listener",
    "remove_listener",
]
ServerEvent = Literal[
    "close",
    "connection",
    "drop",
    "error",
    "listening",
    "tls_client_error",
    "new_listener",
    "remove_listener",
]
# Of gnet.cluster's emitters.
ClusterEvent = Literal["disconnect", "exit", "fork", "listening", "message", "online"]

#: All of them. It has to be told that there is another one.
KNOWN: frozenset[str] = frozenset(
    name
    for names in (EmitterEvent, SocketEvent, ServerEvent, ClusterEvent)
    for name in get_args(names)
)

if TYPE_CHECKING:

    class CodedError(OSError):
        """The error of an ``'error'`` event, as type checkers have it: it has Node's fields.

        Most are :class:`OSError`'s, and what is not has a ``code``, too. No such class is there
        at run time.
        """

        code: str
        syscall: str | None
        address: str | None
        port: int | None
        hostname: str | None

else:
    CodedError = OSError

# Which have been warned of: the class of the emitter, and the name.
_warned: set[tuple[type, str]] = set()
#: Names that a program makes as it goes are not kept for ever.
MOST_WARNINGS = 100


def warn_of_unknown(emitter: Any, event: str) -> None:
    """Warn, once for each class and name, if the emitter's class is gnet's own.

    A program's own classes, and a plain :class:`gnet.EventEmitter`, may have any event.
    """
    kind = type(emitter)
    key = (kind, event)
    if not _is_gnets(kind) or key in _warned or len(_warned) >= MOST_WARNINGS:
        return
    _warned.add(key)
    from .suggestions import closest

    meant = closest(event, KNOWN)
    hint = "" if meant is None else f"; did you mean {meant!r}?"
    text = f"{event!r} is no event that a gnet.{kind.__name__} emits{hint}"
    warnings.warn(text, UnknownEventWarning, stacklevel=_level_of_the_program())


def _is_gnets(kind: type) -> bool:
    # A plain emitter is told of nothing, whatever listens to it.
    return kind.__module__.partition(".")[0] == "gnet" and kind.__name__ != "EventEmitter"


def _level_of_the_program() -> int:
    """Which of the calls is the program's; what is compiled has no frame that would count."""
    # It takes long to import, and this comes for mistakes only.
    import inspect

    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("gnet."):
        level, frame = level + 1, frame.f_back
    # warn() is called one frame nearer to the program than this is.
    return max(1, level)
