"""What is in a set that keeps nothing of it."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakSet

__all__ = ["members"]

_T = TypeVar("_T")


def members(weak: WeakSet[_T]) -> list[_T]:
    """Those that are alive; may be called from any thread, as iterating over the set may not."""
    references: Any = weak.data  # type: ignore[attr-defined]
    return [member for each in list(references) if (member := each()) is not None]
