"""The options of a cluster, by name: one definition for programs and checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ClusterOptions"]


class ClusterOptions(TypedDict, total=False):
    """Those of :class:`gnet.cluster.Cluster`."""

    argv: Sequence[str] | None
    env: Mapping[str, str] | None
    grace: float | None
    start_timeout: float
