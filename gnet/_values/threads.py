"""The interpreter's own calls for threads, also where gevent has patched them."""

from __future__ import annotations

import _thread
import sys
from typing import Any

__all__ = ["of_threads"]


def of_threads(name: str) -> Any:
    """What the module ``_thread`` has by that name, also where it is patched.

    ``gevent.monkey`` itself would bring logging along, and take a sixth more of gnet's import.
    """
    monkey = sys.modules.get("gevent.monkey")
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
