"""The command ``gnet``, for the quick job and for trying things.

.. code-block:: sh

    gnet listen 8124 --echo
    gnet connect localhost:8124 < request > answer
    gnet proxy 8080 unix:/run/app.sock --max-connections 100
    gnet scan localhost 1-1024
    gnet lookup example.com MX --server 192.0.2.53
    gnet wsgi shop.web:application [::1]:8080

Its exit status is 0; 1 after an error, which is one line on standard error; 2 when it was called
wrongly; and 128 and the number of the signal when a transfer was stopped by one. A server that is
stopped by SIGINT (Ctrl-C) or SIGTERM ends its connections, and that is no failure.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from contextlib import nullcontext

import gnet

from . import report
from .console import Console
from .copying import OutputClosed, StreamError
from .parser import parse
from .session import GRACE, CommandError, Interrupted, Session

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: default: those of the process.
    :returns: the exit status.
    """
    options = parse(arguments)
    console = Console()
    session = Session(console, options)
    try:
        # A cluster minds the signals itself, for all of its processes.
        with nullcontext() if _is_cluster(options) else session.signals(), session.events():
            options.run(session, options)
            return 0
    except Interrupted as exc:
        return 128 + exc.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OutputClosed:
        return 0
    except (CommandError, StreamError, OSError, ValueError) as exc:
        console.say(f"gnet: {report.message(exc)}")
        return 1
    finally:
        # What was written is sent, and what is closing gets the time that it has.
        gnet.run(timeout=GRACE)


def _is_cluster(options: argparse.Namespace) -> bool:
    """Whether this process is one of several."""
    return getattr(options, "workers", None) is not None or getattr(options, "reload", False)
