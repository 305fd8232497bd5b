"""The system's own calls, also where gevent has patched the standard library's."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["original"]


def original(module: str, name: str) -> Any:
    """What a module of the standard library has by that name, also where it is patched."""
    if "gevent.monkey" not in sys.modules:
        # Nothing is patched then, and gevent.monkey brings logging along: importing gnet would
        # take a tenth more.
        return getattr(import_module(module), name)
    from gevent.monkey import get_original

    return get_original(module, name)
