"""What several verbs take on their command lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gnet

from .place import ALL, FORMS, MAX_PORT, Place, parse_port
from .session import GRACE
from .tunnel import Proxy

__all__ = [
    "add_dialing",
    "add_place",
    "add_rate",
    "add_serving",
    "add_showing",
    "add_target",
    "add_timeout",
    "argument",
    "check_dialing",
    "check_family",
    "count",
    "dialed",
    "positive_seconds",
    "read_ports",
    "read_target",
    "wrong",
]

# A service that is not among them is refused, as typing errors are.
RATES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}


def add_target(parser: argparse.ArgumentParser, name: str = "TARGET", to: str = "target") -> None:
    parser.add_argument(to, metavar=name, type=_place, help=f"one of {FORMS}")


def add_place(parser: argparse.ArgumentParser, port: str) -> None:
    """A target, or a host and a port as ``nc`` has them; see :func:`read_target`."""
    parser.add_argument("target", metavar="TARGET", help=f"one of {FORMS}; or a host, before PORT")
    parser.add_argument("port", metavar="PORT", nargs="?", help=port)
    parser.set_defaults(late="port")


def add_family(parser: argparse.ArgumentParser) -> None:
    family = parser.add_mutually_exclusive_group()
    for number in (4, 6):
        family.add_argument(
            f"-{number}", f"--ipv{number}", dest="family", action="store_const", const=number,
            help=f"IPv{number} alone",
        )  # fmt: skip
    parser.set_defaults(family=0)


def add_serving(parser: argparse.ArgumentParser, grace: float = GRACE) -> None:
    add_family(parser)
    parser.add_argument(
        "--mode", type=_mode, metavar="MODE",
        help="the permissions of a Unix socket's file, in octal: 660",
    )  # fmt: skip
    parser.add_argument(
        "--max-connections", type=count, metavar="N",
        help="how many connections may be open at once; further ones are dropped",
    )  # fmt: skip
    parser.add_argument(
        "--grace", type=_seconds, metavar="SECONDS", default=grace,
        help="how long connections have to end when the server is stopped; default %(default)g",
    )  # fmt: skip


def add_timeout(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "-w", "--timeout", type=positive_seconds, metavar="SECONDS", help=what
    )  # fmt: skip


def add_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate", type=_rate, metavar="BYTES",
        help="pass on at most this many bytes a second, each way: 500, 64k, 1.5M",
    )  # fmt: skip


def add_showing(parser: argparse.ArgumentParser) -> None:
    """What becomes of standard input, and how what comes is shown."""
    parser.add_argument(
        "-C", "--crlf", action="store_true", help="send the line ends of the input as CR and LF"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--hex", action="store_true",
        help="show what comes (<) and what goes (>) as a hex dump, and nothing else",
    )  # fmt: skip
    how.add_argument(
        "--raw", action="store_true",
        help="have control characters from the network take effect on the terminal",
    )  # fmt: skip


def add_dialing(parser: argparse.ArgumentParser) -> None:
    """How a connection is made; see :func:`dialed`."""
    add_family(parser)
    parser.add_argument(
        "-s", "--source", type=_address, metavar="ADDRESS", help="the IP address to connect from"
    )
    parser.add_argument(
        "-p", "--source-port", type=_port, metavar="PORT", help="the port to connect from"
    )
    parser.add_argument(
        "--proxy", type=_proxy, metavar="URL",
        help="connect through socks5://[USER:PASSWORD@]HOST[:PORT] or http://…, which looks the "
        "name up",
    )  # fmt: skip


def dialed(options: argparse.Namespace, place: Place, **more: Any) -> gnet.Socket:
    """A connection to a place; blocks until it is made.

    :param options: ``family``, ``source``, ``source_port``, ``proxy``, and ``timeout``, which is
        for all of it.
    :param more: options of :func:`gnet.connect`.
    :raises OSError: it is not.
    """
    first = place if options.proxy is None else options.proxy.place
    sock = gnet.connect(
        **first.options,
        family=options.family,
        local_address=options.source,
        local_port=options.source_port,
        connect_timeout=options.timeout,
        allow_half_open=True,
        **more,
    )
    # Raised by the call that meets it.
    sock.on("error", lambda error: None)
    try:
        sock.wait("connect")
        if sock.remote_address is not None:
            sock.set_no_delay()
        if options.proxy is not None:
            sock.set_timeout(options.timeout)
            options.proxy.connect(sock, place)
            sock.set_timeout(0)
    except BaseException:
        sock.destroy()
        raise
    return sock


# -- what one argument says about another ---------------------------------------------------------


def wrong(option: str, why: str) -> argparse.ArgumentError:
    """The error for an argument that does not go with others."""
    return argparse.ArgumentError(None, f"argument {option}: {why}")


def read_target(options: argparse.Namespace) -> None:
    """Make a place of ``target`` and ``port``."""
    try:
        if options.port is None:
            options.target = Place.parse(options.target)
        else:
            options.target = Place.of(options.target, options.port)
    except ValueError as exc:
        raise wrong("TARGET", str(exc)) from None


def read_ports(texts: list[str]) -> list[int]:
    """The ports of ``80``, ``20-25`` and ``20-25,80``, each once, in the order given."""
    ports: dict[int, None] = {}
    for text in texts:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            try:
                low = parse_port(first, text)
                high = parse_port(last, text) if dash else low
            except ValueError:
                low, high = 1, 0
            if low > high or not low:
                raise wrong("PORT", f"{text!r} is no port from 1 to {MAX_PORT}, and no range")
            ports.update(dict.fromkeys(range(low, high + 1)))
    return list(ports)


def check_family(options: argparse.Namespace, place: Place) -> None:
    """Whether the options of TCP go with a place, and the place with the family."""
    mode = getattr(options, "mode", None)
    if mode is not None and (place.path is None or place.path.startswith(("\0", "\\"))):
        raise wrong("--mode", f"{place} has no file")
    if mode is not None and sys.platform == "win32":
        raise wrong("--mode", "there are no such permissions on Windows")
    if options.family:
        option = f"-{options.family}/--ipv{options.family}"
        if place.path is not None:
            raise wrong(option, f"{place} is no IP address")
        if gnet.is_ip(place.host) not in (0, options.family):
            raise wrong(option, f"{place.host} is not an address of that family")


def check_dialing(options: argparse.Namespace, place: Place) -> None:
    """Whether it can be connected to a place in the way that the options say."""
    if place.host == ALL:
        raise wrong("TARGET", f"{ALL} is an address for listening")
    given = {"-s/--source": options.source, "-p/--source-port": options.source_port}
    given["--proxy"] = options.proxy
    for option, value in given.items():
        if value is not None and place.path is not None:
            raise wrong(option, f"it is for TCP, and {place} is a path")
    first = place if options.proxy is None else options.proxy.place
    check_family(options, first)
    if options.source is not None:
        family = gnet.is_ip(options.source)
        if options.family not in (0, family) or gnet.is_ip(first.host) not in (0, family):
            raise wrong("-s/--source", f"{options.source} is of another family")


# -- types ----------------------------------------------------------------------------------------

# Of what a type raises argparse shows the text only for its own error.


def _place(text: str) -> Place:
    with argument():
        return Place.parse(text)


def _proxy(text: str) -> Proxy:
    with argument():
        return Proxy.parse(text)


def _address(text: str) -> str:
    if not gnet.is_ip(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address")
    return text


def _port(text: str) -> int:
    with suppress(ValueError):
        return parse_port(text, text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to {MAX_PORT}")


def _mode(text: str) -> int:
    with suppress(ValueError):
        if text.isascii() and text.isdigit() and 0 <= int(text, 8) <= 0o777:
            return int(text, 8)
    raise argparse.ArgumentTypeError(f"{text!r} is no mode from 0 to 777")


def _rate(text: str) -> float:
    unit = text[-1:] if text[-1:] in RATES else ""
    with suppress(ValueError):
        rate = float(text.removesuffix(unit)) * RATES[unit]
        if 1 <= rate <= 1e15:
            return rate
    raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes a second, from 1 on")


def count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        seconds = float(text)
        if 0 <= seconds <= 2**31:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")


def positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("no time at all is too short")
    return seconds


@contextmanager
def argument() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
