"""Two gnet sockets that are connected behave the same over every transport."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.helpers.checks import PAIR_CHECKS, Check
from tests.helpers.servers import TRANSPORTS, memory_pair, pair, place_of


@pytest.mark.limit(30)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("check", PAIR_CHECKS, ids=lambda check: check.__name__)
def test_a_pair(check: Check, transport: str, tmp_path: Path) -> None:
    check(partial(pair, place_of(transport, tmp_path)))


@pytest.mark.limit(30)
@pytest.mark.parametrize("check", PAIR_CHECKS, ids=lambda check: check.__name__)
def test_a_pair_in_memory(check: Check) -> None:
    check(memory_pair)
