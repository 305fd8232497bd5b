"""The C programs, compiled when they are first needed, into a folder outside the tree."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")
#: For the load generator that speaks TLS.
TLS = ("-DTLS", "-lssl", "-lcrypto")


def compiler() -> list[str] | None:
    """The system's C compiler, ``$CC`` or ``cc``, with the arguments that are given there."""
    name, *arguments = shlex.split(os.environ.get("CC", "")) or ["cc"]
    program = shutil.which(name)
    return None if program is None else [program, *arguments]


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


def build(source: Path, *more: str) -> Path:
    """Compile one C file, unless that very text was compiled before.

    :param source: the C file.
    :param more: what the compiler is told behind it: :data:`TLS`.
    :returns: the program.
    :raises RuntimeError: as :func:`require`, or with the compiler's messages where it fails.
    """
    require()
    cc = compiler() or []
    text = " ".join((*cc, *FLAGS, *more)).encode() + source.read_bytes()
    program = cache() / f"{source.stem}-{hashlib.sha256(text).hexdigest()[:16]}"
    if not program.exists():
        _compile(cc, source, program, more)
    return program


def _compile(cc: list[str], source: Path, program: Path, more: tuple[str, ...]) -> None:
    # Renamed when it is whole: two runs may build at once.
    unfinished = program.with_suffix(f".{os.getpid()}")
    command = [*cc, *FLAGS, "-o", str(unfinished), str(source), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    os.replace(unfinished, program)


def certificate() -> tuple[str, str]:
    """The files of a certificate for the servers, and of its key: of P-256, as is usual.

    :raises RuntimeError: it cannot be made here.
    """
    folder = cache()
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        made = [path.with_suffix(f".{os.getpid()}") for path in (cert, key)]
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "3650", "-subj", "/CN=localhost",
            "-out", str(made[0]), "-keyout", str(made[1]),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            raise RuntimeError("openssl, which makes the certificate, is not there") from None
        if done.returncode:
            raise RuntimeError(f"no certificate: {done.stderr}")
        for unfinished, path in zip(made, (cert, key), strict=True):
            os.replace(unfinished, path)
    return str(cert), str(key)
