"""What ``gnet --version`` says: what a report of a fault has to name."""

from __future__ import annotations

import argparse
import os
import platform
import re
from typing import Any, NoReturn

import gevent

import gnet

from .. import _core
from .._core import flowing

__all__ = ["ShowVersion", "version_text"]

# gevent's modules, and the names that its GEVENT_LOOP has for them.
_LOOPS = {
    "gevent.libev.corecext": "libev-cext",
    "gevent.libev.corecffi": "libev-cffi",
    "gevent.libuv.loop": "libuv-cffi",
}


class ShowVersion(argparse.Action):
    """The option ``--version``; argparse' own would fold the line."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(version_text())
        parser.exit()


def version_text() -> str:
    """One line: gnet's version and form, gevent's and its loop, the interpreter, the system."""
    return (
        f"gnet {gnet.__version__} ({_form()}), gevent {gevent.__version__} ({_loop()}), "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )


def _form() -> str:
    if not str(flowing.__file__).endswith(".py"):
        return "compiled"
    if os.environ.get("GNET_PURE", "0") not in ("", "0"):
        return "pure: GNET_PURE is set"
    names = sorted(os.listdir(_core.__path__[0]))
    built = [name for name in names if re.fullmatch(r"flowing\..*(so|pyd)", name)]
    if built:
        return f"pure: {built[0]} is another interpreter's"
    return "pure: no core was compiled at its installation"


def _loop() -> str:
    loop = gevent.get_hub().loop
    name = _LOOPS.get(type(loop).__module__, type(loop).__module__)
    return f"{name}, {loop.backend}" if name.startswith("libev") else name
