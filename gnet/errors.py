"""The errors of gnet: the standard exceptions, each with the ``code`` that Node has for it.

A system error stays the :class:`OSError` subclass that the standard library raises for its
``errno``, so ``except ConnectionRefusedError`` works; :func:`annotate` adds what Node adds:
``code``, ``syscall``, ``address``, ``port``, and a message that names them. Bad arguments are
plain :class:`TypeError` and :class:`ValueError` with a ``code``. The classes here are for what
neither the system nor the interpreter has an exception for.

From Node's ``errors``: *System errors*, *Node.js error codes*.
"""

from __future__ import annotations

import _socket
import errno as _errno
import os
from _socket import gaierror
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = [
    "AbortError",
    "AggregateError",
    "AlreadyListeningError",
    "DeadlineError",
    "EndedError",
    "HandleAdoptedError",
    "HandleTypeError",
    "IPBlockedError",
    "NotRunningError",
    "PeerEndError",
    "SocketClosedError",
    "StreamDestroyedError",
    "UnknownEventWarning",
    "WriteAfterEndError",
    "WriteLimitError",
    "annotate",
    "code_of",
    "lookup_error",
    "printable",
    "type_error",
    "value_error",
]

_E = TypeVar("_E", bound=BaseException)


class _Copyable:
    """An error that can be pickled although its constructor is not :class:`OSError`'s."""

    def __reduce__(self) -> tuple[Any, ...]:
        fields: Any = self
        return _rebuild, (type(self), fields.args, vars(self))


def _rebuild(kind: type[OSError], args: tuple[Any, ...], fields: dict[str, Any]) -> OSError:
    error = kind.__new__(kind, *args)
    OSError.__init__(error, *args)
    vars(error).update(fields)
    return error


class AbortError(_Copyable, OSError):
    """A ``signal`` became ready, and has ended the operation that it was given to."""

    code: str = "ABORT_ERR"

    def __init__(self, message: str = "The operation was aborted") -> None:
        super().__init__(_errno.ECANCELED, message)


class SocketClosedError(_Copyable, OSError):
    """The socket is closed, or was closed under a blocked call; ``errno`` is ``EBADF``."""

    code: str = "ERR_SOCKET_CLOSED"

    def __init__(self, message: str = "Socket is closed", code: str | None = None) -> None:
        super().__init__(_errno.EBADF, message)
        if code is not None:
            self.code = code


class StreamDestroyedError(SocketClosedError):
    """The data of a call was not sent, because ``destroy()`` came before or meanwhile."""

    code: str = "ERR_STREAM_DESTROYED"

    def __init__(self, call: str = "write") -> None:
        super().__init__(f"Cannot call {call} after a stream was destroyed")


class WriteAfterEndError(_Copyable, BrokenPipeError):
    """Data was written after ``end()``; ``errno`` is ``EPIPE``, as in the kernel's own error."""

    code: str = "ERR_STREAM_WRITE_AFTER_END"

    def __init__(self, message: str = "write after end") -> None:
        super().__init__(_errno.EPIPE, message)


class EndedError(_Copyable, BrokenPipeError):
    """Data was written when both ends had ended; ``code`` and ``errno`` are ``EPIPE``."""

    code: str = "EPIPE"

    def __init__(self, message: str = "This socket has been ended by the other party") -> None:
        super().__init__(_errno.EPIPE, message)


class PeerEndError(_Copyable, ConnectionAbortedError):
    """The peer has left while a greenlet worked for it."""

    code: str = "ECONNABORTED"

    def __init__(self, message: str = "The peer has ended the connection") -> None:
        super().__init__(_errno.ECONNABORTED, message)


class DeadlineError(_Copyable, TimeoutError):
    """A peer was too slow, and its connection was destroyed; ``code`` is ``"ETIMEDOUT"``.

    :ivar deadline: the one that was over: ``"connect_timeout"``, ``"first_byte_timeout"``,
        ``"write_timeout"`` or ``"lifetime"``.
    :ivar seconds: its length.
    """

    code: str = "ETIMEDOUT"

    def __init__(self, deadline: str, seconds: float) -> None:
        super().__init__(_errno.ETIMEDOUT, f"{deadline} of {seconds:g} seconds is over")
        self.deadline = deadline
        self.seconds = seconds


class WriteLimitError(_Copyable, OSError):
    """More was written than ``write_limit`` allows to be queued."""

    code: str = "ERR_WRITE_LIMIT"

    def __init__(self, limit: int) -> None:
        super().__init__(_errno.ENOBUFS, f"more than the write_limit of {limit} bytes is queued")


