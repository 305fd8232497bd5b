"""Who is compared: each server and each probe, what it can do, and what it needs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import native, node

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A program that takes part.

    :ivar name: what the reports call it.
    :ivar program: its file, below this folder.
    :ivar does: the behaviours that it knows, its first argument.
    :ivar before: arguments that come before the behaviour.
    :ivar environment: variables that are set for it, each as ``NAME=value``.
    :ivar modules: the Python modules that must be importable.
    """

    name: str
    program: str
    does: frozenset[str]
    before: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """What this machine lacks for it, or ``None``."""
        if self.program.endswith(".js"):
            return node.missing()
        if self.program.endswith(".c"):
            return None if native.compiler() else "there is no C compiler"
        absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} is not installed" if absent else None

    def command(self, behaviour: str, *arguments: str) -> list[str]:
        """The command line for one behaviour."""
        path = HERE / self.program
        if self.program.endswith(".c"):
            return [str(native.build(path)), behaviour, *arguments]
        interpreter = node.program() if self.program.endswith(".js") else sys.executable
        program = [interpreter, str(path), *self.before, behaviour, *arguments]
        return ["env", *self.environment, *program] if self.environment else program


def _peer(name: str, program: str, does: str, *modules: str, before: str = "") -> Peer:
    return Peer(name, program, frozenset(does.split()), tuple(before.split()), modules)


def _pure(name: str, program: str) -> Peer:
    """gnet without its compiled core."""
    does = frozenset(("echo",))
    return Peer(f"{name}-pure", program, does, modules=("gnet",), environment=("GNET_PURE=1",))


def _asyncio(name: str, program: str, does: str) -> Iterator[Peer]:
    """One program under both loops."""
    for loop in ("uvloop", "asyncio"):
        yield _peer(f"{loop}{name}", program, does, loop, before=loop)


EVERYTHING = "echo timeout line sink fanout proxy tls"

SERVERS = (
    _peer("gnet-event", "servers/gnet_event.py", "echo timeout line sink fanout tls", "gnet"),
    _peer("gnet-blocking", "servers/gnet_blocking.py", EVERYTHING, "gnet"),
    _peer("gnet-pipe", "servers/gnet_pipe.py", "echo proxy", "gnet"),
    _peer("gnet-onread", "servers/gnet_onread.py", "echo sink", "gnet"),
    _peer("gnet-cluster", "servers/gnet_cluster.py", "echo", "gnet"),
    _pure("gnet-event", "servers/gnet_event.py"),
    _pure("gnet-blocking", "servers/gnet_blocking.py"),
    _peer("gevent", "servers/gevent_blocking.py", EVERYTHING, "gevent"),
    *_asyncio("-protocol", "servers/asyncio_protocol.py", "echo line sink fanout proxy tls"),
    *_asyncio("-streams", "servers/asyncio_streams.py", "echo line proxy tls"),
    _peer("trio", "servers/trio_streams.py", "echo line", "trio"),
    _peer("twisted", "servers/twisted_protocol.py", "echo line fanout", "twisted"),
    _peer("node", "servers/node_event.js", "echo timeout line sink fanout tls"),
    _peer("node-pipe", "servers/node_pipe.js", "echo proxy"),
    _peer("c-epoll", "servers/epoll.c", "echo line sink fanout"),
    _peer("c-splice", "servers/splice.c", "proxy"),
)

#: Programs that measure themselves, under the names of what they measure.
PROBES = (
    _peer("gnet", "probes/gnet_probe.py", "client connect race blocklist emit", "gnet"),
    _peer("gevent", "probes/gevent_probe.py", "client connect race", "gevent"),
    _peer("asyncio", "probes/asyncio_probe.py", "client connect race", before="asyncio"),
    # uvloop does not race, and its lookups cannot be replaced.
    _peer("uvloop", "probes/asyncio_probe.py", "client connect", "uvloop", before="uvloop"),
    _peer("trio", "probes/trio_probe.py", "connect race", "trio"),
    _peer("node", "probes/node_probe.js", "client connect race blocklist emit"),
    _peer("ipaddress", "probes/ipaddress_probe.py", "blocklist"),
    _peer("pyee", "probes/pyee_probe.py", "emit", "pyee"),
    *(
        _peer(name, "probes/import_probe.py", "import", name, before=name)
        for name in ("gnet", "gevent", "asyncio", "uvloop", "trio", "twisted")
    ),
)
