"""The machine: its processors, its limits, and what is installed."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from . import node

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gevent-net", "gevent", "greenlet", "uvloop", "trio", "twisted", "pyee")


@dataclass(frozen=True)
class Cores:
    """Which processor is whose; ``None`` where there are not two to choose from."""

    server: int | None
    load: int | None


def cores(server: int | None = None, load: int | None = None) -> Cores:
    """One core for the server and another for the load.

    :param server: the server's, instead of the first that this process may use.
    :param load: the load generator's, instead of the second.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2 and (server is None or load is None):
        return Cores(server, load)
    return Cores(usable[0] if server is None else server, usable[1] if load is None else load)


def allow_many_descriptors() -> int:
    """Raise the soft limit of open files, which children inherit, to the hard one.

    :returns: that limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def resident_bytes(pid: int) -> int:
    """The memory that a process holds; exact, unlike ``VmRSS`` with its per-thread slack."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


TICK = 1 / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """The CPU time of everything since the start, on all processors, and what was stolen."""
    with open("/proc/stat", encoding="ascii") as lines:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, next(lines).split()[1:9]
        )
    return (user + nice + system + irq + softirq + steal) * TICK


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process, with its system calls."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as line:
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def family(pid: int) -> list[int]:
    """A process, its children, and theirs: a server may have workers."""
    found = [pid]
    for each in found:
        for tasks in Path(f"/proc/{each}/task").glob("*/children"):
            # One that ends meanwhile has none.
            with suppress(OSError):
                found += map(int, tasks.read_text(encoding="ascii").split())
    return found


def commit() -> str | None:
    """Which commit of the project is measured; with a plus behind it, and what was changed."""
    return _version_of(("git", "-C", str(ROOT), "describe", "--always", "--dirty=+"))


def _version_of(command: Iterable[str]) -> str | None:
    try:
        done = subprocess.run([*command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0]


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def gnet_is_compiled() -> bool:
    """Whether the servers have gnet's compiled core: it is built in the folder of the project."""
    if os.environ.get("GNET_PURE", "0") not in ("", "0"):
        return False
    core = ROOT / "gnet" / "_core"
    return any((core / f"flowing{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def describe() -> dict[str, object]:
    """What the results depend on, for the JSON."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "gnet_is_compiled": gnet_is_compiled(),
        "node": _version_of((node.program(), "--version")) if node.missing() is None else None,
        "cc": _version_of((os.environ.get("CC", "cc"), "--version")),
        **{package: _installed(package) for package in PACKAGES},
    }
