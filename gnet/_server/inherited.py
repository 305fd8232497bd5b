"""Listening descriptors that a service manager has opened: ``gnet.inherited_listeners()``."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import value_error

__all__ = ["InheritedListener", "inherited_listeners"]

# sd_listen_fds(3): the first of them, after standard input, output and error.
FIRST_FD = 3


class InheritedListener(NamedTuple):
    """A listening descriptor; :meth:`gnet.Server.listen` takes it.

    :ivar fd: the descriptor.
    :ivar name: its ``FileDescriptorName=``, or ``"unknown"``.
    """

    fd: int
    name: str


def inherited_listeners() -> list[InheritedListener]:
    """The listening descriptors that systemd, or a program with its protocol, has passed on.

    The first call gives them and clears the environment of them, so that no child takes them for
    its own. From ``sd_listen_fds(3)``.

    :returns: the descriptors in the order of the unit's file; an empty list if there are none.
    :raises ValueError: the environment makes no sense.
    """
    pid, count, names = (
        os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if not count or (pid and pid != str(os.getpid())):
        return []
    if not (count.isascii() and count.isdigit()):
        raise value_error(f"LISTEN_FDS must be a number of descriptors. Received {count!r}")
    named = names.split(":") if names else []
    listeners = []
    for index in range(int(count)):
        fd = FIRST_FD + index
        try:
            os.set_inheritable(fd, False)
        except OSError:
            raise value_error(f"LISTEN_FDS={count}, and descriptor {fd} is not open") from None
        name = named[index] if index < len(named) else "unknown"
        listeners.append(InheritedListener(fd, name))
    return listeners
