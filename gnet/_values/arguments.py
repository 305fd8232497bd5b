"""Checks of arguments, made before anything is opened.

Each returns the value in the form that the rest of gnet uses, or raises :class:`TypeError` for
a wrong kind and :class:`ValueError` for a wrong value, with Node's ``code`` and a message that
names the argument, the value and what is right.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from types import CodeType, MethodType
from typing import Any

from ..errors import type_error, value_error

MAX_PORT = 65535
# What gevent's libev and libuv timers both take without overflow, and then some: 68 years.
MAX_SECONDS = 2.0**31
# MAX_TCP_KEEPIDLE of Linux; the other systems take more.
MAX_KEEP_ALIVE_SECONDS = 32767
# MAX_TCP_KEEPCNT of Linux.
MAX_KEEP_ALIVE_COUNT = 127

# CO_COROUTINE, CO_ITERABLE_COROUTINE and CO_ASYNC_GENERATOR: inspect, *Code Objects Bit Flags*.
ASYNC_FLAGS = 0x80 | 0x100 | 0x200

# What Python takes for blank in ASCII.
_BLANKS = " \t\n\r\v\f"
_FAMILIES = {0: 0, 4: 4, 6: 6, "IPv4": 4, "IPv6": 6}


def wrong_kind(name: str, value: object, right: str) -> TypeError:
    """The error for ``value``, which is no ``right``, as the argument ``name``."""
    return type_error(
        f'The "{name}" argument must be {right}. Received {value!r} ({type(value).__name__})'
    )


def wrong_value(
    name: str, value: object, right: str, code: str = "ERR_INVALID_ARG_VALUE"
) -> ValueError:
    """The error for ``value``, of the right kind but out of what is allowed."""
    return value_error(f'The "{name}" argument must be {right}. Received {value!r}', code)


def integer(name: str, value: Any, low: int, high: int) -> int:
    """An ``int``, not a ``bool``, from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_kind(name, value, "an int")
    if not low <= value <= high:
        raise wrong_value(name, value, f"from {low} to {high}", "ERR_OUT_OF_RANGE")
    return value


def port(value: Any) -> int:
    """A port: an ``int``, or a ``str`` in decimal or ``0x`` notation; from 0 to 65535."""
    if type(value) is int and 0 <= value <= MAX_PORT:
        return value
    if not isinstance(value, str):
        return port_number("port", value, "an int or a str of digits")
    number = _parse_port(value)
    if number is None or number > MAX_PORT:
        raise _bad_port("port", value)
    return number


def port_number(name: str, value: Any, right: str = "an int") -> int:
    """A port as an ``int``, from 0 to 65535."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_kind(name, value, right)
    if not 0 <= value <= MAX_PORT:
        raise _bad_port(name, value)
    return value


def _bad_port(name: str, value: object) -> ValueError:
    return wrong_value(name, value, f"a port from 0 to {MAX_PORT}", "ERR_SOCKET_BAD_PORT")


def _parse_port(text: str) -> int | None:
    # Not whatever is space to Unicode: U+001F and its kin are none in a number of Node's either.
    text = text.strip(_BLANKS).lower()
    digits, base = (text[2:], 16) if text.startswith("0x") else (text, 10)
    # int() also takes signs, underscores and other alphabets' digits, which no port has.
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(digits, base)
    except ValueError:
        return None


def seconds(name: str, value: Any) -> float | None:
    """A time in seconds; ``None`` and ``0`` give ``None``: no limit."""
    if value is None:
        return None
    return _seconds(name, value) or None


def keep_alive_delay(name: str, value: Any) -> float:
    """The delay of the first probe in seconds; ``None`` and what is below 0 leave the system's."""
    if type(value) is int and value <= 0:
        return 0
    if isinstance(value, (int, float)) and value < 0:
        value = value if isinstance(value, bool) else 0
    delay = seconds(name, value) or 0
    if delay >= MAX_KEEP_ALIVE_SECONDS + 1:
        right = f"at most {MAX_KEEP_ALIVE_SECONDS} seconds"
        raise wrong_value(name, value, right, "ERR_OUT_OF_RANGE")
    return delay


