"""Where one dial goes, and how."""

# Without "annotations" of __future__: with them as text these take three times as long to import.

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .._transport.early_options import NOTHING, EarlyOptions

if TYPE_CHECKING:
    from .._core.block_list import BlockList

__all__ = ["PathTarget", "TcpTarget"]


class PathTarget(NamedTuple):
    """A path to connect to, and what is set before."""

    path: str
    early: EarlyOptions = NOTHING


class TcpTarget(NamedTuple):
    """A host and port to connect to, and how. Every field has been validated."""

    host: str
    port: int
    family: int = 0
    hints: int = 0
    local_address: str | None = None
    local_port: int = 0
    lookup: Callable[..., Any] | None = None
    auto_select_family: bool = True
    attempt_timeout: float = 0.25
    block_list: "BlockList | None" = None
    early: EarlyOptions = NOTHING
