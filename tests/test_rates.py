"""The script that measures ``rate=``."""

from __future__ import annotations

import pytest

from tests.rates import measure


@pytest.mark.parametrize("paced", ["sender", "receiver"])
def test_a_rate_is_kept(paced: str) -> None:
    run = measure(300_000, paced, 0.3)
    # Under load, less may come through; never more.
    assert -0.5 < run.error < 0.1