class IPBlockedError(_Copyable, PermissionError):
    """A block list forbids the address.

    :ivar address: the forbidden address.
    """

    code: str = "ERR_IP_BLOCKED"

    def __init__(self, address: str) -> None:
        super().__init__(_errno.EACCES, f"IP({address}) is blocked by the block list")
        self.address = address


class HandleTypeError(TypeError):
    """The call does not exist for this kind of handle."""

    code: str = "ERR_INVALID_HANDLE_TYPE"

    def __init__(self, message: str = "This handle type cannot be sent or reset") -> None:
        super().__init__(message)


class AlreadyListeningError(_Copyable, OSError, RuntimeError):
    """``listen()`` was called twice, with neither a ``close()`` nor an error in between."""

    code: str = "ERR_SERVER_ALREADY_LISTEN"

    def __init__(self) -> None:
        super().__init__(
            _errno.EINVAL, "Listen method has been called more than once without closing."
        )


class NotRunningError(_Copyable, OSError, RuntimeError):
    """``close()`` found no open server; it is passed to the callback, never raised."""

    code: str = "ERR_SERVER_NOT_RUNNING"

    def __init__(self) -> None:
        super().__init__(_errno.EINVAL, "Server is not running.")


class HandleAdoptedError(_Copyable, OSError, RuntimeError):
    """A :class:`gnet.BoundSocket` was used that a server or a socket has taken over."""

    code: str = "ERR_SOCKET_HANDLE_ADOPTED"

    def __init__(self) -> None:
        message = "The bound socket has been taken over by a server or a socket"
        super().__init__(_errno.EBADF, message)


class UnknownEventWarning(UserWarning):
    """A listener was added for an event that none of gnet's emitters has.

    It comes once for each class and name, and only for gnet's own classes: a class of yours that
    is derived from one, and a plain :class:`gnet.EventEmitter`, may have events of their own.
    """


class AggregateError(_Copyable, OSError):
    """Every attempt of one ``connect()`` failed.

    :ivar errors: the error of each attempt, in the order of the attempts.
    :ivar errno: the first attempt's ``errno``.
    :ivar code: the first attempt's ``code``.
    """

    def __init__(self, errors: Sequence[BaseException]) -> None:
        first = errors[0]
        message = "; ".join(getattr(each, "strerror", None) or str(each) for each in errors)
        super().__init__(getattr(first, "errno", None), message)
        self.errors: list[BaseException] = list(errors)
        self.code: str | None = code_of(first)


def _table(codes: dict[str, str]) -> dict[int, str]:
    """Node's code by the platform's number; not every platform has every ``EAI_`` name."""
    return {getattr(_socket, name): code for name, code in codes.items() if hasattr(_socket, name)}


# The resolver's numbers are not errnos: EAI_NONAME would read as a nonsense errno, and Node
# has its own word for "no such host" (lib/internal/errors.js, DNSException).
_EAI_CODES = _table(
    {
        "EAI_ADDRFAMILY": "EAI_ADDRFAMILY",
        "EAI_AGAIN": "EAI_AGAIN",
        "EAI_BADFLAGS": "EAI_BADFLAGS",
        "EAI_FAIL": "EAI_FAIL",
        "EAI_FAMILY": "EAI_FAMILY",
        "EAI_MEMORY": "EAI_MEMORY",
        "EAI_SERVICE": "EAI_SERVICE",
        "EAI_SOCKTYPE": "EAI_SOCKTYPE",
        "EAI_NODATA": "ENOTFOUND",
        "EAI_NONAME": "ENOTFOUND",
    }
)


def code_of(exc: BaseException) -> str:
    """Node's ``code`` for an exception: its own, or the name of its ``errno``.

    :param exc: any exception.
    :returns: for example ``"ECONNREFUSED"``; ``"UNKNOWN"`` where there is no name for it.
    """
    code = getattr(exc, "code", None)
    if isinstance(code, str):
        return code
    number = getattr(exc, "errno", None)
    if isinstance(exc, gaierror):
        return _EAI_CODES.get(number or 0, "EAI_FAIL")
    if isinstance(exc, TimeoutError) and number is None:
        return "ETIMEDOUT"
    # The names of Windows' socket errors begin with WSA; one of them is another number's in Node.
    name = _errno.errorcode.get(number or 0, "UNKNOWN").removeprefix("WSA")
    return "EAGAIN" if name == "EWOULDBLOCK" else name