def keep_alive_count(name: str, value: Any) -> int:
    """How many probes may stay without an answer; ``0``, and what is below, leave the system's."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_kind(name, value, "an int")
    if value > MAX_KEEP_ALIVE_COUNT:
        raise wrong_value(name, value, f"at most {MAX_KEEP_ALIVE_COUNT}", "ERR_OUT_OF_RANGE")
    return max(0, value)


def limit(name: str, value: Any) -> float | None:
    """How long to wait, in seconds; ``None``: no limit; ``0``: do not wait."""
    return None if value is None else _seconds(name, value)


def positive_seconds(name: str, value: Any) -> float:
    """A time in seconds, above zero."""
    number = _seconds(name, value)
    if number == 0:
        raise wrong_value(name, value, "above 0 seconds", "ERR_OUT_OF_RANGE")
    return number


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_kind(name, value, "a number of seconds")
    if not 0 <= value <= MAX_SECONDS:
        raise wrong_value(name, value, f"from 0 to {MAX_SECONDS:.0f} seconds", "ERR_OUT_OF_RANGE")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """A ``bool``; the integers 0 and 1 are taken too, as ``setsockopt`` takes them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise wrong_kind(name, value, "a bool")


def function(name: str, value: Any) -> Callable[..., Any]:
    """Anything that can be called; no ``async def``, which would be taken and never run."""
    if not callable(value):
        raise wrong_kind(name, value, "callable")
    # By hand for a plain function: a call less for each listener.
    code = getattr(value, "__code__", None)
    plain = type(code) is CodeType and not code.co_flags & ASYNC_FLAGS
    if not plain and _is_async(value):
        raise type_error(
            f'The "{name}" argument must be a plain function: gnet has no await, and a listener '
            f"may block. Received the async function {value!r}"
        )
    result: Callable[..., Any] = value
    return result


def _calls(value: Any) -> Any:
    """The method behind the calls of an object that is no function itself."""
    return next(
        (vars(each)["__call__"] for each in type(value).__mro__ if "__call__" in vars(each)), None
    )


def _is_async(value: Any) -> bool:
    """Whether a call only makes a coroutine, or an asynchronous generator."""
    # inspect knows as well, but takes longer to import than the rest of gnet.
    while True:
        code = getattr(value, "__code__", None)
        if isinstance(code, CodeType):
            return bool(code.co_flags & ASYNC_FLAGS)
        if isinstance(value, partial):
            value = value.func
        elif isinstance(value, MethodType):
            value = value.__func__
        else:
            code = getattr(_calls(value), "__code__", None)
            return isinstance(code, CodeType) and bool(code.co_flags & ASYNC_FLAGS)


def optional_function(name: str, value: Any) -> Callable[..., Any] | None:
    """Anything that can be called, or ``None``."""
    return None if value is None else function(name, value)


def string(name: str, value: Any) -> str:
    """A ``str``."""
    if not isinstance(value, str):
        raise wrong_kind(name, value, "a str")
    return value


def path(name: str, value: Any) -> str:
    """A path: a ``str``, or an :class:`os.PathLike` of one; not empty."""
    if not isinstance(value, (str, os.PathLike)):
        raise wrong_kind(name, value, "a str or an os.PathLike")
    text = os.fspath(value)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if not text:
        raise wrong_value(name, value, "a path that is not empty")
    if "\0" in text[1:] and not text.startswith("\0"):
        raise wrong_value(name, value, "a path without NUL characters")
    return text


def family(value: Any, name: str = "family") -> int:
    """An address family: ``0``, ``4``, ``6``, ``"IPv4"`` or ``"IPv6"``; gives the number."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise wrong_kind(name, value, "0, 4, 6, 'IPv4' or 'IPv6'")
    if value not in _FAMILIES:
        raise wrong_value(name, value, "0, 4, 6, 'IPv4' or 'IPv6'")
    return _FAMILIES[value]
