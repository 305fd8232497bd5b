"""The verb ``scan``."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gevent.pool import Pool

import gnet

from .arguments import add_dialing, add_timeout, check_dialing, dialed, read_ports, wrong
from .output import print_lines
from .place import Place
from .session import CommandError, Session
from .tunnel import ProxyError

__all__ = ["SCAN", "add_scan", "read_scan", "scan"]

#: How many connections are made side by side.
AT_ONCE = 100
#: How long one may take unless told, in seconds.
PATIENCE = 3.0
# Other errors are this machine's own, a lack of descriptors for one, and say nothing of the port.
CLOSED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
SCAN = f"""See which ports of a host accept a connection, and print these as targets, one a line;
{AT_ONCE} are tried at once. The status is 1 when none does."""


def scan(session: Session, options: argparse.Namespace) -> None:
    """``gnet scan``"""
    if options.timeout is None:
        options.timeout = PATIENCE
    host = options.places[0].host
    more = {}
    if options.proxy is None and not gnet.is_ip(host):
        more["lookup"] = _one_lookup(host, options.family)
    if not print_lines(_open(options, more)):
        count = len(options.places)
        ports = "the port" if count == 1 else f"each of the {count} ports"
        raise CommandError(f"{ports} of {host} refuses, or does not answer")


def _open(options: argparse.Namespace, more: dict[str, Any]) -> Iterator[str]:
    """The places that accept a connection."""
    accepts = Pool(AT_ONCE).imap(partial(_accepts, options, more), options.places)
    for place, accepted in zip(options.places, accepts):
        if isinstance(accepted, OSError):
            raise accepted
        if accepted:
            yield str(place)


def _accepts(options: argparse.Namespace, more: dict[str, Any], place: Place) -> bool | OSError:
    """Whether it accepts a connection; an error that says nothing of that."""
    try:
        dialed(options, place, **more).destroy()
    except (TimeoutError, ProxyError):
        return False
    except OSError as exc:
        # What a greenlet raises would be printed.
        return exc if exc.errno not in CLOSED else False
    return True


def _one_lookup(host: str, family: int) -> Callable[..., Any]:
    """A hook that gives what was looked up once for all the ports."""
    addresses: Any = gnet.dns.lookup(host, family=family, all=True)

    def looked_up(hostname: str, *, family: int = 0, hints: int = 0, all: bool = False) -> Any:
        fit = [each for each in addresses if family in (0, each[1])]
        return fit if all else fit[0]

    return looked_up


def read_scan(options: argparse.Namespace) -> None:
    """Make ``places`` of a host and ports."""
    host, ports = options.target, options.ports
    if not ports:
        # The other form, host:port.
        host, colon, port = host.rpartition(":")
        if not colon:
            raise wrong("PORT", "which ports, is not said: 80, 20-25 or 20-25,80")
        ports = [port]
        host = host.removeprefix("[").removesuffix("]")
    try:
        options.places = [Place.of(host, str(port)) for port in read_ports(ports)]
    except ValueError as exc:
        raise wrong("TARGET", str(exc)) from None
    check_dialing(options, options.places[0])


def add_scan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="HOST", help="a host, or host:ports")
    parser.add_argument(
        "ports", metavar="PORT", nargs="*", help="the ports: 80, a range 20-25, or 20-25,80"
    )
    add_dialing(parser)
    add_timeout(parser, f"how long one connection may take; default {PATIENCE:g}")
    parser.set_defaults(run=scan, check=read_scan, late="ports")
