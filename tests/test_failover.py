"""The short form of one dead host of three; ``python -m tests.failover`` is the long one."""

from __future__ import annotations

import sys

import pytest

from tests import failover


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is silent on a loopback")
def test_one_dead_host_of_three_costs_no_more_than_the_delay() -> None:
    times = failover.run(40, delay=0.05)
    assert len(times) == 40
    assert times[0] >= 0.05
    assert times[len(times) * 99 // 100] < failover.MOST_SECONDS
