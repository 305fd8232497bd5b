"""Node, of the release that is compared: from npm, into the folder of the compiled programs.

A distribution's Node may be years old, and accepts more slowly. Where npm cannot have it, the one
on the PATH takes part. ``$GNET_NODE`` is used instead of either.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from . import native

RELEASE = 25
#: npm has the programs themselves as packages, by the names that Node gives to processors.
PROCESSORS = {"x86_64": "x64", "aarch64": "arm64"}
PATIENCE = 300.0


def missing() -> str | None:
    """What this machine lacks to run Node; nothing is fetched."""
    if os.environ.get("GNET_NODE") or shutil.which("node") or _fetched().exists():
        return None
    return None if shutil.which("npm") else "neither node nor npm is on the PATH"


@cache
def program() -> str:
    """The path of the program; fetched when it is first needed."""
    chosen = os.environ.get("GNET_NODE")
    if chosen:
        return chosen
    fetched = _fetched()
    if not fetched.exists():
        _fetch()
    if fetched.exists():
        return str(fetched)
    print(f"npm has no Node {RELEASE} here: the one on the PATH takes part", flush=True)
    return "node"


def _package() -> str:
    return f"node-linux-{PROCESSORS.get(platform.machine(), platform.machine())}"


def _folder() -> Path:
    return native.cache() / f"node-{RELEASE}"


def _fetched() -> Path:
    return _folder() / "node_modules" / _package() / "bin" / "node"


def _fetch() -> None:
    # The package with the program, and not the one whose installation fetches that.
    what = f"{_package()}@{RELEASE}"
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix"]
    try:
        subprocess.run(
            [*command, str(_folder()), what], capture_output=True, check=False, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        # There is no npm, or no way to its registry.
        return
