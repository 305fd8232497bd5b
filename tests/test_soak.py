"""The short form of the soak; ``python -m tests.soak`` is the long one."""

from __future__ import annotations

import pytest

from tests import soak


@pytest.mark.limit(60)
def test_clients_that_misbehave_lose_and_leak_nothing() -> None:
    soak.run(50, 0.5, 0.1)
    before = soak.counts()
    report, most, after = soak.run(150, 3, 0.3)
    assert most > 100
    assert report.outcomes["whole"] > 100
    assert not report.outcomes["WRONG"]
    assert all(after[name] <= before[name] for name in before), (before, after)
