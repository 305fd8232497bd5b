"""The short form of the slow clients; ``python -m tests.slow_clients`` is the long one."""

from __future__ import annotations

import sys

import pytest

from tests import slow_clients


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is told otherwise")
@pytest.mark.limit(60)
@pytest.mark.parametrize("what", slow_clients.BEGINNINGS)
def test_slow_clients_cost_the_others_little(what: str) -> None:
    alone, first, second, lost = slow_clients.run(what, count=100, seconds=1)
    assert lost == 0
    # Whoever spins, or looks at all connections for each request, costs a multiple.
    assert second.processor < 2 * alone.processor
    assert second.longest < 5
    # What they have at first, and no more.
    assert first.memory - alone.memory < 100 * 50_000
    assert second.memory - first.memory < 1_000_000