def printable(text: str) -> str:
    """Text that a stranger may have chosen, for one line of a log or on a terminal.

    What would not be seen, or would do something there (control characters, line ends, marks of
    the direction, halves of surrogate pairs), becomes an escape such as ``\\x1b``.

    :param text: any text, a path or a host name for example.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def annotate(
    exc: OSError,
    syscall: str,
    address: str | None = None,
    port: int | None = None,
    *,
    local: tuple[str, int] | None = None,
) -> OSError:
    """Add Node's fields, and a message that names them, to a system error.

    :param exc: the error; it is changed in place, its class stays.
    :param syscall: the name of the call that failed, for example ``"connect"``.
    :param address: the address or path that it was about.
    :param port: the port, or ``None`` for a path.
    :param local: the local address and port, where the socket was bound.
    :returns: ``exc`` itself.
    """
    fields: Any = exc
    # An error of TLS: the system has no word for it, and OpenSSL has.
    words = exc.strerror if hasattr(exc, "library") else None
    fields.code = code = code_of(exc)
    fields.syscall = syscall
    message = f"{syscall} {code}"
    if syscall == "listen":
        # Only there, as in Node: "listen EADDRINUSE: address already in use 127.0.0.1:80".
        message += _in_words(exc.errno)
    if address is not None:
        fields.address = address
        message += f" {printable(address)}"
        if port is not None:
            fields.port = port
            message += f":{port}"
    if local is not None:
        fields.local_address, fields.local_port = local
        message += f" - Local ({local[0]}:{local[1]})"
    if words:
        message += f": {words}"
    # The number keeps str() in the interpreter's form: "[Errno 111] connect ECONNREFUSED …".
    exc.args = (exc.errno, message)
    exc.strerror = message
    return exc


@contextmanager
def late_import() -> Iterator[None]:
    """What an import inside a call fails with gets a ``code``, as that of any other call.

    No descriptor may be left to read the module with.
    """
    try:
        yield
    except OSError as exc:
        raise (exc if hasattr(exc, "code") else annotate(exc, "open")) from None


def would_block(syscall: str) -> OSError:
    """The error of a call that must not wait, and would have to: a :class:`BlockingIOError`.

    :param syscall: ``"read"`` or ``"write"``.
    """
    return system_error(_errno.EAGAIN, syscall)


def _in_words(number: int | None) -> str:
    """The system's words for an ``errno``, behind a colon; nothing where it has none."""
    words = os.strerror(number or 0)
    if not number or words.startswith("Unknown error"):
        return ""
    return f": {words[0].lower()}{words[1:]}"


def system_error(
    number: int,
    syscall: str,
    address: str | None = None,
    port: int | None = None,
    *,
    local: tuple[str, int] | None = None,
) -> OSError:
    """The annotated error for an ``errno`` that no exception was raised for."""
    return annotate(OSError(number, os.strerror(number)), syscall, address, port, local=local)


def lookup_error(exc: OSError | str, hostname: str, syscall: str = "getaddrinfo") -> OSError:
    """The resolver's error with ``code``, ``syscall`` and ``hostname``.

    :param exc: the resolver's error, changed in place; or a code such as ``"ENOTFOUND"``, for
        which a :class:`socket.gaierror` is made.
    :param hostname: the name that was asked for.
    :param syscall: what was asked, for example ``"queryMx"``.
    :returns: the annotated error.
    """
    code = exc if isinstance(exc, str) else code_of(exc)
    error = gaierror(_socket.EAI_NONAME, "") if isinstance(exc, str) else exc
    fields: Any = error
    fields.code, fields.syscall, fields.hostname = code, syscall, hostname
    message = f"{syscall} {code} {printable(hostname)}".rstrip()
    error.args = (error.errno, message)
    error.strerror = message
    return error


def coded(exc: _E, code: str, **fields: Any) -> _E:
    """``exc`` with ``code``, and any further fields, set on it."""
    vars(exc).update(fields, code=code)
    return exc


def type_error(message: str, code: str = "ERR_INVALID_ARG_TYPE") -> TypeError:
    """A :class:`TypeError` for an argument of the wrong kind.

    :param message: names the argument, what was received and what is right.
    :param code: Node's code.
    """
    return coded(TypeError(message), code)


def value_error(message: str, code: str = "ERR_INVALID_ARG_VALUE") -> ValueError:
    """A :class:`ValueError` for an argument of the wrong value.

    :param message: names the argument, what was received and what is right.
    :param code: Node's code.
    """
    return coded(ValueError(message), code)


def wait_timeout(what: str, limit: float | None) -> TimeoutError:
    """The error of a wait for ``what`` that took longer than its ``limit`` in seconds."""
    error = TimeoutError(_errno.ETIMEDOUT, f"waited {limit:g} seconds for {what!r}")
    return coded(error, "ETIMEDOUT")
