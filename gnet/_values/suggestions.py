"""What was meant by a name that is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from ..errors import type_error

__all__ = ["closest", "names", "option_error", "suggesting"]

_F = TypeVar("_F", bound=Callable[..., Any])

_TLS = "TLS is tls=: True or an ssl.SSLContext for a client, and for a server a pair of files, too"
_OF_SSL = (
    "ca_certs", "cert", "cert_reqs", "certfile", "ciphers", "do_handshake_on_connect", "key",
    "keyfile", "secure_context", "ssl", "ssl_context", "ssl_options", "ssl_version",
)  # fmt: skip
_GREENLETS = "each connection that needs a greenlet has one, and max_connections limits them"
#: What people try who know gevent, asyncio, Python's socket or Node.
SPECIAL = {
    "ALPNProtocols": 'ALPN is the context\'s: context.set_alpn_protocols(["h2"])',
    "rejectUnauthorized": "what is verified is the context's: check_hostname and verify_mode",
    **dict.fromkeys(_OF_SSL, _TLS),
    **dict.fromkeys(("pool", "spawn"), _GREENLETS),
    "handle": "what handles a connection is the first argument",
    "reuse_address": "a port that nobody listens on any more can be used at once, always",
    "reuse_addr": "a port that nobody listens on any more can be used at once, always",
    "start_serving": "listen() starts it",
    "loop": "there is one loop, gevent's",
}

# The options of each call that has some.
_options: dict[str, frozenset[str]] = {}


def names(options: type) -> frozenset[str]:
    """The names of the options in a :class:`typing.TypedDict`."""
    return frozenset(options.__annotations__)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or ``None``."""
    # It takes as long to import as gnet does, and is for those who have made an error.
    import difflib

    snake = "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
    by_letters = {each.replace("_", ""): each for each in sorted(known)}
    if (same := by_letters.get(snake.replace("_", ""))) is not None:
        return same
    found = difflib.get_close_matches(snake, sorted(known), 1, 0.75)
    return found[0] if found else None


def option_error(call: str, given: Iterable[str], known: frozenset[str]) -> TypeError:
    """The error for options that a call does not have; it says what was meant."""
    name = min(set(given) - known)
    text = f"{call} got an unexpected keyword argument {name!r}"
    return type_error(f"{text}{_hint(call, name, known)}")


def _hint(call: str, name: str, known: frozenset[str]) -> str:
    meant = closest(name, known)
    if meant is not None:
        return f"; did you mean {meant!r}?"
    if others := [each for each in sorted(_options) if name in _options[each]]:
        return f"; it is an option of {' and '.join(others)}"
    return f"; {SPECIAL[name]}" if name in SPECIAL else ""


def suggesting(call: str, options: type, *, offered: bool = True) -> Callable[[_F], _F]:
    """Have a method say what was meant by an option that it does not have.

    :param call: the method, for errors.
    :param options: the :class:`typing.TypedDict` of its options.
    :param offered: whether others say that theirs is one of this method's.
    """
    known = names(options)

    def decorate(function: _F) -> _F:
        code = function.__code__
        # And those that may be given without their names, behind self.
        allowed = known | set(code.co_varnames[1 : code.co_argcount])
        if offered:
            _options[call] = allowed

        @wraps(function)
        def called(*args: Any, **given: Any) -> Any:
            try:
                return function(*args, **given)
            except TypeError:
                if given.keys() <= allowed:
                    raise
                raise option_error(call, given, allowed) from None

        return cast(_F, called)

    return decorate
