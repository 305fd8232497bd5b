"""Lookup hooks that know their answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gnet

__all__ = ["answering", "failing"]


def answering(*addresses: str) -> Callable[..., Any]:
    """A hook that finds these addresses for every name."""

    def lookup(hostname: str, *, family: int = 0, hints: int = 0, all: bool = False) -> Any:
        found = [
            (address, gnet.is_ip(address))
            for address in addresses
            if family in (0, gnet.is_ip(address))
        ]
        return found if all else found[0]

    return lookup


def failing(error: BaseException) -> Callable[..., Any]:
    """A hook that raises ``error``."""

    def lookup(hostname: str, **options: Any) -> Any:
        raise error

    return lookup
