"""What the tests of the command need: places, and bytes that are not all the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.peers import PROGRAM_LIMIT


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test runs several programs, one after the other."""
    item.add_marker(pytest.mark.limit(2 * PROGRAM_LIMIT))


@pytest.fixture
def path() -> Iterator[str]:
    """A path that is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        yield str(Path(directory) / "socket")


@pytest.fixture
def large() -> bytes:
    """More than a socket, a pipe or a chunk holds."""
    return bytes(range(256)) * 16384
