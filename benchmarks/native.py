"""The C programs, compiled when they are first needed, into a folder outside the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")


def compiler() -> str | None:
    """The system's C compiler: ``$CC``, or ``cc``."""
    return shutil.which(os.environ.get("CC", "cc"))


def cache() -> Path:
    """The folder of the compiled programs: this user's, and closed to everyone else."""
    folder = Path(tempfile.gettempdir()) / f"gnet-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    return folder


def require() -> None:
    """Say what is missing to measure at all.

    :raises RuntimeError: with the reason.
    """
    if sys.platform != "linux":
        raise RuntimeError("the load generator is built on epoll: Linux only")
    if compiler() is None:
        raise RuntimeError("no C compiler: neither $CC nor cc is on the PATH")


def build(source: Path) -> Path:
    """Compile one C file, unless that very text was compiled before.

    :param source: the C file.
    :returns: the program.
    :raises RuntimeError: as :func:`require`, or with the compiler's messages where it fails.
    """
    require()
    cc = str(compiler())
    text = " ".join((cc, *FLAGS)).encode() + source.read_bytes()
    program = cache() / f"{source.stem}-{hashlib.sha256(text).hexdigest()[:16]}"
    if not program.exists():
        _compile(cc, source, program)
    return program


def _compile(cc: str, source: Path, program: Path) -> None:
    # Renamed when it is whole: two runs may build at once.
    unfinished = program.with_suffix(f".{os.getpid()}")
    command = [cc, *FLAGS, "-o", str(unfinished), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    os.replace(unfinished, program)
