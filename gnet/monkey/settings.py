"""What a patch is to do, checked, and which patches there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core.block_list import BlockList
from .._socket.planning import _local_address, checked_block_list
from .._values import arguments

__all__ = ["Settings", "in_force", "stack"]


class Settings:
    """The options of a patch; see :func:`gnet.monkey.patch`."""

    def __init__(
        self,
        lookup: Callable[..., Any] | None = None,
        block_list: BlockList | None = None,
        auto_select_family: bool | None = None,
        local_address: str | None = None,
        tls: bool = False,
    ) -> None:
        self.lookup: Callable[..., Any] | None = arguments.optional_function("lookup", lookup)
        self.block_list: BlockList | None = checked_block_list(block_list)
        self.auto_select_family: bool | None = (
            None
            if auto_select_family is None
            else arguments.flag("auto_select_family", auto_select_family)
        )
        self.local_address: str | None = _local_address(local_address)
        self.tls: bool = arguments.flag("tls", tls)

    def options(self) -> dict[str, Any]:
        """The options of :meth:`gnet.Socket.connect`."""
        return {
            "lookup": self.lookup,
            "block_list": self.block_list,
            "auto_select_family": self.auto_select_family,
            "local_address": self.local_address,
        }


#: Those of the patches that have not ended; the latest one is in force.
stack: list[Settings] = []


def in_force() -> Settings | None:
    """The settings that hold now."""
    try:
        return stack[-1]
    except IndexError:
        # There are none, or another thread has just ended them.
        return None
