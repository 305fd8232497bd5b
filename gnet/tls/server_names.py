"""Whom a client of TLS means: the name that is sent, and verified."""

from __future__ import annotations

import _socket
import re
from contextlib import suppress
from typing import Any

from .._values import arguments
from .._values.addresses import canonical, parse_ip, split_zone
from ..dns.names import ascii_name

__all__ = ["is_name", "server_hostname"]

# What inet_aton() takes: one to four numbers, decimal, octal or hexadecimal. glibc's also takes
# whatever stands behind a blank.
_NUMBERS = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\.?")
# No name ends so (WHATWG's URL, "ends in a number"): it is an address, or nothing.
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?$")
# What can stand in no name, and would only confuse who reads it.
_NO_NAME = re.compile(r"[\x00-\x20\x7f/\\:@\[\]%]")


def server_hostname(value: Any, name: str = "server_hostname") -> str:
    """The name or address of a server in the one form that is sent and verified.

    A name is in lower case, in the form of IDNA 2008, and without a last dot, as Node has it. What
    ``inet_aton()`` would take for an address is that address, in its normal form and without a
    zone, and never a name: a certificate for the name ``127.1`` must not pass for the host that
    was connected to.

    :param value: as the program has given it; ``""`` stays.
    :param name: of which argument.
    :raises TypeError: it is no ``str``.
    :raises ValueError: it is neither an address nor a name that can be sent.
    """
    text = arguments.string(name, value)
    if not text:
        return ""
    # Dots of other scripts are dots to IDNA.
    if not text.isascii():
        text = _mapped(name, value)
    address = _address(text)
    if address is not None:
        return address
    if _NO_NAME.search(text) or text.startswith(".") or _ENDS_IN_NUMBER.search(text):
        raise _no_name(name, value)
    return _mapped(name, text).lower().removesuffix(".")


def is_name(text: str) -> bool:
    """Whether what :func:`server_hostname` has given is a name, which is sent, and no address."""
    return bool(text) and parse_ip(text) is None


def _mapped(name: str, text: str) -> str:
    try:
        return ascii_name(text)
    except OSError:
        raise _no_name(name, text) from None


def _address(text: str) -> str | None:
    """The address that a text is to some system, in its normal form."""
    ip = parse_ip(text)
    if ip is not None:
        return split_zone(canonical(ip))[0]
    if _NUMBERS.fullmatch(text):
        with suppress(OSError):
            return _socket.inet_ntoa(_socket.inet_aton(text.removesuffix(".")))
    return None


def _no_name(name: str, value: object) -> ValueError:
    return arguments.wrong_value(name, value, "a host name or an IP address")
