"""The short form of the stalled peers; ``python -m tests.stalled_handshakes`` is the long one."""

from __future__ import annotations

import sys

import pytest

from tests import stalled_handshakes


@pytest.mark.skipif(sys.platform != "linux", reason="a process is told of otherwise")
@pytest.mark.limit(60)
def test_peers_that_stall_cost_the_others_little_and_are_all_ended() -> None:
    report = stalled_handshakes.run(60, 10, seconds=0.5, handshake_timeout=3)
    assert report.wrong == []
    # Whoever spins, or looks at all of them for each message, takes the most of it.
    assert report.fall < 0.5
