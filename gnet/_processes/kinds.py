"""What the fields of a message may be: each stands where :func:`isinstance` takes a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Between", "Fields", "Parts"]


class Between:
    """A whole number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __instancecheck__(self, value: object) -> bool:
        return type(value) is int and self._low <= value <= self._high


class Parts:
    """A list of so many parts, each of its kind: a named tuple, as JSON has it."""

    def __init__(self, *kinds: Any) -> None:
        self._kinds = kinds

    def __instancecheck__(self, value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) == len(self._kinds)
            and all(map(isinstance, value, self._kinds))
        )


class Fields:
    """Fields by their names, each of its kind, and others perhaps."""

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self._kinds = kinds

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, dict) and all(
            name in value and isinstance(value[name], kind) for name, kind in self._kinds.items()
        )
