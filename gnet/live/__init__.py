"""The live view: what the servers and connections of a running program are doing.

.. code-block:: python

    import gnet.live

    gnet.live.enable()

``gnet ps``, ``gnet top`` and ``gnet live`` then show them, in the shell and in a browser, over a
control socket: a Unix socket of this user's, or on Windows a pipe. ``GNET_LIVE=path`` in the
environment does the same without a line of code, and :func:`enable_on` when a signal comes. Unless
asked nothing listens, and nothing is done.

In a cluster the primary has the control socket, and tells of all workers.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import gevent

from .._server import bind
from .._values import arguments
from ..errors import late_import, printable
from . import folder
from .control import Control

if TYPE_CHECKING:
    from .page import Page

__all__ = ["disable", "enable", "enable_on", "make_wsgi_app"]

_log = logging.getLogger("gnet")


class _Enabled:
    """The control socket of this process, while there is one."""

    control: Control | None = None
    link: str | None = None


def enable(path: str | os.PathLike[str] | None = None) -> str | None:
    """Have this process tell what its servers and connections are doing.

    The control socket keeps no program running, and goes with it. A second call without a path
    does nothing; one with another path moves the socket there.

    :param path: the path of the control socket, whose file is this user's alone; on Windows the
        name of a pipe. Default: one by the number of this process, in a folder of this user's
        alone, in ``$XDG_RUNTIME_DIR`` or where temporary files are.
    :returns: the path; ``None`` in a worker of a cluster, whose primary tells of it.
    :raises OSError: the path cannot be bound.
    :raises TypeError: ``path`` is no path.
    """
    wanted = None if path is None else arguments.path("path", path)
    if _is_worker():
        return None
    control = _Enabled.control
    if control is not None and wanted in (None, control.path):
        return control.path
    if wanted is None:
        wanted = folder.default_path()
        folder.sweep()
    new = Control(wanted)
    disable()
    _Enabled.control = new
    _Enabled.link = folder.announce(wanted)
    atexit.register(disable)
    return wanted


def disable() -> None:
    """Undo :func:`enable`: remove the control socket, and end the conversations over it."""
    control, _Enabled.control = _Enabled.control, None
    link, _Enabled.link = _Enabled.link, None
    atexit.unregister(disable)
    if link is not None:
        folder.withdraw(link)
    if control is not None:
        control.close()


def enable_on(signum: int, path: str | os.PathLike[str] | None = None) -> None:
    """Have a signal enable the live view: ``gnet.live.enable_on(signal.SIGUSR2)``.

    Call it in the main thread. A path that cannot be bound then is a warning in the log.

    :param signum: the signal.
    :param path: as for :func:`enable`.
    :raises TypeError: ``path`` is no path.
    :raises ValueError: there is no such signal.
    """
    wanted = None if path is None else arguments.path("path", path)
    gevent.signal_handler(signum, enable_or_warn, wanted, "the live view")


def enable_or_warn(path: str | None, what: str) -> None:
    """:func:`enable`; that it fails is a warning.

    :param what: what has failed then.
    """
    try:
        where = enable(path)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        _log.warning("%s: %s", what, printable(reason))
    else:
        if where is not None:
            _log.info("the live view is at %s", printable(where))


def make_wsgi_app(
    *,
    control: bool = False,
    token: str | None = None,
    hosts: Iterable[str] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Page:
    """Make the page of the live view, a WSGI application.

    :param control: also let who opens it close connections and drain servers; default ``False``.
    :param token: what every URL of it must have as ``?token=``, at least 16 characters; default:
        a new one, which the application has as its ``token``.
    :param hosts: the names, ``"host"`` or ``"host:port"``, under which browsers may open it;
        default: the address that it is served at, and ``localhost`` on a loopback.
    :param path: the control socket of another program to tell of; default: this process.
    :returns: the application; its ``url(base)`` is where to open it.
    :raises TypeError: an option is of the wrong kind.
    :raises ValueError: an option has a wrong value.
    """
    with late_import():
        from .page import Page  # for who looks, alone

    where = None if path is None else arguments.path("path", path)
    return Page(control=control, token=token, hosts=hosts, path=where)


def _is_worker() -> bool:
    """Whether this is a worker of a cluster, or is about to be one."""
    return bind.ask_primary is not None or "GNET_CLUSTER" in os.environ


def _leave_in_child() -> None:
    """In a forked child: the control socket is the parent's."""
    _Enabled.control = _Enabled.link = None
    atexit.unregister(disable)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_leave_in_child)
