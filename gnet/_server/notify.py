"""Telling systemd, or what speaks its protocol, how a service is: ``gnet.notify()``.

From ``sd_notify(3)`` and ``sd_watchdog_enabled(3)``.
"""

from __future__ import annotations

import _socket
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.hub import get_hub

from .._values import arguments
from . import bind

__all__ = ["as_service", "notify", "sign_of_life", "stopping"]


def notify(state: str) -> bool:
    """Tell the service manager, systemd for example, the state of this service.

    The call never blocks, and does nothing if there is no manager. It adds to ``"RELOADING=1"``
    the ``MONOTONIC_USEC`` that systemd wants. :func:`gnet.serve`, :func:`gnet.wsgi.serve`,
    :meth:`gnet.cluster.Cluster.run` and the command ``gnet wsgi`` tell by themselves when they are
    ready, stop or restart, and that they live.

    :param state: as for ``sd_notify(3)``: ``"READY=1"``, ``"STATUS=warming up"``; several states
        in a line each.
    :returns: whether there is a manager that could be told.
    :raises TypeError: ``state`` is not a ``str``.
    :raises ValueError: ``state`` is empty.
    """
    if not arguments.string("state", state):
        raise arguments.wrong_value("state", state, "like 'READY=1'")
    place = os.environ.get("NOTIFY_SOCKET", "")
    # Others are none of a file's or of an abstract name: VM hosts', for one.
    if place[:1] not in ("/", "@") or sys.platform == "win32":
        return False
    lines = state.split("\n")
    if "RELOADING=1" in lines and not any(each.startswith("MONOTONIC_USEC=") for each in lines):
        state += f"\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
    address = "\0" + place[1:] if place[0] == "@" else place
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.sendto(state.encode(), address)
    except OSError:
        return False
    finally:
        sock.close()
    return True


@contextmanager
def as_service() -> Iterator[None]:
    """Inside, this process serves: the manager is told, and again and again, if it wants that.

    A worker of a cluster tells nothing: its primary does.
    """
    if bind.ask_primary is not None:
        yield
        return
    notify("READY=1")
    with sign_of_life():
        yield


@contextmanager
def sign_of_life() -> Iterator[None]:
    """Say twice in the time that the manager waits for it that the loop turns."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    if "NOTIFY_SOCKET" not in os.environ:
        limit = ""
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not mine or not (limit.isascii() and limit.isdigit()) or not int(limit):
        yield
        return
    pause = int(limit) / 2e6
    # The loop's timer runs where the loop stands still for nobody.
    timer = get_hub().loop.timer(0, pause, ref=False)
    timer.start(notify, "WATCHDOG=1")
    try:
        yield
    finally:
        timer.close()


def stopping() -> None:
    """The service has begun to stop."""
    if bind.ask_primary is None:
        notify("STOPPING=1")
